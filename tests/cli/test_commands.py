"""Commands against a pretend daemon: what is asked of it, what is printed where, and the exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pserv.api import operations as op
from pserv.cli.main import UNREACHABLE, main
from pserv.model.errors import ExitCode, NoSuchService, Refused
from pserv.model.events import Change
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.states import Goal, Phase, State
from pserv.model.status import (
    CrashStatus,
    Environment,
    KeptConfiguration,
    LastExit,
    Launch,
    OptionChange,
    ReloadStep,
    Variable,
)
from tests.cli.pretend import CUT, Answer, Daemon, outcome, service, status, story

Run = Callable[..., tuple[int, str, str]]
GAVE_UP = "gave up after 5 retries: exit code 1; policy on-failure"


@pytest.fixture
def pretend(tmp_path: Path) -> Callable[..., AbstractContextManager[Daemon]]:
    """A pretend daemon with these answers."""

    def make(**answers: Answer) -> Daemon:
        return Daemon(tmp_path / "s", answers)

    return make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line against a daemon; exit code, stdout, stderr."""

    def call(daemon: Daemon | Path, *line: str) -> tuple[int, str, str]:
        path = daemon.path if isinstance(daemon, Daemon) else str(daemon)
        code = main([line[0], "--socket", path, *line[1:]])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def change(name: str, phase: Phase, **fields: Any) -> op.Progress:
    return op.Progress(Change(seq=1, at=1.0, service=name, kind="state", phase=phase, goal=Goal.UP, **fields))


# -- status, why, list, show, version -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "line", "code"),
    [
        ([service("web")], ["status"], 0),
        ([service("web"), service("old", State.STOPPED)], ["status"], 0),
        ([service("web"), service("old", State.STOPPED)], ["status", "@all"], 3),
        ([service("bad", State.FAILED), service("old", State.STOPPED)], ["status", "*"], 1),
        ([service("bad", State.BACKOFF)], ["status"], 1),
        ([service("web", health="unhealthy")], ["status"], 1),
        ([service("web", State.EXITED)], ["status", "w*"], 0),
    ],
)
def test_exit_code_of_status(pretend: Any, run: Run, services: list[Any], line: list[str], code: int) -> None:
    with pretend(status=lambda _: status(*services)) as daemon:
        assert run(daemon, *line)[0] == code
        assert run(daemon, *line, "--json")[0] == code
        assert daemon.requests[0] == ("status", op.Names(tuple(line[1:])))


def test_status_says_nothing_of_a_daemon_that_is_well(pretend: Any, run: Run) -> None:
    with pretend(status=lambda _: status(service("web"))) as daemon:
        _, out, err = run(daemon, "status")
    assert out.splitlines()[0].startswith("NAME")
    assert err == ""


def test_status_tells_the_troubles_of_the_daemon_first(pretend: Any, run: Run) -> None:
    trouble = ("pserv.yaml changed at 17:03, not loaded",)
    told = status(service("web"), supervisor_restarts=2, trouble=trouble, safe=True, last_traceback="a\nKeyError: 1\n")
    with pretend(status=lambda _: told) as daemon:
        _, out, _ = run(daemon, "status")
    assert out.splitlines()[:4] == [
        "safe mode: the supervisor died repeatedly; nothing new is started (pserv stop, logs, status work)",
        "the supervisor was replaced twice since the daemon's start; no service was touched",
        "pserv.yaml changed at 17:03, not loaded",
        "KeyError: 1",
    ]


def test_status_json_is_the_answer_of_the_api(pretend: Any, run: Run) -> None:
    told = status(service("wéb"))
    with pretend(status=lambda _: told) as daemon:
        _, out, _ = run(daemon, "status", "--json")
    assert json.loads(out) == json.loads(msgspec.json.encode(told))


