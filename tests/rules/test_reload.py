"""Every option of the schema is seen by a reload, with the right class; what has no effect is no change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pserv.model.hooks import KINDS, Hook, Reload
from pserv.model.listening import Socket
from pserv.model.log import Rate
from pserv.model.needs import Need
from pserv.model.probe import File, Health, Http, Log, Ready, Tcp, Unix
from pserv.model.restart import Backoff
from pserv.model.secrets import EnvFile, Secret
from pserv.model.spec import DaemonSpec, Document, Extends, ServiceSpec
from pserv.model.status import Placed
from pserv.model.stop import Stop, StopStep
from pserv.model.watching import Watch
from pserv.rules import reload

CHANGED: dict[str, Any] = {
    "exec": "other",
    "schedule": "@daily",
    "timezone": "Europe/Berlin",
    "overlap": "kill",
    "missed": "run",
    "args": ("--new",),
    "command": ("other", "x"),
    "shell": "echo hi",
    "description": "words",
    "tags": ("new",),
    "extends": Extends("base"),
    "profiles": ("dev",),
    "env": {"PORT": "2"},
    "env_file": (EnvFile("/srv/app.env"),),
    "secrets": {"KEY": Secret(env="KEY")},
    "inherit_env": ("LANG",),
    "cwd": "/srv",
    "user": "app",
    "group": "app",
    "supplementary_groups": ("video",),
    "umask": 0o027,
    "nice": 5,
    "oom_score_adj": 100,
    "type": "oneshot",
    "pid_file": "/run/web.pid",
    "autostart": False,
    "instances": 3,
    "port": 3001,
    "restart": "always",
    "max_retries": 7,
    "stable_after": 11.0,
    "success_exit_codes": (3,),
    "start_timeout": 5.0,
    "max_runtime": 9.0,
    "depends_on": {"db": Need()},
    "stdout": "null",
    "stderr": "/var/log/err",
    "essential": True,
    "tty": True,
    "watch": Watch(paths=("/src",)),
    "ready": Ready(tcp=Tcp(1)),
    "health": Health(tcp=Tcp(1)),
    "watchdog": 30.0,
    "backoff.strategy": "linear",
    "backoff.initial": 2.0,
    "backoff.maximum": 60.0,
    "backoff.factor": 3.0,
    "backoff.jitter": 0.2,
    "stop.signal": 3,
    "stop.timeout": 20.0,
    "stop.scope": "group",
    "stop.steps": (StopStep(3, 30.0),),
    **{f"hooks.{kind}": (Hook(command=("a", kind)),) for kind in KINDS},
    "reload": Reload(signal=1),
    "lazy": True,
    "sockets": {"http": Socket(listen="8080")},
    "log.format": "json",
    "log.timestamps": True,
    "log.parse": "json",
    "log.strip_ansi": True,
    "log.max_line": 128 << 10,
    "log.on_full": "drop-oldest",
    "log.rotate.size": 1 << 20,
    "log.rotate.every": 3600.0,
    "log.rotate.keep": 7,
    "log.rotate.max_age": 86400.0,
    "log.rotate.max_total": 1 << 30,
    "log.rotate.compress": "gzip",
    "log.rate": Rate(lines=5.0),
}
FIXED = {
    "exec",
    "args",
    "command",
    "shell",
    "env",
    "env_file",
    "secrets",
    "inherit_env",
    "cwd",
    "user",
    "group",
    "supplementary_groups",
    "umask",
    "nice",
    "oom_score_adj",
    "type",
    "pid_file",
    "port",
    "stdout",
    "stderr",
    "tty",
    "watchdog",
    "sockets",
}
"""What needs a new run, told here once more: what cannot change under a process that has started."""

BEFORE = ServiceSpec(exec="web", env={"PORT": "1"})


def options(struct: type[msgspec.Struct], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for field in msgspec.structs.fields(struct):
        nested = field.default if isinstance(field.default, msgspec.Struct) else None
        names |= options(type(nested), f"{prefix}{field.name}.") if nested else {prefix + field.name}
    return names


def within(struct: Any, option: str, value: Any) -> Any:
    """A struct with another value of one option, `a.b.c` in a struct in it."""
    head, _, tail = option.partition(".")
    return replace(struct, **{head: within(getattr(struct, head), tail, value) if tail else value})


def changed(spec: ServiceSpec, option: str, value: Any) -> ServiceSpec:
    if option in ("command", "shell"):
        spec = replace(spec, exec=None)
    after: ServiceSpec = within(spec, option, value)
    return after


def document(root: str = "/", **services: ServiceSpec) -> Document:
    return Document(name="test", root=root, services=services)


def changes(old: ServiceSpec, new: ServiceSpec) -> dict[str, str]:
    return {each.option: each.text for each in reload.differences(old, new)}


def test_no_option_is_forgotten_here() -> None:
    assert options(ServiceSpec) == CHANGED.keys() | {"name"}


@pytest.mark.parametrize("option", CHANGED)
def test_every_option_is_seen_with_its_class(option: str) -> None:
    after = changed(BEFORE, option, CHANGED[option])
    for old, new in ((BEFORE, after), (after, BEFORE)):
        found = reload.differences(old, new)
        seen = {each.option: each.live for each in found}
        named = {"env": "env.PORT", "secrets": "secrets.KEY"}.get(option, option)
        assert seen[named] is (option not in FIXED)
        assert all(each.text.startswith(each.option) for each in found)
        (step,) = reload.diff(document(web=old), document(web=new))
        assert step.action == ("restart" if option in FIXED else "live")
        assert step.changes == tuple(each.text for each in found)


@pytest.mark.parametrize("option", CHANGED)
def test_what_is_the_same_is_no_change(option: str) -> None:
    spec = changed(BEFORE, option, CHANGED[option])
    (step,) = reload.diff(
        document(web=spec), document(web=msgspec.json.decode(msgspec.json.encode(spec), type=ServiceSpec))
    )
    assert (step.action, step.changes) == ("unchanged", ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BEFORE, replace(BEFORE, name="web")),
        (BEFORE, replace(BEFORE, restart="on-failure")),
        (BEFORE, replace(BEFORE, start_timeout=60.0)),
        (BEFORE, replace(BEFORE, cwd="/")),
        (BEFORE, replace(BEFORE, stop=Stop(scope="main"))),
        (replace(BEFORE, args=("a", "b")), replace(BEFORE, exec=None, command=("web", "a", "b"))),
        (ServiceSpec(shell="x"), ServiceSpec(shell="x", stop=Stop(scope="group"))),
    ],
)
def test_what_has_no_effect_is_no_change(old: ServiceSpec, new: ServiceSpec) -> None:
    assert reload.differences(old, new) == []
    assert reload.differences(new, old) == []


def test_texts() -> None:
    new = replace(
        BEFORE,
        args=("--port", "8 0"),
        env={"PORT": "2", "MODE": ""},
        umask=0o27,
        restart="always",
        max_retries=5,
        essential=True,
        tags=("a", "b"),
        depends_on={"db": Need(), "cache": Need("healthy", required=False, restart=True, timeout=30.0)},
        backoff=Backoff(initial=0.5),
        stop=Stop(signal=3, steps=(StopStep(3, 30.0), StopStep(15, 0.5))),
    )
    assert changes(BEFORE, new) == {
        "args": "args: \"\" -> --port '8 0'",
        "env.PORT": "env.PORT: 1 -> 2",
        "env.MODE": 'env.MODE: (unset) -> ""',
        "umask": "umask: (unset) -> 027",
        "restart": "restart: on-failure -> always",
        "max_retries": "max_retries: (unset) -> 5",
        "essential": "essential: false -> true",
        "tags": "tags: [] -> [a, b]",
        "depends_on": "depends_on: [] -> [db, cache (healthy, not required, restart, 30 s)]",
        "backoff.initial": "backoff.initial: 1 s -> 500 ms",
        "stop.signal": "stop.signal: TERM -> QUIT",
        "stop.steps": "stop.steps: [] -> [QUIT 30 s, TERM 500 ms]",
    }


PROBED: dict[str, Any] = {
    "http.path": "/health",
    "http.port": 8080,
    "http.host": "db",
    "http.scheme": "https",
    "http.method": "HEAD",
    "http.headers": {"Accept": "text/plain"},
    "http.status": ("204",),
    "http.body": "ok",
    "http.verify": False,
    "tcp.port": 2,
    "tcp.host": "db",
    "unix.path": "/run/other",
    "exec": ("pg_isready",),
    "file.path": "/run/other",
    "file.younger_than": 60.0,
    "log.pattern": "listening",
    "interval": 5.0,
    "timeout": 5.0,
    "initial_delay": 5.0,
    "failures": 5,
    "successes": 5,
    "fd": 4,
    "on_failure": "alert",
}
PROBES = {"http": Http(), "tcp": Tcp(), "unix": Unix("/run/s"), "file": File("/run/f"), "log": Log("ready")}


def probe_options(struct: type[Ready] | type[Health]) -> set[str]:
    own = {field.name for field in msgspec.structs.fields(struct)}
    inner = {f"{kind}.{field.name}" for kind, each in PROBES.items() for field in msgspec.structs.fields(type(each))}
    return (own - PROBES.keys()) | inner


@pytest.mark.parametrize("probe", [Ready(), Health()], ids=["ready", "health"])
def test_every_option_of_a_probe_is_seen_and_acts_live(probe: Ready | Health) -> None:
    name = type(probe).__name__.lower()
    assert probe_options(Ready) | probe_options(Health) == PROBED.keys()
    for option in probe_options(type(probe)):
        head, _, tail = option.partition(".")
        before = replace(probe, **{head: PROBES[head]}) if tail else probe
        after = replace(before, **{head: replace(PROBES[head], **{tail: PROBED[option]}) if tail else PROBED[option]})
        for old, new in ((before, after), (after, before)):
            (found,) = reload.differences(replace(BEFORE, **{name: old}), replace(BEFORE, **{name: new}))
            assert found.live is (option != "fd")
            assert found.option.startswith(f"{name}.{option}")


def test_a_descriptor_to_be_ready_by_is_handed_to_a_new_run() -> None:
    probed, told = replace(BEFORE, ready=Ready(tcp=Tcp(1))), replace(BEFORE, ready=Ready(fd=4))
    for old, new in ((BEFORE, told), (told, BEFORE), (probed, told), (told, probed)):
        assert not all(each.live for each in reload.differences(old, new))
    longer = replace(told, ready=Ready(fd=4, timeout=9.0))
    assert all(each.live for each in reload.differences(told, longer))


def test_texts_of_probes() -> None:
    ready = Ready(log=Log("listening"), timeout=5.0)
    new = replace(BEFORE, ready=ready, health=Health(http=Http(path="/h", headers={"A": "b"}), on_failure="alert"))
    assert changes(BEFORE, new) == {
        "ready": "ready: (unset) -> log listening timeout 5 s",
        "health": "health: (unset) -> http path /h headers [A: b] on_failure alert",
    }
    other = replace(BEFORE, ready=replace(ready, log=None, tcp=Tcp(1)), health=Health(http=Http(path="/h")))
    assert changes(new, other) == {
        "ready.log": "ready.log: listening -> (unset)",
        "ready.tcp": "ready.tcp: (unset) -> port 1",
        "health.http.headers.A": "health.http.headers.A: b -> (unset)",
        "health.on_failure": "health.on_failure: alert -> restart",
    }


def test_secrets_are_not_told() -> None:
    old = replace(BEFORE, env={"API_KEY": "canary1", "URL": "redis://a:canary2@h", "OLD_TOKEN": "canary3"})
    new = replace(BEFORE, env={"API_KEY": "canary4", "URL": "redis://h", "NEW_SECRET": "canary5"})
    asked = Health(http=Http(headers={"Authorization": "Bearer canary6", "X-Api-Key": "canary7"}))
    headers = replace(asked, http=Http(headers={"Authorization": "Bearer canary8", "Cookie": "canary9"}))
    assert "canary" not in str(changes(replace(old, health=asked), replace(new, health=headers)))
    found = changes(replace(old, health=asked), new)
    assert "canary" not in str(found)
    assert found["env.API_KEY"] == "env.API_KEY changed"
    assert found["env.OLD_TOKEN"] == "env.OLD_TOKEN removed"
    assert found["env.NEW_SECRET"] == "env.NEW_SECRET added"


def test_long_values_are_cut() -> None:
    old, new = ServiceSpec(shell="echo a\n" * 50), ServiceSpec(shell="echo a\n" * 51)
    assert changes(old, new) == {"shell": "shell changed"}
    (text,) = changes(old, ServiceSpec(shell="true")).values()
    assert len(text) < 100
    assert "\n" not in text


def test_a_moved_configuration_moves_what_has_no_cwd() -> None:
    old = document("/old", web=BEFORE, api=replace(BEFORE, cwd="/srv"))
    steps = {
        step.service: step for step in reload.diff(old, document("/new", web=BEFORE, api=replace(BEFORE, cwd="/srv")))
    }
    assert steps["web"].changes == ("cwd: /old -> /new",)
    assert (steps["web"].action, steps["api"].action) == ("restart", "unchanged")


def test_steps_come_in_order() -> None:
    """What goes stops before what it depends on; what comes starts after it."""
    old = document(web=BEFORE, old=replace(BEFORE, depends_on={"older": Need()}), older=BEFORE)
    new = document(
        new=replace(BEFORE, depends_on={"web": Need()}), web=replace(BEFORE, depends_on={"db": Need()}), db=BEFORE
    )
    assert [(step.service, step.action) for step in reload.diff(old, new)] == [
        ("old", "remove"),
        ("older", "remove"),
        ("db", "add"),
        ("web", "live"),
        ("new", "add"),
    ]


def test_a_rename_is_told_where_all_else_is_equal() -> None:
    web = replace(BEFORE, port=80)
    old = document(web=web, api=BEFORE, job=replace(BEFORE, nice=3))
    new = document(frontend=web, api=BEFORE, job2=replace(BEFORE, nice=4), more=BEFORE)
    steps = {step.service: (step.action, step.renamed) for step in reload.diff(old, new)}
    assert steps == {
        "web": ("remove", ""),
        "job": ("remove", ""),
        "frontend": ("add", "web"),
        "api": ("unchanged", ""),
        "job2": ("add", ""),
        "more": ("add", ""),
    }
    two, three = (
        replace(document(), services={f"{name}:{n}": web for n in range(1, count)})
        for name, count in (("a", 3), ("b", 4))
    )
    of_instances = reload.diff(two, three)
    assert [step.renamed for step in of_instances if step.action == "add"] == ["a:1", "a:2", ""]


@pytest.mark.parametrize("back", [False, True])
def test_what_was_a_secret_on_one_side_is_told_of_neither(back: bool) -> None:
    """Now written literally, and literally before: the literal is likely the secret itself."""
    secret = {"DB": Secret(env="DB")}
    filled = "\0{secrets.DB}"  # what `rules.instances` makes of ${secrets.DB}
    before = ServiceSpec(exec="a", args=("t0ken",), env={"URL": f"db://{filled}", "X": "s3cret"}, secrets=secret)
    after = ServiceSpec(exec="a", args=("t",), env={"URL": "db://s3cret", "X": "plain", "DB": "s3cret", "A": "1"})
    made = {"web": ("env.X", "args"), "other": ("env.A",)}
    old, new = replace(document(web=before), private=made), document(web=after)
    (step,) = reload.diff(new, old) if back else reload.diff(old, new)
    verb, other = ("removed", "added") if back else ("added", "removed")
    assert {each.option: each.text for each in step.details} == {
        "args": "args changed",
        "env.URL": "env.URL changed",
        "env.X": "env.X changed",
        "env.DB": f"env.DB {verb}",
        "secrets.DB": f"secrets.DB {other}",
        "env.A": "env.A: 1 -> (unset)" if back else "env.A: (unset) -> 1",
    }


def test_where_the_new_value_stands() -> None:
    new = replace(BEFORE, env={"PORT": "2", "KEY": "s3cret"}, stop=Stop(signal=3, timeout=5.0), ready=Ready(tcp=Tcp(1)))
    written = {
        "env.PORT": Placed("pserv.yaml:12, X from .env:1", secret=True),
        "env.KEY": Placed("pserv.yaml:13"),
        "stop": Placed("pserv.yaml:14"),
        "ready.tcp.port": Placed("pserv.yaml:15"),
    }
    (step,) = reload.diff(document(web=BEFORE), document(web=new), {"web": written})
    told = {each.option: (each.old, each.new, each.origin) for each in step.details}
    assert told == {
        "env.PORT": (None, None, "pserv.yaml:12, X from .env:1"),
        "env.KEY": (None, "***", "pserv.yaml:13"),
        "stop.signal": ("TERM", "QUIT", "pserv.yaml:14"),
        "stop.timeout": ("10 s", "5 s", "pserv.yaml:14"),
        "ready": ("(unset)", "tcp port 1", "pserv.yaml:15"),
    }


def test_every_option_of_the_daemon_is_seen() -> None:
    values: dict[str, Any] = {"exit_when": "all-done", "on_invalid": "last-good", "shutdown_timeout": 5.0}
    values |= {"log_total": 1 << 30, "watch_config": True}
    assert values.keys() == options(DaemonSpec)
    old = document()
    for option, value in values.items():
        (change,) = reload.daemon_changes(old, replace(old, daemon=replace(old.daemon, **{option: value})))
        assert (change.option, change.live) == (f"daemon.{option}", True)
        assert change.text.startswith(f"daemon.{option}: ")
    assert reload.daemon_changes(old, old) == ()
