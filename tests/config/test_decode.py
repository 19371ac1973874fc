"""What is written to specs: types decided by options, short forms, defaults, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.config.decode import Decoder
from pserv.config.effective import effective, written
from pserv.config.findings import Findings
from pserv.config.loader import load
from pserv.config.nodes import Mapping
from pserv.config.shapes import DAEMON, SERVICE, Shape, build
from pserv.config.yaml_nodes import read_yaml
from pserv.model import spec
from pserv.model.kinds import ALL
from pserv.model.log import Rotate
from pserv.model.needs import Need
from pserv.model.probe import File, Health, Http, Log, Ready, Tcp, Unix
from pserv.model.restart import Backoff
from pserv.model.spec import Document, ServiceSpec
from pserv.model.stop import Stop, StopStep
from tests.config import specs

PATIENT = settings(deadline=None)

DUMPER, LOADER = getattr(yaml, "CSafeDumper", yaml.SafeDumper), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where PyYAML was built so: ten times faster."""

FOUNDING = """\
services:
  web:
    exec: /usr/local/bin/my-web
    args: ["--port", "8080"]
    env:
      DATABASE_URL: "postgres://db:5432/app"
    cwd: /var/www/myapp
    user: root
    autostart: true
    restart: on-failure
    max_retries: 5
    stdout: /var/log/pserv/web.out.log
    stderr: /var/log/pserv/web.err.log
    health:
      http:
        path: /health
        port: 8080
      interval: 10s
      timeout: 2s
"""


def _load(tmp_path: Path, text: str, name: str = "pserv.yaml") -> Document:
    (tmp_path / name).write_text(text)
    return load([name], environ={}, cwd=str(tmp_path), uid=0)


def _service(tmp_path: Path, options: str) -> ServiceSpec:
    return _load(tmp_path, f"services: {{web: {{command: a, {options} }}}}\n").services["web"]


def test_founding_example(tmp_path: Path) -> None:
    document = _load(tmp_path, FOUNDING)
    assert document.services["web"] == ServiceSpec(
        exec="/usr/local/bin/my-web",
        args=("--port", "8080"),
        env={"DATABASE_URL": "postgres://db:5432/app"},
        cwd="/var/www/myapp",
        user="root",
        restart="on-failure",
        max_retries=5,
        stdout="/var/log/pserv/web.out.log",
        stderr="/var/log/pserv/web.err.log",
        health=Health(http=Http(path="/health", port=8080), interval=10.0, timeout=2.0),
    )


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("restart: no", "restart", "never"),
        ("restart: unless-stopped", "restart", "always"),
        ("restart: always", "restart", "always"),
        ("umask: 022", "umask", 0o22),
        ("umask: 22", "umask", 0o22),
        ("umask: '0640'", "umask", 0o640),
        ("umask: 0o22", "umask", 0o22),
        ("nice: 08", "nice", 8),
        ("nice: -5", "nice", -5),
        ("max-retries: 3", "max_retries", 3),
        ("max_retries: null", "max_retries", None),
        ("autostart: no", "autostart", False),
        ("essential: True", "essential", True),
        ("user: 1000", "user", "1000"),
        ("description: on", "description", "on"),
        ("description: 1.10", "description", "1.10"),
        ("description: '${X:-y} $$'", "description", "y $"),
        ("tags: web", "tags", ("web",)),
        ("tags: [a, b, a]", "tags", ("a", "b")),
        ("tags:", "tags", ()),
        ("success_exit_codes: 3", "success_exit_codes", (3,)),
        ("success_exit_codes: [3, 4]", "success_exit_codes", (3, 4)),
        ("inherit_env: false", "inherit_env", False),
        ("inherit_env: [PATH, LANG]", "inherit_env", ("PATH", "LANG")),
        ("inherit_env: PATH", "inherit_env", ("PATH",)),
        ("start_timeout: 1h30m", "start_timeout", 5400.0),
        ("stop: QUIT", "stop", Stop(signal=3)),
        ("stop: {timeout: 5}", "stop", Stop(timeout=5.0)),
        ("stop: {steps: [{QUIT: 30s}, {TERM: 5s}]}", "stop", Stop(steps=(StopStep(3, 30.0), StopStep(15, 5.0)))),
        ("stop: {steps: [{signal: QUIT, timeout: 1}]}", "stop", Stop(steps=(StopStep(3, 1.0),))),
        ("stop: {steps: {QUIT: 30s}}", "stop", Stop(steps=(StopStep(3, 30.0),))),
        ("backoff: 5s", "backoff", Backoff(initial=5.0)),
        ("backoff: 1m", "backoff", Backoff(initial=60.0, maximum=60.0)),
        ("stdout: null", "stdout", "null"),
        ("stdout: ~", "stdout", "null"),
        ("stdout: 'null'", "stdout", "null"),
        ("stdout: /dev/null", "stdout", "null"),
        ("stderr: inherit", "stderr", "inherit"),
        ("env: {VERSION: 1.10, FLAG: yes}", "env", {"VERSION": "1.10", "FLAG": "yes"}),
        ("env: {N: 0x10, E: '', O: 1e3, T: 22:22}", "env", {"N": "0x10", "E": "", "O": "1e3", "T": "22:22"}),
        ("env: [A=1, B=, 'C=a=b']", "env", {"A": "1", "B": "", "C": "a=b"}),
        ("env: {a-b: 1, a_b: 2}", "env", {"a-b": "1", "a_b": "2"}),
        ("env:", "env", {}),
    ],
)
def test_written_forms(tmp_path: Path, options: str, name: str, value: object) -> None:
    assert getattr(_service(tmp_path, options), name) == value