def test_status_of_a_name_is_its_story(pretend: Any, run: Run) -> None:
    row = service(
        "worker", State.FAILED, reason=GAVE_UP, restarts=5, retries_left=0, trouble="SIGKILL was needed",
        last_exit=LastExit("exit-code", 1.0, "exit code 1", 1, uptime=2.0),
    )  # fmt: skip
    told = story(
        row, description="does the work", command="work --hard", cwd="/srv", user="app", policy="on-failure",
        depends_on=("db",), needed_by=("web",), stdout="/var/log/worker.log", stderr="/var/log/worker.log",
        why=("failed for 3 s: gave up", "next: nothing until it is started by hand"),
        crash=CrashStatus(1.0, "exit code 1", 2.0, 0.5, 0.25, 10 << 20, ("no database",)),
        history=(change("worker", Phase.FAILED, reason="gave up").change,), lines=("one", "two\x1b[2J"), stale=True,
    )  # fmt: skip
    with pretend(story=lambda _: [told]) as daemon:
        code, out, _ = run(daemon, "status", "worker")
    assert code == 1
    for expected in (
        "worker - does the work", GAVE_UP, "SIGKILL was needed", "exit code 1, ", "5, 0 left", "work --hard", "/srv",
        "needs  db", "needed by  web", "/var/log/worker.log", "failed for 3 s: gave up", "no database",
        "used 0.50 s user, 0.25 s system, 10 MB", "failed · gave up", "two\\x1b[2J", "pserv restart worker",
    ):  # fmt: skip
        assert expected in out
    assert out.count("/var/log/worker.log") == 1
    assert "\x1b" not in out


def test_the_story_tells_ready_and_health_beside_the_state(pretend: Any, run: Run) -> None:
    row = service("web", ready=False, health="unhealthy", since=1.0, reason="unhealthy: http 500")
    with pretend(story=lambda _: [story(row, why=("running for 2 s, not ready, unhealthy: http 500",))]) as daemon:
        code, out, _ = run(daemon, "status", "web")
    (state,) = (line for line in out.splitlines() if line.startswith("      state"))
    assert (code, state.startswith("      state  running since 19"), state.endswith("), not ready, unhealthy")) == (
        1, True, True,
    )  # fmt: skip


def test_why_is_a_chain_of_sentences(pretend: Any, run: Run) -> None:
    told = story(
        service("web", State.WAITING, reason="waits for db"), why=("waiting for 2 s: for db", "db: failed: no disk")
    )
    with pretend(story=lambda _: [told]) as daemon:
        code, out, _ = run(daemon, "why", "web")
    assert (code, out) == (0, "web: waiting for 2 s: for db\n  db: failed: no disk\n")


def test_list_is_a_name_and_a_state_a_line(pretend: Any, run: Run) -> None:
    with pretend(status=lambda _: status(service("web"), service("database", State.STOPPED))) as daemon:
        assert run(daemon, "list") == (0, "web running\ndatabase stopped\n", "")


def test_show_is_the_exact_exec(pretend: Any, run: Run) -> None:
    launch = Launch(
        argv=("python3", "-c", "print('a b')"), env={"B": "2", "A": "1"}, inherits="all", cwd="/", user="root",
        group="root", groups=("wheel",), umask="022", steps=("chdir /",),
    )  # fmt: skip
    with pretend(show=lambda _: {"web": launch}) as daemon:
        _, out, _ = run(daemon, "show", "web")
    assert """python3 -c 'print('"'"'a b'"'"')'""" in out
    assert "root:root and wheel" in out
    assert out.index("A=1") < out.index("B=2")
    assert "chdir /" in out


def test_variables_and_what_differs(pretend: Any, run: Run) -> None:
    told = (
        Variable(name="A", value="2", origin="pserv.yaml:9", running="1", differs="changed"),
        Variable(name="B", value="b", origin="set by Pserv"),
        Variable(name="KEY", value="***", origin="x", running="***", differs="changed"),
        Variable(name="NEW", value="n", origin="pserv.yaml:3", differs="added"),
        Variable(name="OLD", running="o", differs="removed"),
    )
    answer = {
        "web": Environment(variables=told, pid=7, trouble=("no files",)),
        "down": Environment(variables=told[1:2]),
    }
    with pretend(environment=lambda _: answer) as daemon:
        code, out, err = run(daemon, "show", "web", "--env")
        _, diff, _ = run(daemon, "show", "web", "--diff")
        _, data, _ = run(daemon, "show", "web", "--diff", "--json")
    assert (code, err) == (0, "no files\n")
    assert out.splitlines() == [
        *("web", "  A=2      pserv.yaml:9", "  B=b      set by Pserv", "  KEY=***  x", "  NEW=n    pserv.yaml:3"),
        *("", "down", "  B=b  set by Pserv"),
    ]
    assert diff.splitlines() == [
        "web: its next start differs from what pid 7 got",
        *("  ~ A=1 → 2  pserv.yaml:9", "  ~ KEY changed  x", "  + NEW=n  pserv.yaml:3", "  - OLD=o"),
        *("", "down: does not run, so there is nothing to compare with"),
    ]
    assert [each["name"] for each in json.loads(data)["web"]["variables"]] == ["A", "KEY", "NEW", "OLD"]


