"""What the schema calls live acts on the run that is there, and each other option by one restart; nothing else does.

One daemon has a service for each option, and one reload changes them all. A new option needs a row here.
"""

from __future__ import annotations

import grp
import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pserv.api import operations as op
from pserv.model.spec import ServiceSpec
from pserv.model.status import ServiceStatus, Story
from tests.rules.test_reload import FIXED, options
from tests.scenarios.daemon import PATIENCE, Daemon, environ, kill

Options = Mapping[str, Any]

SLEEPER: Options = {"command": "sleep 10000"}
SPEAKER = (
    "trap 'echo got TERM; exit 0' TERM; trap 'echo got INT; exit 0' INT; trap 'echo got HUP' HUP; "
    "trap 'exit 3' USR1; trap 'cat $SAY' USR2; echo up; while :; do sleep 10000 & wait $!; done"
)
"""Says which signals it gets; at USR1 it ends with 3, at USR2 it prints the file $SAY."""


class Seen:
    """One service, from before the reload."""

    def __init__(self, daemon: Daemon, name: str, before: ServiceStatus) -> None:
        self.daemon = daemon
        self.name = name
        self.before = before
        self.pid = before.pid or 0

    @property
    def row(self) -> ServiceStatus:
        return self.daemon.row(self.name)

    @property
    def story(self) -> Story:
        return self.daemon.story(self.name)

    @property
    def log(self) -> Path:
        (path,) = self.daemon.folder.glob(f"state/*/logs/{self.name}.log")
        return path

    def until(self, reached: Callable[[ServiceStatus], bool]) -> ServiceStatus:
        return self.daemon.until(self.name, reached)

    def until_state(self, state: str) -> ServiceStatus:
        return self.daemon.until_state(self.name, state)

    def proc(self, name: str) -> str:
        return Path(f"/proc/{self.row.pid}/{name}").read_text()

    def kill(self) -> None:
        kill(self.pid)

    def says(self, text: str) -> None:
        """Have it print this."""
        (self.daemon.folder / f"{self.name}.say").write_text(text)
        os.kill(self.pid, signal.SIGUSR2)

    def prints(self, text: str, shown: str, count: int = 1) -> str:
        """Have it print a text; a line with what is to be seen of that."""
        self.says(text)
        return self.daemon.until_line(self.name, shown, count)

    def stopped(self) -> None:
        with self.daemon.client() as client:
            list(client.stream("stop", op.Act((self.name,), wait=False)))

    def reloads(self) -> None:
        with self.daemon.client() as client:
            client.call("reload_service", op.ReloadService((self.name,)))

    def exits(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


class Row(NamedTuple):
    """Options before and after the reload, and what is to be seen then; a `base` of its own."""

    before: Any
    after: Any
    seen: Callable[[Seen], object]
    base: Options = SLEEPER


def speaks(**more: Any) -> Options:
    return {"shell": SPEAKER, "stop": {"scope": "main"}, **more}


def holds(claim: Callable[[Seen], object]) -> Callable[[Seen], None]:
    """What is so at once."""

    def check(seen: Seen) -> None:
        assert claim(seen), seen.row

    return check


def after_two_ends(seen: Seen) -> None:
    """The second restart of a streak comes soon."""
    seen.kill()
    again = seen.daemon.until_restarted(seen.name, seen.pid)
    kill(again.pid or 0)
    seen.until(lambda row: row.state.value == "running" and row.restarts == 2)


def backs_off(ends: int, wanted: Callable[[float], bool]) -> Callable[[Seen], None]:
    """So many ends in a row, and the delay that is told then, in seconds; the first restart comes at once."""

    def check(seen: Seen) -> None:
        pid = seen.pid
        for _ in range(ends - 1):
            kill(pid)
            pid = seen.daemon.until_restarted(seen.name, pid).pid or 0
        kill(pid)
        row = seen.until_state("backoff")
        assert row.next is not None
        assert row.since is not None
        assert wanted(row.next - row.since), row

    return check


def about(seconds: float) -> Callable[[float], bool]:
    return lambda delay: abs(delay - seconds) < 0.01


def by_hook(trigger: Callable[[Seen], object]) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        trigger(seen)
        seen.daemon.until_line(seen.name, "from the hook")

    return check


def in_file(text: str, wanted: Callable[[str], bool]) -> Callable[[Seen], None]:
    """What it prints stands in its file so."""

    def check(seen: Seen) -> None:
        seen.prints(f"{text}\nend of it\n", "end of it")
        assert wanted(seen.log.read_text()), seen.log.read_text()

    return check


def rotated(count: int) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        for number in range(5):
            seen.prints("x" * 1500 + f"\nend {number}\n", f"end {number}")
        assert min(len(list(seen.log.parent.glob(f"{seen.name}.log.*"))), 3) == min(count, 3)

    return check


HOOK = {"shell": "echo from the hook"}
DAY = 86_400
OLD = "20200101T000000Z-20200101T000000Z"
"""Of the name of a rotated file: when its first and its last line were written."""
HOUR = {"initial": "1h", "maximum": "1h"}
SMALL = {"size": "1KB"}


def then(*steps: Callable[[Seen], object]) -> Callable[[Seen], None]:
    """One after the other."""

    def check(seen: Seen) -> None:
        for step in steps:
            step(seen)

    return check


def fails(**more: Any) -> Options:
    """What is done when it ends again and again; none of its runs counts as stable."""
    return {**SLEEPER, "stable_after": "1h", "backoff": {"initial": "100ms", "maximum": "1h", "jitter": 0, **more}}


def killed_by_the_next(seen: Seen) -> None:
    """By itself this run would go on."""
    seen.until(lambda row: row.last_exit is not None and row.pid not in (None, seen.pid))


def restarted(seen: Seen) -> None:
    seen.daemon.until_restarted(seen.name, seen.pid)


def printed(text: str) -> Callable[[Seen], object]:
    return lambda seen: seen.daemon.until_line(seen.name, text)


def drops(seen: Seen) -> None:
    seen.says("z\n" * 50)
    seen.until(lambda row: row.dropped_lines > 0)


def edit_when_watched(seen: Seen) -> None:
    with seen.daemon.client() as client:
        for item in client.stream("events", op.Events((seen.name,), 100, True), timeout=PATIENCE):
            if isinstance(item, op.Progress) and item.change.reason.startswith("watches "):
                (seen.daemon.folder / "watched").write_text("x")
                return


def ill(seen: Seen) -> None:
    (seen.daemon.folder / f"{seen.name}.well").unlink()


def well(seen: Seen) -> None:
    (seen.daemon.folder / f"{seen.name}.well").touch()


def rotated_at_most(seen: Seen, count: int) -> None:
    for number in range(5):
        seen.prints("x" * 1500 + f"\nend {number}\n", f"end {number}")
    assert 1 <= len(list(seen.log.parent.glob(f"{seen.name}.log.*"))) <= count


def older(seen: Seen) -> list[Path]:
    """Its rotated files."""
    return sorted(seen.log.parent.glob(f"{seen.name}.log.*"))


def until_there(daemon: Daemon, reached: Callable[[], object]) -> None:
    """What comes by a process of its own, of which no event tells: looked for whenever the daemon says anything."""
    deadline = time.monotonic() + PATIENCE
    with daemon.client() as client:
        while not reached():
            assert time.monotonic() < deadline
            client.call("status", op.Names())


def compressed(seen: Seen) -> None:
    seen.prints("x" * 1500 + "\nend\n", "end")
    until_there(seen.daemon, lambda: any(path.suffix == ".gz" for path in older(seen)))


def rotated_by_day(seen: Seen) -> None:
    """What was written last yesterday is no file of today."""
    before = time.time() - 2 * DAY
    os.utime(seen.log, (before, before))
    with seen.daemon.client() as client:
        client.call("reopen", op.Empty())
    seen.prints("of today\n", "of today")
    assert len(older(seen)) == 1
    assert seen.log.read_text() == "of today\n"


def removed_by_age(seen: Seen) -> None:
    """The one that looks old goes when another is rotated, and that stays."""
    seen.prints("x" * 1500 + "\nend 1\n", "end 1")
    young = older(seen)[0]
    old = young.with_name(young.name[: -len(OLD)] + OLD)
    young.rename(old)
    seen.prints("x" * 1500 + "\nend 2\n", "end 2")
    until_there(seen.daemon, lambda: not old.exists())
    assert older(seen)


LIVE: dict[str, Row] = {
    "description": Row("a", "b", holds(lambda s: s.story.description == "b")),
    "tags": Row(["a"], ["b"], holds(lambda s: s.story.tags == ("b",))),
    "extends": Row(None, "base", holds(lambda s: s.story.description == "of the base")),
    "profiles": Row([], ["p"], holds(lambda s: s.row.pid == s.pid)),
    "autostart": Row(True, False, holds(lambda s: not s.row.autostart)),
    "instances": Row(1, 2, lambda s: s.daemon.until_state("instances:2", "running")),
    "restart": Row("never", "always", then(Seen.kill, restarted)),
    "max_retries": Row(5, 0, then(Seen.kill, lambda s: s.until_state("failed"))),
    "backoff.initial": Row("1h", "10ms", after_two_ends, {**SLEEPER, "backoff": {"maximum": "1h"}}),
    "backoff.strategy": Row("linear", "exponential", backs_off(3, about(10)), fails(factor=100)),
    "backoff.maximum": Row("1s", "8s", backs_off(3, about(8)), fails(factor=100)),
    "backoff.factor": Row(1, 70, backs_off(3, about(7)), fails()),
    "backoff.jitter": Row(
        0, 0.5, backs_off(2, lambda delay: abs(delay - 3600) > 0.01), fails(initial="1h", maximum="10h")
    ),
    "stable_after": Row("1h", "10ms", lambda s: s.until(lambda row: "stable again" in row.reason)),
    "success_exit_codes": Row(
        [], [3], then(lambda s: os.kill(s.pid, signal.SIGUSR1), lambda s: s.until_state("exited")), speaks()
    ),
    "start_timeout": Row(
        "1h",
        "50ms",
        lambda s: s.until(lambda r: r.last_exit is not None and r.restarts > 0),
        {**SLEEPER, "type": "notify"},
    ),
    "max_runtime": Row("1h", "50ms", lambda s: s.until(lambda r: r.last_exit is not None)),
    "stop.signal": Row("TERM", "INT", then(Seen.stopped, printed("got INT")), speaks()),
    "stop.timeout": Row(
        "1h",
        "50ms",
        then(Seen.stopped, lambda s: s.until_state("stopped")),
        {"shell": "trap '' TERM; exec sleep 10000"},
    ),
    "stop.scope": Row(
        "main",
        "group",
        then(Seen.stopped, printed("child got TERM")),
        {
            "shell": "trap 'wait; wait' TERM; "
            "sh -c 'trap \"echo child got TERM\" TERM; echo up; sleep 10000 & wait' & wait; wait"
        },
    ),
    "stop.steps": Row(
        [{"TERM": "1h"}],
        [{"HUP": "10ms"}, {"TERM": "1h"}],
        then(Seen.stopped, printed("got HUP")),
        speaks(),
    ),
    "depends_on": Row([], ["base"], holds(lambda s: s.story.depends_on == ("base",))),
    "lazy": Row(
        False, True, then(Seen.exits, lambda s: s.until_state("waiting")), {**speaks(), "sockets": "@lazy-socket"}
    ),
    "schedule": Row("@yearly", "@daily", holds(lambda s: s.story.schedule.startswith("@daily"))),
    "timezone": Row(
        "UTC", "Asia/Tokyo", holds(lambda s: "Tokyo" in s.story.schedule), {**SLEEPER, "schedule": "0 3 * * *"}
    ),
    "overlap": Row("skip", "kill", killed_by_the_next, {**SLEEPER, "schedule": "@every 1s"}),
    "ready": Row({"file": "/nonexistent"}, {"file": "/dev/null"}, lambda s: s.until(lambda row: row.ready)),
    "health": Row(None, {"file": "/dev/null"}, lambda s: s.until(lambda row: row.health == "healthy")),
    "watch": Row(
        None,
        {"paths": ["watched"], "debounce": "10ms"},
        then(edit_when_watched, restarted),
    ),
    "reload": Row(None, "HUP", then(Seen.reloads, printed("got HUP")), speaks()),
    "hooks.pre_start": Row([], HOOK, by_hook(Seen.kill)),
    "hooks.post_start": Row([], HOOK, by_hook(Seen.kill)),
    "hooks.pre_stop": Row([], HOOK, by_hook(Seen.stopped)),
    "hooks.post_stop": Row([], HOOK, by_hook(Seen.stopped)),
    "hooks.on_failed": Row([], HOOK, by_hook(Seen.kill), {**SLEEPER, "restart": "never"}),
    "hooks.on_unhealthy": Row([], HOOK, by_hook(ill), {**SLEEPER, "health": "PROBE"}),
    "hooks.on_healthy": Row(
        [],
        HOOK,
        by_hook(then(ill, lambda s: s.until(lambda r: r.health == "unhealthy"), well)),
        {**SLEEPER, "health": "PROBE"},
    ),
    "log.format": Row("plain", "json", in_file("hello", lambda text: json.loads(text.splitlines()[-1])["message"])),
    "log.timestamps": Row(False, True, in_file("hello", lambda text: text.splitlines()[-1].startswith("20"))),
    "log.parse": Row(
        "none",
        "json",
        in_file('{"a": 1}', lambda text: '"fields":{"a":1}' in text.replace(" ", "")),
        speaks(log={"format": "json"}),
    ),
    "log.strip_ansi": Row(
        False, True, in_file("\x1b[31mred\x1b[0m", lambda text: "\x1b" not in text.partition("up\n")[2])
    ),
    "log.max_line": Row(
        "64KB", "256", in_file("y" * 600, lambda text: "y" * 300 not in text), speaks(log={"timestamps": True})
    ),
    "log.rate": Row(None, {"lines": "1/h", "burst": 1}, drops, speaks()),
    "log.rotate.size": Row("none", "1KB", rotated(4)),
    "log.rotate.every": Row("none", "daily", rotated_by_day),
    "log.rotate.keep": Row(9, 1, rotated(1), speaks(log={"rotate": SMALL})),
    "log.rotate.max_age": Row(None, "1h", removed_by_age, speaks(log={"rotate": SMALL})),
    "log.rotate.max_total": Row("none", "3KB", lambda s: rotated_at_most(s, 2), speaks(log={"rotate": SMALL})),
    "log.rotate.compress": Row("none", "gzip", compressed, speaks(log={"rotate": SMALL})),
}


def option_of(status: str, wanted: str) -> Callable[[Seen], None]:
    return holds(lambda seen: wanted in seen.proc(status))


def has(variable: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        found = environ(seen.row.pid or 0)
        assert any(
            each == variable.encode() or (variable[-1] == "=" and each.startswith(variable.encode())) for each in found
        )

    return check


RESTARTS: dict[str, Row] = {
    "exec": Row("sleep", "/bin/sleep", option_of("cmdline", "/bin/sleep"), {"args": ["10000"]}),
    "args": Row(["10000"], ["10001"], option_of("cmdline", "10001"), {"exec": "sleep"}),
    "command": Row("sleep 10000", "sleep 10001", option_of("cmdline", "10001"), {}),
    "shell": Row("exec sleep 10000", "exec sleep 10001", option_of("cmdline", "10001"), {}),
    "env_file": Row(None, "new.env", has("FROM_FILE=1")),
    "secrets": Row(None, {"S": {"env": "HOME"}}, has("S=")),
    "env": Row({"A": "1"}, {"A": "2"}, has("A=2")),
    "inherit_env": Row(
        True, False, holds(lambda s: not [v for v in environ(s.row.pid or 0) if v.startswith(b"HOME=")])
    ),
    "cwd": Row("/", "/dev", holds(lambda s: os.readlink(f"/proc/{s.row.pid}/cwd") == "/dev")),
    "user": Row(None, "nobody", option_of("status", "Uid:\t65534"), {**SLEEPER, "cwd": "/"}),
    "group": Row(None, "daemon", option_of("status", "Gid:\t1\t")),
    "supplementary_groups": Row(
        None,
        ["video"],
        holds(lambda s: str(grp.getgrnam("video").gr_gid) in s.proc("status").partition("Groups:")[2].split("\n")[0]),
    ),
    "umask": Row("022", "027", option_of("status", "Umask:\t0027")),
    "nice": Row(None, 5, holds(lambda s: os.getpriority(os.PRIO_PROCESS, s.row.pid or 0) == 5)),
    "oom_score_adj": Row(None, 500, option_of("oom_score_adj", "500")),
    "type": Row("simple", "notify", has("PSERV_SERVICE=type")),
    "pid_file": Row(None, "f.pid", holds(lambda s: s.row.state.value == "running"), "FORKING"),  # type: ignore[arg-type]
    "port": Row(3001, 3002, has("PORT=3002")),
    "sockets": Row("@one", "@two", has("LISTEN_FDS=1")),
    "stdout": Row("log", "null", holds(lambda s: os.readlink(f"/proc/{s.row.pid}/fd/1") == "/dev/null")),
    "stderr": Row(None, "null", holds(lambda s: os.readlink(f"/proc/{s.row.pid}/fd/2") == "/dev/null")),
    "tty": Row(False, True, holds(lambda s: os.readlink(f"/proc/{s.row.pid}/fd/1").startswith("/dev/pts/"))),
    "watchdog": Row(None, "1h", has("WATCHDOG_USEC=3600000000")),
}

IN_THE_END = {"essential", "missed", "log.on_full"}
"""Live, too; what they do to the daemon, after it, or with a disk is seen by a test of its own below."""
ELSEWHERE = {"name"}
"""Is the key, and no option of its own."""


def test_no_option_is_forgotten_here() -> None:
    assert options(ServiceSpec) == {*LIVE, *RESTARTS, *IN_THE_END, *ELSEWHERE}
    assert RESTARTS.keys() == FIXED


def declared(folder: Path, *, after: bool) -> str:
    services: dict[str, dict[str, Any]] = {"base": {**SLEEPER, "description": "of the base"}}
    for option, row in {**LIVE, **RESTARTS}.items():
        base: Any = row.base
        if option.startswith("log.") and base is SLEEPER:
            base = speaks()
        if base == "FORKING":
            base = {"type": "forking", "shell": "sleep 10000 & echo $! > f.pid"}
        spec = json.loads(json.dumps(base))
        name = option.replace(".", "-")
        if "shell" in spec and option not in RESTARTS:
            spec["env"] = {"SAY": str(folder / f"{name}.say")}
        if spec.get("health") == "PROBE":
            spec["health"] = {
                "file": str(folder / f"{name}.well"),
                "interval": "100ms",
                "failures": 1,
                "on_failure": "none",
            }
        place = spec
        *outer, last = option.split(".")
        for each in outer:
            place = place.setdefault(each, {})
        value = row.after if after else row.before
        if value is not None:
            place[last] = value
        services[name] = spec
    return json.dumps({"services": services})


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_every_option_acts_as_the_schema_says(tmp_path: Path) -> None:
    for option in LIVE:
        (tmp_path / f"{option.replace('.', '-')}.well").touch()
    tmp_path.chmod(0o755)
    (tmp_path / "new.env").write_text("FROM_FILE=1\n")
    with Daemon(tmp_path, declared(tmp_path, after=False)) as daemon:
        daemon.env["PSERV_PROFILES"] = "p"
        daemon.up("--no-wait")
        unready = ("start_timeout", "ready")
        with daemon.client() as client:
            names = tuple(name for name in daemon.status() if name not in unready)
            list(client.stream("wait", op.Wait(names, "settled")))
            for name in unready:
                daemon.until(name, lambda row: row.pid is not None)
        for name in ("stable_after",):
            kill(daemon.pid(name))
            daemon.until(name, lambda row: row.restarts == 1 and row.state.value == "running")
        for option in LIVE:
            if "echo up" in json.dumps({**LIVE[option].base}) or option.startswith("log."):
                daemon.until_line(option.replace(".", "-"), "up")
        before = daemon.status()
        daemon.write(declared(tmp_path, after=True))
        with daemon.client() as client:
            plan, *_ = client.stream("reload", op.Reload(wait=False))
        assert isinstance(plan, op.Plan)
        actions = {step.service: step.action for step in plan.steps if step.service in before}
        assert {option for option in LIVE if actions.get(option.replace(".", "-"), "live") != "live"} <= {
            "profiles",
            "extends",
        }
        for option in RESTARTS:
            daemon.until(option, lambda row: bool(row.pid) and row.run_id != before[row.name].run_id)
        after = daemon.status()
        moved = []
        for option in LIVE:
            name = next(each for each in (option.replace(".", "-"), f"{option}:1") if each in before)
            if option not in ("start_timeout", "max_runtime", "overlap") and before[name].run_id != after[name].run_id:
                moved.append(option)
        assert moved == []
        assert {option: runs(daemon, option) for option in RESTARTS} == dict.fromkeys(RESTARTS, 2)
        wrong = {}
        for option, row in {**LIVE, **RESTARTS}.items():
            name = next(each for each in (option.replace(".", "-"), f"{option}:1") if each in before)
            try:
                row.seen(Seen(daemon, name, before[name]))
            except AssertionError as error:
                wrong[option] = str(error)
        assert not wrong, wrong


def in_the_end(*, after: bool) -> str:
    missed, essential, on_full = ("run", True, "drop-oldest") if after else ("skip", False, "block")
    services = {
        "job": {"shell": "echo ran", "schedule": "0 0 1 1 *", "timezone": "UTC", "missed": missed},
        "full": speaks(stdout="disk/full.log", env={"SAY": "say"}, log={"on_full": on_full}),
        "vital": {**SLEEPER, "restart": "never", "essential": essential},
    }
    return json.dumps({"services": services})


def test_live_options_that_are_seen_in_the_end(tmp_path: Path, small_disk: Path) -> None:
    """A run that was missed is made up for by the next daemon, and who became essential ends this one."""
    (tmp_path / "say").write_text("z" * 99 + "\n")
    with Daemon(tmp_path, in_the_end(after=False)) as daemon:
        daemon.up()
        daemon.until_line("full", "up")
        before = daemon.status()
        (tmp_path / "say").write_text(("z" * 99 + "\n") * 40_000)
        os.kill(before["full"].pid or 0, signal.SIGUSR2)
        waits = daemon.until("full", lambda row: row.trouble != "")
        assert waits.dropped_lines == 0
        daemon.write(in_the_end(after=True))
        plan = daemon.pserv("reload", "--no-wait", check=0).stdout
        assert plan.count("live") == 3, plan
        row = daemon.until("full", lambda row: row.dropped_lines > 0)
        assert row.pid == before["full"].pid
        assert daemon.status()["vital"].pid == before["vital"].pid
        until_there(daemon, lambda: list(tmp_path.glob("state/*/schedule.json")))
        keeper = os.pidfd_open(daemon.daemon().keeper_pid)
        kill(before["vital"].pid or 0)
        assert select.select([keeper], [], [], PATIENCE)[0], "the daemon goes on without who is essential"
        os.close(keeper)
        (times,) = tmp_path.glob("state/*/schedule.json")
        kept = json.loads(times.read_bytes())
        kept["job"]["at"] -= 366 * DAY
        times.write_text(json.dumps(kept))
        daemon.up("job")
        daemon.until_line("job", "ran")
        assert "was missed while no daemon ran" in daemon.pserv("events", "job", check=0).stdout


def runs(daemon: Daemon, name: str) -> int:
    """So many runs of it began."""
    return len({change.run for change in daemon.story(name).history if change.run})