def test_retries_in_the_policy(tmp_path: Path) -> None:
    service = _service(tmp_path, "restart: on-failure:5")
    assert (service.restart, service.max_retries) == ("on-failure", 5)


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.yaml").write_text(
        "services: {a: {exec: ./bin/a, cwd: .., stdout: a.log}, b: {command: ../b x/y}, c: {exec: sleep}}\n"
    )
    (tmp_path / "pserv.yaml").write_text("services: {d: {shell: ./d, cwd: /x}}\n")
    document = load(["pserv.yaml", "conf.d"], environ={}, cwd=str(tmp_path), uid=0)
    a = document.services["a"]
    assert (a.exec, a.cwd, a.stdout) == (f"{tmp_path}/conf.d/bin/a", f"{tmp_path}", f"{tmp_path}/conf.d/a.log")
    assert document.services["b"].command == (f"{tmp_path}/b", "x/y")
    assert document.services["c"].exec == "sleep"
    assert document.services["d"].shell == "./d"
    assert document.root == str(tmp_path)


def test_defaults_lie_below_each_service(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        """
        defaults:
          env: {A: 1, B: 1}
          tags: [x]
          shell: below
          stop: {signal: QUIT, timeout: 3s}
          backoff: {initial: 2s}
        services:
          one: {}
          two: {command: a, env: {B: 2}, tags: [y], stop: {timeout: 4s}, backoff: {factor: 3}}
          three: {command: a, stop: {steps: [{TERM: 1s}]}}
        """,
    )
    one, two, three = document.services.values()
    assert one == ServiceSpec(
        shell="below", env={"A": "1", "B": "1"}, tags=("x",), stop=Stop(3, 3.0), backoff=Backoff(initial=2.0)
    )
    assert two == ServiceSpec(
        command=("a",),
        env={"A": "1", "B": "2"},
        tags=("y",),
        stop=Stop(3, 4.0),
        backoff=Backoff(initial=2.0, factor=3.0),
    )
    assert three.stop == Stop(steps=(StopStep(15, 1.0),))


def test_a_signal_of_a_service_replaces_default_steps(tmp_path: Path) -> None:
    document = _load(
        tmp_path, "defaults: {stop: {steps: [{TERM: 1s}], scope: group}}\nservices: {a: {command: a, stop: QUIT}}\n"
    )
    assert document.services["a"].stop == Stop(signal=3, scope="group")


@pytest.mark.parametrize(
    ("written", "needs"),
    [
        ("db", {"db": Need()}),
        ("[db, cache, db]", {"db": Need(), "cache": Need()}),
        ("{db: healthy, cache: completed}", {"db": Need("healthy"), "cache": Need("completed")}),
        ("{db: service_started}", {"db": Need("started")}),
        ("{cache: service_completed_successfully}", {"cache": Need("completed")}),
        ("{db: {condition: service_healthy, restart: true}}", {"db": Need("healthy", restart=True)}),
        ("{db: {required: no, timeout: 30s}}", {"db": Need(required=False, timeout=30.0)}),
        ("{db: , cache: {}}", {"db": Need(), "cache": Need()}),
        ("", {}),
    ],
)  # fmt: skip
def test_dependencies(tmp_path: Path, written: str, needs: dict[str, Need]) -> None:
    services = (
        "services: {web: {command: a, depends_on: %s}, db: {command: b, health: {tcp: {port: 1}}}, cache: {command: c}}"
    )
    assert _load(tmp_path, services % written).services["web"].depends_on == needs


