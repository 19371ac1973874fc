"""Services that speak for themselves (sd_notify, s6): ready when they say so, whoever dies; watched; reloading."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.keeper.speaking import speaker
from tests.scenarios.daemon import PATIENCE, Daemon, alive, kill


def services(**declared: dict[str, object]) -> str:
    """A configuration; JSON is YAML."""
    return json.dumps({"services": declared})


def saying(code: str, **options: object) -> dict[str, object]:
    return {"command": speaker(code), "type": "notify", **options}


def test_ready_when_they_say_so(tmp_path: Path, port: int) -> None:
    """Each in its own way: itself, by a child that is gone at once, by a program for scripts, by a line."""
    helper = "pid = os.fork()\nif pid == 0:\n    say('READY=1'); os._exit(0)\nos.waitpid(pid, 0)\nrest()"
    declared: dict[str, dict[str, object]] = {
        "own": saying("say('READY=1\\nSTATUS=serving 3 clients'); rest()"),
        "helper": saying(helper),
        "line": {"shell": "echo >&4; exec sleep 1000", "ready": {"fd": 4}},
        "barrier": saying("say('READY=1'); barrier(); print('past it', flush=True); rest()"),
    }
    if shutil.which("systemd-notify"):
        declared["script"] = {"shell": "systemd-notify --ready --status=scripted; exec sleep 1000", "type": "notify"}
    redis = shutil.which("redis-server")
    if redis:
        words = f"--port {port} --bind 127.0.0.1 --save '' --dir {tmp_path} --supervised systemd"
        declared["redis"] = {"command": f"{redis} {words}", "type": "notify"}
    with Daemon(tmp_path, services(**declared)) as daemon:
        daemon.up()
        rows = daemon.status()
        assert {row.state.value for row in rows.values()} == {"running"}
        for name in declared:
            assert rows[name].reason.endswith(": a line on descriptor 4" if name == "line" else ": READY=1")
        daemon.until_line("barrier", "past it")
        assert rows["own"].says == "serving 3 clients"
        shown = daemon.pserv("status", "own", check=0).stdout
        assert "says  serving 3 clients" in shown
        if redis:
            assert rows["redis"].says == "Ready to accept connections"
            daemon.pserv("restart", "redis", check=0)
            assert daemon.status()["redis"].restarts == 0
        assert daemon.daemon().dropped_notices == 0


WAITS_FOR_USR1 = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
open({fifo!r}, "w").close()
signal.sigwait([signal.SIGUSR1])
say("READY=1\\nSTATUS=said to nobody")
open({fifo!r}, "w").close()
rest()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGCONT])
def test_ready_is_not_lost_while_the_supervisor_is_stopped_or_dies(tmp_path: Path, number: signal.Signals) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Daemon(tmp_path, services(web=saying(WAITS_FOR_USR1.format(fifo=str(fifo)), autostart=False))) as daemon:
        daemon.up()
        daemon.pserv("start", "web", "--no-wait", check=0)
        fifo.open().close()
        pid = daemon.until("web", lambda row: row.pid is not None).pid
        assert pid is not None
        supervisor = daemon.daemon().supervisor_pid
        os.kill(supervisor, signal.SIGSTOP)
        kill(pid, signal.SIGUSR1)
        fifo.open().close()
        kill(supervisor, number)
        row = daemon.until_state("web", "running")
        assert (row.pid, row.says) == (pid, "said to nobody")
        assert daemon.daemon().supervisor_pid == supervisor or number == signal.SIGKILL
        # What was heard before is known to the next one.
        daemon.kill_supervisor()
        row = daemon.until_state("web", "running")
        assert (row.pid, row.says, row.ready) == (pid, "said to nobody", True)


@pytest.mark.long
def test_one_that_hangs_is_aborted_and_started_again(tmp_path: Path) -> None:
    """It pings for a while, then does so no more; the next run does."""
    code = f"""
    every = int(os.environ["WATCHDOG_USEC"]) / 3e6
    hangs = not os.path.exists({str(tmp_path / "hung")!r})
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, every, every)
    say("READY=1")
    for _ in range(4) if hangs else iter(int, 1):
        signal.sigwait([signal.SIGALRM])
        say("WATCHDOG=1")
    open({str(tmp_path / "hung")!r}, "w").close()
    rest()
    """
    with Daemon(
        tmp_path, services(web=saying(code, watchdog="900ms", restart="on-watchdog", stop={"timeout": "1s"}))
    ) as daemon:
        daemon.up()
        pid = daemon.pid("web")
        row = daemon.until_restarted("web", pid)
        assert row.last_exit is not None
        assert (row.last_exit.result, row.last_exit.signal) == ("watchdog", "ABRT")
        assert row.last_exit.uptime > 1.2
        assert "no WATCHDOG=1 for 900 ms" in row.reason
        # A new supervisor goes on watching, and gives it its time.
        daemon.kill_supervisor()
        assert daemon.until_state("web", "running").pid == row.pid
        kill(row.pid or 0, signal.SIGSTOP)
        after = daemon.until_restarted("web", row.pid or 0)
        assert after.restarts == 2
        assert "no WATCHDOG=1" in after.reason


def test_a_main_process_that_ends_before_it_is_ready_has_failed(tmp_path: Path) -> None:
    with Daemon(tmp_path, services(web=saying("say('STATUS=no port\\nERRNO=98')", max_retries=0))) as daemon:
        daemon.up(check=None)
        row = daemon.until_state("web", "failed")
        assert row.last_exit is not None
        assert row.last_exit.result == "protocol"
        why = "\n".join(daemon.story("web").why)
        assert "it said last: no port" in why
        assert "Address already in use (ERRNO=98)" in why


def test_a_reload_of_its_own_program(tmp_path: Path) -> None:
    """As haproxy -Ws: the master says that it reloads, executes itself, and is ready again with the same pid."""
    code = """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGUSR1])
    again = "AGAIN" in os.environ
    say(f"RELOADING=1\\nMONOTONIC_USEC={__import__('time').monotonic_ns() // 1000}\\nSTATUS=Reloading")
    if again:
        signal.sigwait([signal.SIGUSR1])
    say(f"READY=1\\nMAINPID={os.getpid()}\\nSTATUS=Ready.")
    signal.sigwait([signal.SIGUSR2])
    os.environ["AGAIN"] = "1"
    os.execv(sys.executable, sys.orig_argv)
    """
    late = """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    say("READY=1")
    signal.sigwait([signal.SIGUSR2])
    say("RELOADING=1")
    rest()
    """
    declared = {
        "web": saying(code, reload="USR2"),
        "late": saying(late, reload={"signal": "USR2", "timeout": "100ms"}),
        "mute": saying("signal.signal(signal.SIGUSR2, signal.SIG_IGN)\nsay('READY=1')\nrest()", reload="USR2"),
    }
    with Daemon(tmp_path, services(**declared)) as daemon:
        daemon.up()
        pid = daemon.pid("web")
        assert daemon.status()["web"].says == "Ready."
        kill(pid, signal.SIGUSR2)
        row = daemon.until("web", lambda row: row.reloading)
        assert (row.state.value, row.ready, row.pid) == ("running", True, pid)
        assert "reloading" in daemon.pserv("status", check=0).stdout
        daemon.kill_supervisor()
        assert daemon.until_state("web", "running").reloading
        kill(pid, signal.SIGUSR1)
        row = daemon.until("web", lambda row: not row.reloading)
        assert (row.says, row.pid, row.restarts) == ("Ready.", pid, 0)
        # Who asks it to reload hears when it has.
        with daemon.start("reload", "mute") as quiet, daemon.start("reload", "web", "late") as asked:
            daemon.until("web", lambda row: row.reloading)
            kill(pid, signal.SIGUSR1)
            told, _ = asked.communicate(timeout=PATIENCE)
            other, _ = quiet.communicate(timeout=PATIENCE)
        assert (asked.returncode, quiet.returncode) == (1, 0)
        assert "web: reloaded itself by SIGUSR2 after " in told
        assert "cannot reload late: it said RELOADING=1, and no READY=1 within 100 ms" in told
        mute = "mute: was asked to reload itself: SIGUSR2; it has not said within 2 s that it does (RELOADING=1)"
        assert mute in other


def test_another_main_process_is_followed(tmp_path: Path) -> None:
    """One that goes to the background and says where it went is stopped, and restarted, as any other."""
    code = """
    pid = os.fork()
    if pid:
        say(f"MAINPID={pid}\\nREADY=1")
        os._exit(0)
    os.setsid()
    rest()
    """
    with Daemon(tmp_path, services(web=saying(code, restart="always"))) as daemon:
        daemon.up()
        main = daemon.until("web", lambda row: row.ready and row.restarts == 0).pid or 0
        assert alive(main)
        daemon.kill_supervisor()
        assert daemon.until_state("web", "running").pid == main
        kill(main)
        after = daemon.until_restarted("web", main)
        assert after.last_exit is not None
        assert after.last_exit.signal == "KILL"
        daemon.pserv("stop", "web", check=0)
        assert daemon.status()["web"].state.value == "stopped"
        assert not alive(after.pid or 0)


def test_what_it_stored_comes_back_with_a_restart(tmp_path: Path) -> None:
    code = """
    if "LISTEN_FDS" in os.environ:
        say(f"READY=1\\nSTATUS={os.environ['LISTEN_FDNAMES']}: {os.pread(3, 100, 0).decode()}")
    else:
        held = os.memfd_create("state")
        os.write(held, b"42 sessions")
        say("FDSTORE=1\\nFDNAME=sessions", held)
        say("READY=1\\nSTATUS=nothing was stored")
    rest()
    """
    with Daemon(tmp_path, services(web=saying(code, restart="always"))) as daemon:
        daemon.up()
        assert daemon.status()["web"].says == "nothing was stored"
        daemon.pserv("restart", "web", check=0)
        assert daemon.status()["web"].says == "sessions: 42 sessions"
        pid = daemon.pid("web")
        daemon.kill_supervisor()
        kill(pid)
        daemon.until_restarted("web", pid)
        assert daemon.until("web", lambda row: row.ready).says == "sessions: 42 sessions"
        daemon.pserv("stop", "web", check=0)
        daemon.pserv("start", "web", check=0)
        assert daemon.status()["web"].says == "nothing was stored"


def test_a_flood_of_one_delays_nobody(tmp_path: Path) -> None:
    flood = "say('READY=1')\nwhile True:\n    say('STATUS=' + 'x' * 400)\n    say(b'\\xff')"
    declared = {"flood": saying(flood), "web": saying("say('READY=1'); rest()", autostart=False)}
    with Daemon(tmp_path, services(**declared)) as daemon:
        daemon.up()
        for _ in range(3):
            daemon.pserv("start", "web", check=0)
            daemon.pserv("stop", "web", check=0)
        daemon.kill_supervisor()
        daemon.pserv("restart", "web", check=0)
        assert daemon.until_state("flood", "running").restarts == 0
        assert daemon.daemon().dropped_notices > 0
        daemon.pserv("stop", "flood", check=0)