def test_version_tells_of_an_upgrade_that_is_due(pretend: Any, run: Run) -> None:
    with pretend(version=lambda _: op.Version("0.0.1", "3.11.1", 1, "0.0.0")) as daemon:
        code, out, err = run(daemon, "version")
    assert code == 0
    assert "daemon 0.0.1, its keeper 0.0.0 (Python 3.11.1, protocol 1)" in out
    assert "hint: pserv upgrade" in err


# -- start, stop, restart, wait -------------------------------------------------------------------------------------


def test_outcomes_are_sentences_on_stdout(pretend: Any, run: Run) -> None:
    def start(request: op.Act) -> Iterator[Any]:
        yield change("web", Phase.STARTING)
        yield op.Done(
            False,
            (
                outcome("web", pid=4242),
                outcome("worker", ok=False, state=State.FAILED, reason=GAVE_UP, after=0.24),
                outcome("migrate", state=State.EXITED, after=12.3),
            ),
        )

    with pretend(start=start) as daemon:
        code, out, err = run(daemon, "start", "web", "worker", "migrate", "--timeout", "5s")
    assert code == 1
    assert out.splitlines() == [
        "web: running, pid 4242, after 0.8 s",
        f"worker: failed after 0.2 s: {GAVE_UP}",
        "migrate: exited, after 12 s",
    ]
    assert err == ""
    assert daemon.requests == [("start", op.Act(("web", "worker", "migrate"), timeout=5.0))]


def test_without_waiting_nobody_claims_an_end(pretend: Any, run: Run) -> None:
    with pretend(stop=lambda _: [op.Done(True, (outcome("web", state=State.STOPPING),))]) as daemon:
        assert run(daemon, "stop", "--all", "--no-wait") == (0, "web: stopping\n", "")
        assert daemon.requests == [("stop", op.Act(all=True, wait=False))]


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_stop_and_restart_want_a_name(run: Run, tmp_path: Path, verb: str) -> None:
    code, out, err = run(tmp_path / "none", verb)
    assert (code, out) == (2, "")
    assert err == f"cannot {verb}: no service was named\nhint: pserv {verb} NAME, or pserv {verb} --all\n"


def test_start_without_a_name_is_what_is_autostart(pretend: Any, run: Run) -> None:
    with pretend(start=lambda _: [op.Done(True)]) as daemon:
        assert run(daemon, "start")[0] == 0
        assert daemon.requests == [("start", op.Act())]


def test_json_of_an_action_is_one_document(pretend: Any, run: Run) -> None:
    with pretend(restart=lambda _: [change("web", Phase.STOPPING), op.Done(True, (outcome("web"),))]) as daemon:
        _, out, _ = run(daemon, "restart", "web", "--json")
    assert json.loads(out)["outcomes"][0]["service"] == "web"
    assert json.loads(out)["ok"] is True


def test_the_waiting_outlives_a_supervisor(pretend: Any, run: Run) -> None:
    waits = iter([[CUT], [op.Done(True, (outcome("web"),))]])
    with pretend(restart=lambda _: [change("web", Phase.STOPPING), CUT], wait=lambda _: next(waits)) as daemon:
        assert run(daemon, "restart", "web", "--timeout", "9s") == (0, "web: running, after 0.8 s\n", "")
    again = op.Wait(("web",), "settled", 9.0)
    assert [request for name, request in daemon.requests if name == "wait"] == [again, again]


def test_wait_asks_for_its_condition(pretend: Any, run: Run) -> None:
    with pretend(wait=lambda _: [op.Done(True, (outcome("web", state=State.STOPPED),))]) as daemon:
        assert run(daemon, "wait", "web", "--for", "stopped") == (0, "web: stopped, after 0.8 s\n", "")
        assert daemon.requests == [("wait", op.Wait(("web",), "stopped"))]


# -- reload, signal -------------------------------------------------------------------------------------------------