def test_own_dependencies_replace_those_of_defaults(tmp_path: Path) -> None:
    text = """
    defaults: {depends_on: [db]}
    services: {a: {command: a}, b: {command: b, depends_on: {a: started}}, db: {command: c, depends_on: []}}
    """
    services = _load(tmp_path, text).services
    assert {name: list(each.depends_on) for name, each in services.items()} == {"a": ["db"], "b": ["a"], "db": []}


def test_services_as_a_list(tmp_path: Path) -> None:
    document = _load(tmp_path, "services:\n- {name: b, command: x}\n- {name: a, command: y}\n")
    assert {name: service.argv for name, service in document.services.items()} == {"b": ("x",), "a": ("y",)}


def test_the_name_may_repeat_the_key(tmp_path: Path) -> None:
    assert _service(tmp_path, "name: web") == _service(tmp_path, "")


def test_anchors_may_stand_under_keys_that_are_not_read(tmp_path: Path) -> None:
    document = _load(tmp_path, "x-common: &common {nice: 3}\nservices: {web: {<<: *common, command: a}}\n")
    assert document.services["web"].nice == 3


def test_toml_says_the_same(tmp_path: Path) -> None:
    text = """
    daemon.exit_when = "all-done"
    [services.web]
    command = "a b"
    umask = 0o022
    restart = "on-failure:5"
    stop = "QUIT"
    stable_after = 5
    autostart = false
    env = { VERSION = 1.10, N = 5, FLAG = true }
    """
    document = _load(tmp_path, text, "pserv.toml")
    assert document.daemon.exit_when == "all-done"
    assert document.services["web"] == ServiceSpec(
        command=("a", "b"),
        umask=0o22,
        restart="on-failure",
        max_retries=5,
        stop=Stop(3),
        stable_after=5.0,
        autostart=False,
        env={"VERSION": "1.10", "N": "5", "FLAG": "true"},
    )


def _decoded(shape: Shape, data: Any) -> tuple[Any, Findings]:
    text = yaml.dump(data, Dumper=DUMPER, allow_unicode=True)
    root = read_yaml(text, "/f.yaml", [])
    assert isinstance(root, Mapping)
    findings = Findings()
    return build(shape, Decoder(findings).struct(shape, root, ())), findings


@PATIENT
@given(specs.services())
def test_what_is_written_is_read_as_itself(service: ServiceSpec) -> None:
    read, findings = _decoded(SERVICE, {"type": "simple", **written(SERVICE, service, defaults=False)})
    assert findings.mistakes == ()
    assert read == service


@PATIENT
@given(specs.structs(DAEMON))
def test_daemon_options_too(daemon: spec.DaemonSpec) -> None:
    read, findings = _decoded(DAEMON, {"shutdown_timeout": 90, **written(DAEMON, daemon, defaults=False)})
    assert findings.mistakes == ()
    assert read == daemon


@PATIENT
@given(specs.services(), st.booleans())
def test_documents_survive_json_and_can_be_shown(service: ServiceSpec, defaults: bool) -> None:
    document = Document(name="x", root="/", services={"web": service})
    assert spec.decode(spec.encode(document)) == document
    shown = effective(document, defaults=defaults)
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown
    assert yaml.load(yaml.dump(shown, Dumper=DUMPER), LOADER) == shown


def test_effective_values_are_shown_as_they_are_written(tmp_path: Path) -> None:
    document = _load(tmp_path, "services: {web: {command: a b, umask: 022, stop: {steps: [{QUIT: 90s}]}}}\n")
    assert effective(document, defaults=False)["services"] == {
        "web": {"command": ["a", "b"], "umask": "022", "stop": {"steps": [{"QUIT": "1m30s"}]}}
    }
    assert effective(document)["services"]["web"]["stop"]["signal"] == "TERM"


