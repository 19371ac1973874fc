"""Another process goes on for a main process that has ended: the one that is named, or the only one; its own only."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pserv.keeper.protocol import Message
from tests.keeper.rig import Daemon, Supervisor, alive, ended
from tests.keeper.speaking import speaker

Start = Callable[..., Daemon]

both = pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "signs"])

WAITS = "signal.pthread_sigmask(signal.SIG_BLOCK, [10]); "
LEAVES = f"""
{WAITS}
if os.fork() == 0:
    os.setsid()
    middle = os.getpid()
    if os.fork() == 0:
        while os.getppid() == middle:
            os.sched_yield()
        say(f"STATUS={{os.getpid()}}")
        code = 5 if signal.sigwait([10]) else 0
        os._exit(code)
    os._exit(0)
"""
"""Forks twice; the process that is left says which it is, and ends with 5 at SIGUSR1."""


def leave(supervisor: Supervisor, run: int, code: str = LEAVES, key: str = "web", leaves: int = 1) -> list[int]:
    """Spawn it and wait until its command has ended; the processes that it says it left."""
    supervisor.up(key, run, *speaker(code), notify=True)
    pids = [int(supervisor.report("notice", run)["text"].removeprefix("STATUS=")) for _ in range(leaves)]
    report = supervisor.report("exited", run)
    assert (report["code"], report["gone"]) == (0, not leaves)
    return pids


def adopt(supervisor: Supervisor, run: int, pid: int | None = None, key: str = "web") -> Message:
    """What came of the command."""
    named: dict[str, Any] = {} if pid is None else {"pid": pid}
    supervisor.do(key, {"do": "adopt", "run": run, **named})
    message, _ = supervisor.next(lambda message: message.get("kind") in ("adopted", "unadopted"))
    supervisor.do(key, ack=[message["id"]])
    return message


@both
@pytest.mark.parametrize("named", [True, False], ids=["named", "alone"])
def test_it_goes_on_for_the_one_that_ended(daemon: Start, cgroups: bool, named: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    (pid,) = leave(supervisor, 1)
    told = adopt(supervisor, 1, pid if named else None)
    assert (told["kind"], told["pid"]) == ("adopted", pid)
    assert adopt(supervisor, 1, pid)["kind"] == "adopted"  # once more, after a supervisor's death
    supervisor.signal("web", 1, signal.SIGUSR1)
    report = supervisor.report("exited", 1)
    assert (report["pid"], report["code"], report["gone"]) == (pid, 5, True)
    leave(supervisor, 2, "pass", leaves=0)


@both
def test_only_a_process_of_its_own_is_believed(daemon: Start, cgroups: bool) -> None:
    rig = daemon(cgroups=cgroups)
    supervisor = rig.supervisor()
    (other,) = leave(supervisor, 1, key="other")
    (pid,) = leave(supervisor, 2)
    strange = {
        1: "process 1 is none of this service's",
        os.getpid(): f"process {os.getpid()} is none of this service's",
        rig.process.pid: f"process {rig.process.pid} is none of this service's",
        other: f"process {other} is none of this service's",
        2**30: f"there is no process {2**30}",
    }
    for each, text in strange.items():
        told = adopt(supervisor, 2, each)
        assert (told["kind"], told["text"]) == ("unadopted", text)
    assert adopt(supervisor, 2, pid)["kind"] == "adopted"
    told = adopt(supervisor, 2, other)
    assert told["text"] == f"its main process {pid} has not ended"
    supervisor.kill("web", 2)
    assert supervisor.report("exited", 2)["signal"] == signal.SIGKILL
    assert ended(pid)


@both
def test_the_one_that_ended_is_not_believed_either(daemon: Start, cgroups: bool) -> None:
    """A pid file that was written before the fork."""
    supervisor = daemon(cgroups=cgroups).supervisor()
    first = supervisor.up("web", 1, *speaker(LEAVES), notify=True)
    supervisor.report("exited", 1)
    assert adopt(supervisor, 1, first)["text"] == f"process {first} is the one that was started, and has ended"
    supervisor.kill("web", 1)
    assert supervisor.report("gone", 1)["survivors"] == []


@both
def test_several_are_not_guessed_between(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    pids = leave(
        supervisor, 1, f"for _ in 'ab':\n{''.join(f'    {line}' for line in LEAVES.splitlines(True))}", leaves=2
    )
    text = adopt(supervisor, 1)["text"]
    assert text.startswith("left 2 processes in the background, ")
    assert all(f"{pid} (python" in text for pid in pids)
    assert text.endswith("and no pid_file names the main one")
    # One who forks workers is the one.
    os.kill(pids[0], signal.SIGKILL)
    assert ended(pids[0])
    assert adopt(supervisor, 1)["pid"] == pids[1]
    supervisor.kill("web", 1)
    supervisor.report("exited", 1)


@both
def test_one_with_workers_is_known_among_them(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    master = """
    if os.fork() == 0:
        os.setsid()
        main = os.getpid()
        for _ in range(3):
            if os.fork() == 0:
                rest()
        say(f"STATUS={main}")
        rest()
    """
    (pid,) = leave(supervisor, 1, master)
    assert adopt(supervisor, 1)["pid"] == pid
    supervisor.kill("web", 1)
    supervisor.report("exited", 1)


@both
def test_nobody_is_left_to_go_on(daemon: Start, cgroups: bool) -> None:
    """Told before or after it is asked for: nothing but that it is gone."""
    supervisor = daemon(cgroups=cgroups).supervisor()
    (pid,) = leave(supervisor, 1)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    supervisor.do("web", {"do": "adopt", "run": 1})
    supervisor.report("gone", 1)
    supervisor.do("web", {"do": "adopt", "run": 1})
    leave(supervisor, 2, "pass", leaves=0)
    assert not supervisor.seen("adopted")
    assert not supervisor.seen("unadopted")


@both
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_the_next_keeper_program_goes_on(daemon: Start, cgroups: bool, before: bool) -> None:
    rig = daemon(cgroups=cgroups)
    supervisor = rig.supervisor()
    (pid,) = leave(supervisor, 1)
    if before:
        assert adopt(supervisor, 1, pid)["kind"] == "adopted"
    supervisor.ask({"op": "upgrade", "keeper": True, "argv": [sys.executable, "-m", "tests.keeper.daemon_main"]})
    supervisor.op("yield")
    supervisor.send({"op": "yielded"})
    new = rig.supervisor()
    (record,) = [row for row in new.table["records"] if row["key"] == "web"]
    assert record["run"]["state"] == ("running" if before else "exited")
    if not before:
        assert adopt(new, 1, pid)["kind"] == "adopted"
    assert alive(pid)
    new.signal("web", 1, signal.SIGUSR1)
    report = new.report("exited", 1)
    assert (report["pid"], report["code"]) == (pid, 5)