def test_reload_tells_its_plan_before_the_outcomes(pretend: Any, run: Run) -> None:
    plan = op.Plan(
        (
            ReloadStep("old", "remove"),
            ReloadStep(
                "web",
                "restart",
                ("env.PORT: 1 -> 2",),
                (
                    OptionChange("env.PORT", False, "1", "2", "pserv.yaml:12"),
                    OptionChange("env.TOKEN", False, None, None, "pserv.yaml:13"),
                    OptionChange("env.OLD_KEY", False, "***", None),
                    OptionChange("stop.timeout", True, "5 s", "6 s"),
                ),
            ),
            ReloadStep("worker", "live", details=(OptionChange("log.rotate.size", True, "10MB", "50MB", "a.yaml:1"),)),
            ReloadStep("db", "unchanged"),
            ReloadStep("new", "add", renamed="old"),
        ),
        ("health: read, not yet active",),
        (OptionChange("daemon.exit_when", True, "(unset)", "never", "pserv.yaml:1"),),
    )
    with pretend(reload=lambda _: [plan, op.Done(True, (outcome("web", pid=7),))]) as daemon:
        code, out, err = run(daemon, "reload")
        _, dry, _ = run(daemon, "reload", "--dry-run")
    assert code == 0
    told = [
        "old: remove",
        "web: restart because env.PORT 1 → 2 (pserv.yaml:12), env.TOKEN changed (pserv.yaml:13), env.OLD_KEY removed; "
        "and stop.timeout 5 s → 6 s, live",
        "worker: log.rotate.size 10MB → 50MB (a.yaml:1), live",
        "new: add; old was renamed new, as it seems: all else is equal",
        "daemon: exit_when (unset) → never (pserv.yaml:1), live",
    ]
    assert out.splitlines() == [*told, "web: running, pid 7, after 0.8 s"]
    assert dry.splitlines() == [*told, "db: unchanged", "web: running, pid 7, after 0.8 s"]
    assert err == "health: read, not yet active\n"


def test_earlier_configurations_are_listed(pretend: Any, run: Run) -> None:
    kept = [KeptConfiguration(1, 0.0, ("web",)), KeptConfiguration(2, 0.0, tuple("abcdefg"))]
    with pretend(configurations=lambda _: kept) as daemon:
        code, out, err = run(daemon, "reload", "--list")
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0))
    assert (code, out.splitlines()) == (
        0,
        [f"1  accepted {at}  1 service: web", f"2  accepted {at}  7 services: a, b, c, d, e, …"],
    )
    assert "--back N" in err


def test_what_is_of_the_configuration_is_not_asked_of_services(pretend: Any, run: Run) -> None:
    with pretend() as daemon:
        for option in ("--previous", "--list", "--rollback-on-failure", "--dry-run"):
            code, _, err = run(daemon, "reload", "web", option)
            assert code == 2
            assert f"hint: pserv reload {option}, or pserv reload web" in err


def test_reload_says_when_there_is_nothing_to_do(pretend: Any, run: Run) -> None:
    with pretend(reload=lambda _: [op.Plan((ReloadStep("web", "unchanged"),)), op.Done(True)]) as daemon:
        assert run(daemon, "reload", "--dry-run") == (0, "nothing changed\n", "")
        assert daemon.requests == [("reload", op.Reload(dry_run=True))]


def test_mistakes_at_a_reload_are_all_told(pretend: Any, run: Run) -> None:
    mistakes = (Mistake("unknown key `exce`", "did you mean exec?", "pserv.yaml", 3, 5), Mistake("too bad"))

    def reload(request: op.Reload) -> list[Any]:
        raise InvalidConfig(mistakes)

    with pretend(reload=reload) as daemon:
        code, out, err = run(daemon, "reload")
        assert json.loads(run(daemon, "reload", "--json")[1])["mistakes"][0]["line"] == 3
    assert (code, out) == (2, "")
    assert "cannot load the configuration: 2 mistakes" in err
    assert "pserv.yaml:3:5: unknown key `exce`" in err
    assert "too bad" in err


def test_signals_go_by_number(pretend: Any, run: Run) -> None:
    with pretend(signal=lambda _: op.Done(True, (outcome("web", reason="signalled"),))) as daemon:
        assert run(daemon, "signal", "SIGHUP", "web", "--group") == (0, "web: signalled\n", "")
        assert daemon.requests == [("signal", op.SendSignal(1, ("web",), group=True))]