@pytest.mark.parametrize(
    ("written", "probe"),
    [
        ("tcp:5432", Ready(tcp=Tcp(port=5432))),
        ("tcp:db:5432", Ready(tcp=Tcp(port=5432, host="db"))),
        ("'tcp://[::1]:5432'", Ready(tcp=Tcp(port=5432, host="::1"))),
        ("http://:8080/health", Ready(http=Http(path="/health", port=8080))),
        ("'http://[::1]:80/a?b=c'", Ready(http=Http(path="/a?b=c", port=80, host="::1"))),
        ("https://example.org:443", Ready(http=Http(port=443, host="example.org", scheme="https"))),
        ("unix:/run/x.sock", Ready(unix=Unix(path="/run/x.sock"))),
        ("unix:x.sock", Ready(unix=Unix(path="{folder}/x.sock"))),
        ("file:run/here", Ready(file=File(path="{folder}/run/here"))),
        ("'log: is listening'", Ready(log=Log(pattern="is listening"))),
        ("{fd: 3}", Ready(fd=3)),
        ("pg_isready -U web", Ready(exec=("pg_isready", "-U", "web"))),
        ("[pg_isready, -U, web]", Ready(exec=("pg_isready", "-U", "web"))),
        ("./check it", Ready(exec=("{folder}/check", "it"))),
        ("{shell: 'a | b', timeout: 3s}", Ready(exec=("/bin/sh", "-c", "a | b"), timeout=3.0)),
        ("{exec: {command: [a, b]}}", Ready(exec=("a", "b"))),
        ("{exec: a b, timeout: 5s}", Ready(exec=("a", "b"), timeout=5.0)),
        (
            "{http: {path: /x, port: 80, interval: 3s}, failures: 4}",
            Ready(http=Http("/x", 80), interval=3.0, failures=4),
        ),
        ("{http: ':80/x'}", Ready(http=Http("/x", 80))),
        ("{http: 80}", Ready(http=Http(port=80))),
        ("{http: {port: 80, status: 204}}", Ready(http=Http(port=80, status=("204",)))),
        ("{http: {port: 80, status: [200, 300-399]}}", Ready(http=Http(port=80, status=("200", "300-399")))),
        ("{http: {port: 80, headers: {A: 1}}}", Ready(http=Http(port=80, headers={"A": "1"}))),
        ("{tcp: 80, initial-delay: 1s}", Ready(tcp=Tcp(port=80), initial_delay=1.0)),
        ("{file: {path: x, younger_than: 1m}}", Ready(file=File("{folder}/x", 60.0))),
    ],
)
def test_probes(tmp_path: Path, written: str, probe: Ready) -> None:
    placed = json.loads(msgspec.json.encode(probe).replace(b"{folder}", str(tmp_path).encode()))
    assert _service(tmp_path, f"ready: {written}").ready == msgspec.convert(placed, Ready)


def test_a_probe_takes_its_times_from_defaults_and_not_its_kind(tmp_path: Path) -> None:
    defaults = "defaults: {health: {tcp: 1, interval: 3s, failures: 5}}\n"
    document = _load(tmp_path, f"{defaults}services: {{a: {{command: a, health: {{http: 80}}}}, b: {{command: b}}}}\n")
    assert document.services["a"].health == Health(http=Http(port=80), interval=3.0, failures=5)
    assert document.services["b"].health == Health(tcp=Tcp(port=1), interval=3.0, failures=5)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("'0  3 * *  mon-fri'", {"schedule": "0 3 * * mon-fri"}),
        ("'@Every 90s'", {"schedule": "@every 90s"}),
        ("{cron: '@daily'}", {"schedule": "@daily"}),
        ("{every: 90}", {"schedule": "@every 90"}),
        (
            "{cron: '@daily', timezone: Europe/Berlin, overlap: queue, missed: run}",
            {"schedule": "@daily", "timezone": "Europe/Berlin", "overlap": "queue", "missed": "run"},
        ),
        ("{cron: '@daily', timezone: UTC}, timezone: UTC", {"schedule": "@daily", "timezone": "UTC"}),
    ],
)
def test_schedules(tmp_path: Path, written: str, options: dict[str, str]) -> None:
    spec = _service(tmp_path, f"schedule: {written}")
    assert {name: getattr(spec, name) for name in options} == options
    assert (spec.type, spec.autostart) == ("oneshot", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50MB", Rotate(size=50 << 20)),
        ("none", Rotate(size=0)),
        ("{every: hourly}", Rotate(every=3600.0)),
        ("{every: weekly, size: none}", Rotate(every=604800.0, size=0)),
        ("{every: 6h, keep: none}", Rotate(every=21600.0, keep=ALL)),
        ("{max_age: 7d, max_total: 1GB}", Rotate(max_age=604800.0, max_total=1 << 30)),
        ("{keep: 0}", Rotate(keep=0)),
    ],
)
def test_rotation(tmp_path: Path, text: str, expected: Rotate) -> None:
    assert _service(tmp_path, f"log: {{rotate: {text}}}").log.rotate == expected
