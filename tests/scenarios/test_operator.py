"""What an operator types, right and wrong: exit codes, messages, what is asked of one service and of several."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon

SERVICES = f"""
services:
  web: {{command: sleep 10000, tags: [front], env: {{PORT: "1", DB_PASSWORD: secret}}}}
  web-2: {{command: sleep 10000, tags: [front]}}
  worker: {{command: sleep 10000, tags: [back], env: {{BEFORE: yes}}, umask: 0027}}
  once: {{shell: exit 0, type: oneshot}}
  bad: {{command: [{sys.executable}, -c, "import sys; print('broken'); sys.exit(3)"], restart: never, autostart: false}}
  trap: {{shell: 'trap "echo got hup" HUP; trap "exit 0" TERM; sleep 1000 & echo ready; while :; do wait; done'}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all who leave it as they find it."""
    with Daemon(tmp_path_factory.mktemp("operator"), SERVICES) as daemon:
        daemon.up()
        yield daemon


NAMED = "pserv {0} NAME, or pserv {0} --all"
MISTYPED = [
    ("strat web", "cannot run 'strat': there is no such command", "did you mean start?"),
    ("--bar", "cannot run pserv: there is no option --bar", "pserv --help"),
    ("status --jsn", "cannot run pserv status: there is no option --jsn", "did you mean --json?"),
    ("stop", "cannot stop: no service was named", NAMED.format("stop")),
    ("restart", "cannot restart: no service was named", NAMED.format("restart")),
    ("signal HUP", "cannot signal: no service was named", "pserv signal HUP NAME, or --all"),
    ("signal HPU web", "cannot send a signal: 'HPU' is not a signal", "pserv signal HUP NAME"),
    ("logs -n x", "cannot read the command line of pserv logs: --lines wants a number, not 'x'", "pserv logs --help"),
    (
        "wait web --timeout soon",
        "cannot read the command line of pserv wait: --timeout: 'soon' is not a duration",
        "a time is written 500ms, 10s or 5m",
    ),
    (
        "wait web --for redy",
        "cannot read the command line of pserv wait: "
        "--for is one of ready, healthy, stopped, done, settled, rolled, not 'redy'",
        "did you mean ready?",
    ),
    ("exec web", "cannot read the command line of pserv exec: it wants NAME -- COMMAND …", "pserv exec --help"),
]


@pytest.mark.parametrize(("line", "message", "hint"), MISTYPED, ids=[line for line, _, _ in MISTYPED])
def test_what_makes_no_sense_is_refused_with_2(ours: Daemon, line: str, message: str, hint: str) -> None:
    refused = ours.pserv(*line.split(), check=2)
    assert refused.stderr == f"{message}\nhint: {hint}\n"
    assert refused.stdout == ""


ALL = "there are: web, web-2, worker, once, bad, trap"
UNKNOWN = [
    ("status wbe", "wbe: no such service", "did you mean web?"),
    ("why wrker", "wrker: no such service", "did you mean worker?"),
    ("stop web nope", "nope: no such service", ALL),
    ("start @frnt", "@frnt: no service has this tag", "did you mean @front?"),
    ("restart x*", "x*: it matches no service", ALL),
    ("logs -f nope", "nope: no such service", ALL),
    ("exec nope -- true", "nope: no such service", ALL),
    ("show nope", "nope: no such service", ALL),
    ("wait nope", "nope: no such service", ALL),
    ("signal HUP nope", "nope: no such service", ALL),
    ("events nope", "nope: no such service", ALL),
    ("list nope", "nope: no such service", ALL),
]


@pytest.mark.parametrize(("line", "message", "hint"), UNKNOWN, ids=[line for line, _, _ in UNKNOWN])
def test_a_name_of_no_service_is_refused_with_4(ours: Daemon, line: str, message: str, hint: str) -> None:
    before = ours.status()
    refused = ours.pserv(*line.split(), check=4)
    assert refused.stderr == f"cannot find {message}\nhint: {hint}\n"
    assert refused.stdout == ""
    assert [row.pid for row in ours.status().values()] == [row.pid for row in before.values()]


def test_up_of_an_unknown_service_changes_nothing(ours: Daemon) -> None:
    refused = ours.pserv("up", "-d", "wbe", check=4)
    assert refused.stderr == "cannot find wbe: no such service\nhint: did you mean web?\n"
    assert refused.stdout == ""


@pytest.mark.parametrize("line", ["status", "stop --all", "start", "logs", "events", "reload", "down", "wait", "list"])
def test_without_a_daemon_everything_says_how_to_start_one_with_5(tmp_path: Path, line: str) -> None:
    daemon = Daemon(tmp_path, SERVICES)
    refused = daemon.pserv(*line.split(), check=5)
    # Where other daemons run on this machine the hint goes on with their names.
    assert refused.stderr.startswith(
        f"cannot reach the daemon: none runs here, there is no {daemon.socket}\nhint: pserv up"
    )
    refused = daemon.pserv(*line.split(), "--json", check=5)
    assert json.loads(refused.stdout)["exit_code"] == 5


def test_the_exit_code_of_status_and_wait_tells_how_it_is(tmp_path: Path) -> None:
    with Daemon(tmp_path, SERVICES) as daemon:
        daemon.up()
        daemon.pserv("status", check=0)
        daemon.pserv("status", "once", check=0)
        daemon.pserv("stop", "web", check=0)
        stopped = daemon.pserv("status", "web", check=3)
        assert "stopped by operator" in stopped.stdout
        daemon.pserv("status", "web*", check=3)
        daemon.pserv("status", check=0)  # as asked: all is well
        daemon.pserv("wait", "web", "--for", "stopped", check=0)
        daemon.pserv("wait", "once", "--for", "done", check=0)
        late = daemon.pserv("wait", "worker", "--for", "stopped", "--timeout", "50ms", check=1)
        assert late.stdout.startswith("worker: running after ")
        assert "still running after 0.05 s" in late.stdout

        daemon.pserv("start", "bad")
        daemon.pserv("wait", "bad", "--for", "stopped", check=0)
        failed = daemon.pserv("status", "bad", check=1)
        assert "exit code 3" in failed.stdout
        assert "broken" in failed.stdout
        daemon.pserv("status", check=1)
        assert daemon.pserv("wait", "bad", "--for", "ready", check=1).stdout.startswith("bad: failed after ")
        assert daemon.pserv("signal", "HUP", "bad", check=1).stdout == (
            "bad: cannot signal bad: it does not run (failed)\n"
        )
        daemon.pserv("stop", "bad", check=0)
        daemon.pserv("start", "web", check=0)
        daemon.pserv("status", "web", check=0)


def test_tags_and_globs_name_several(ours: Daemon) -> None:
    def listed(*names: str) -> list[str]:
        return [line.split()[0] for line in ours.pserv("list", *names, check=0).stdout.splitlines()]

    assert listed("@front") == ["web", "web-2"]
    assert listed("w*") == ["web", "web-2", "worker"]
    assert listed("web?[0-9]", "@back", "worker") == ["web-2", "worker"]
    assert listed() == ["web", "web-2", "worker", "once", "bad", "trap"]
    pids = {name: row.pid for name, row in ours.status().items()}
    restarted = ours.pserv("restart", "@front", check=0).stdout.splitlines()
    assert sorted(line.split(":")[0] for line in restarted) == ["web", "web-2"]
    after = {name: row.pid for name, row in ours.status().items()}
    assert {name for name in pids if pids[name] != after[name]} == {"web", "web-2"}


def test_exec_gives_output_and_exit_code_in_the_services_environment(ours: Daemon) -> None:
    done = ours.pserv("exec", "web", "--", "sh", "-c", "echo out $PORT; pwd; echo err >&2; exit 7", check=7)
    assert done.stdout == f"out 1\n{ours.folder}\n"
    assert done.stderr == "err\n"
    assert ours.pserv("exec", "worker", "--", "sh", "-c", "umask; echo $BEFORE", check=0).stdout == "0027\nyes\n"
    assert ours.pserv("exec", "web", "--", "sh", "-c", "kill -9 $$", check=137).stderr == "killed by signal 9\n"
    missing = ours.pserv("exec", "web", "--", "/no/such/command", check=127)
    assert missing.stderr == "cannot run /no/such/command: cannot exec /no/such/command: No such file or directory\n"
    folder = ours.pserv("exec", "web", "--", str(ours.folder), check=126)
    assert folder.stderr.endswith(f"cannot exec {ours.folder}: it is a folder: Permission denied\n")
    late = ours.pserv("exec", "web", "--timeout", "100ms", "--", "sleep", "100", check=124)
    assert late.stderr == "not done after 0.1 s: killed\n"
    assert len(ours.pserv("exec", "web", "--", "head", "-c", "3000000", "/dev/zero", check=0).stdout) == 3_000_000


def test_show_tells_the_exact_exec_and_masks_secrets(ours: Daemon) -> None:
    shown = ours.pserv("show", "web", "worker", check=0).stdout
    assert "exec  sleep 10000" in shown
    assert f"in  {ours.folder}" in shown
    assert "PORT=1" in shown
    assert "DB_PASSWORD=" in shown
    assert "secret" not in shown
    assert "umask  0027" in shown
    launches = json.loads(ours.pserv("show", "web", "--json", check=0).stdout)
    assert launches["web"]["argv"] == ["sleep", "10000"]
    assert launches["web"]["steps"][-1] == "exec sleep"


def test_a_signal_reaches_the_service(ours: Daemon) -> None:
    with ours.start("logs", "-f", "trap") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "ready\n"
        pid = ours.pid("trap")
        assert ours.pserv("signal", "HUP", "trap", check=0).stdout == "trap: signalled\n"
        assert follower.stdout.readline() == "got hup\n"
        follower.terminate()
    assert ours.pid("trap") == pid
    assert "signal 1 by operator" in ours.pserv("events", "trap", check=0).stdout


def test_a_reload_can_be_looked_at_first_and_taken_back(tmp_path: Path) -> None:
    changed = SERVICES.replace('PORT: "1"', 'PORT: "2"').replace("  once: {shell: exit 0, type: oneshot}\n", "")
    plan = "once: remove\nweb: restart because env.PORT 1 → 2 (pserv.yaml:{line})\nextra: add\n"
    with Daemon(tmp_path, SERVICES) as daemon:
        daemon.up()
        nothing = daemon.pserv("reload", "--previous", check=1)
        assert nothing.stderr == "cannot go back: there was no configuration before this one\n"
        before = daemon.status()
        daemon.write(changed + "  extra: {command: sleep 10000}\n")
        line = next(number for number, text in enumerate(changed.splitlines(), 1) if "PORT" in text)
        plan = plan.format(line=line)
        assert daemon.pserv("reload", "--dry-run", check=0).stdout.startswith(plan)
        assert {name: row.pid for name, row in daemon.status().items()} == {n: row.pid for n, row in before.items()}

        assert daemon.pserv("reload", check=0).stdout.startswith(plan)
        after = daemon.status()
        assert set(after) == {"web", "web-2", "worker", "bad", "trap", "extra"}
        assert {name for name in after if name in before and after[name].pid != before[name].pid} == {"web"}
        assert daemon.pserv("exec", "web", "--", "sh", "-c", "echo $PORT", check=0).stdout == "2\n"
        assert daemon.pserv("reload", check=0).stdout == "nothing changed\n"

        back = daemon.pserv("reload", "--previous", check=0).stdout
        assert "extra: remove" in back
        assert "web: restart because env.PORT 2 → 1" in back
        assert daemon.pserv("exec", "web", "--", "sh", "-c", "echo $PORT", check=0).stdout == "1\n"
        assert set(daemon.status()) == set(before)
        daemon.kill_supervisor()  # what was gone back to is what is accepted
        assert set(daemon.status()) == set(before)


def test_a_stop_that_needed_sigkill_says_so(tmp_path: Path) -> None:
    config = """services:
  deaf: {shell: "trap '' TERM; echo up; while :; do sleep 1000; done", stop: {timeout: 200ms, scope: main}}
  polite: {command: sleep 10000}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        daemon.until_line("deaf", "up")
        told = daemon.pserv("stop", "--all", check=0).stdout
        (deaf,) = (line for line in told.splitlines() if "deaf" in line)
        assert "deaf: stopped, after" in deaf
        assert deaf.endswith(", needed SIGKILL")
        assert told.count("SIGKILL") == 1


def test_a_service_that_cannot_reload_itself_says_what_to_type(ours: Daemon) -> None:
    refused = ours.pserv("reload", "web", check=1)
    assert "cannot reload web: it declares no way to (reload: HUP); pserv restart web" in refused.stdout
    assert "the configuration is as it was" in refused.stderr