def test_a_signal_that_is_none_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "none", "signal", "HUPP", "web")
    assert code == 2
    assert "cannot send a signal: 'HUPP' is not a signal" in err


# -- logs, events, exec ---------------------------------------------------------------------------------------------


def test_logs_of_one_are_bare_and_of_several_have_names(pretend: Any, run: Run) -> None:
    lines = [op.Line("web", "one"), op.Dropped(3), op.Line("database", "two", "stderr")]
    answers = {"logs": lambda _: lines, "status": lambda _: status(service("web"), service("database"))}
    with pretend(**answers) as daemon:
        assert run(daemon, "logs", "web", "-n", "5")[1] == "one\ntwo\n"
        assert daemon.requests[-1] == ("logs", op.Logs(("web",), 5))
        _, out, err = run(daemon, "logs")
        assert out == "web      | one\ndatabase | two\n"
        assert "3 lines were not shown" in err
        documents = [json.loads(line) for line in run(daemon, "logs", "--json")[1].splitlines()]
    assert documents[0] == {"type": "line", "service": "web", "text": "one", "stream": "stdout"}


def test_events_are_a_line_each(pretend: Any, run: Run) -> None:
    with pretend(events=lambda _: [change("web", Phase.BACKOFF, reason="exit code 1", pid=7)]) as daemon:
        code, out, _ = run(daemon, "events", "web", "-n", "3")
        assert daemon.requests == [("events", op.Events(("web",), 3))]
        assert json.loads(run(daemon, "events", "--json")[1])["phase"] == "backoff"
    assert code == 0
    assert out.endswith(" web backoff pid 7 · exit code 1\n")


def test_exec_relays_streams_and_exit_code(pretend: Any, run: Run) -> None:
    printed = [op.Output("stdout", "out"), op.Output("stderr", "err"), op.Ended(42)]
    with pretend(exec=lambda _: printed) as daemon:
        assert run(daemon, "exec", "web", "--", "ls", "-l") == (42, "out", "err")
        assert daemon.requests == [("exec", op.Execute("web", ("ls", "-l")))]
        shown = json.loads(run(daemon, "exec", "--json", "web", "--", "ls")[1])
    assert shown == {"code": 42, "message": "", "stdout": "out", "stderr": "err"}


def test_exec_says_why_a_command_could_not_start(pretend: Any, run: Run) -> None:
    with pretend(exec=lambda _: [op.Ended(127, "cannot exec nope: No such file or directory")]) as daemon:
        code, _, err = run(daemon, "exec", "web", "--", "nope")
    assert code == 127
    assert "cannot exec nope: No such file or directory" in err


# -- errors ---------------------------------------------------------------------------------------------------------


def test_no_such_service(pretend: Any, run: Run) -> None:
    def fail(_: object) -> Any:
        raise NoSuchService("cannot find wbe: there is no such service", "did you mean web?")

    with pretend(status=fail, story=fail, start=fail) as daemon:
        for line in (["status", "wbe"], ["status", "w?"], ["start", "wbe"], ["why", "wbe"]):
            code, out, err = run(daemon, *line)
            assert (code, out) == (4, "")
            assert err == "cannot find wbe: there is no such service\nhint: did you mean web?\n"


def test_refused(pretend: Any, run: Run) -> None:
    def fail(_: object) -> Any:
        raise Refused("cannot start: the daemon is ending")

    with pretend(start=fail) as daemon:
        assert run(daemon, "start") == (1, "", "cannot start: the daemon is ending\n")


def test_nobody_there(run: Run, tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "none", "status")
    assert (code, out) == (5, "")
    assert err.startswith("cannot reach the daemon: ")
    assert "hint: pserv up" in err
    shown = json.loads(run(tmp_path / "none", "status", "--json")[1])
    assert shown["exit_code"] == 5


def test_help_is_for_every_taste(capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for line in ([], ["--help"], ["-h"]):
        assert main(line) == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] == pages[2]
    assert "status       the table; with NAME its full story" in pages[0]
    assert main(["status", "-h"]) == 0
    assert "Usage: pserv status [OPTIONS] [NAME…]" in capsys.readouterr().out


def test_the_exit_code_that_brings_advice_is_that_of_the_model() -> None:
    assert UNREACHABLE == ExitCode.UNREACHABLE
