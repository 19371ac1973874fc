"""What runs say of themselves comes to the supervisor, in order and once; nothing else does."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pserv.keeper.notices import WINDOW
from pserv.keeper.protocol import Message
from pserv.keeper.storing import MOST_OF_ONE
from tests.keeper.rig import Daemon, Supervisor, alive, ended
from tests.keeper.speaking import speaker

Start = Callable[..., Daemon]


def up(supervisor: Supervisor, run: int, code: str, **launch: Any) -> int:
    return supervisor.up("web", run, *speaker(code), notify=True, **launch)


def said(supervisor: Supervisor, run: int, ack: bool = True) -> Message:
    return supervisor.report("notice", run, ack)


def dropped(supervisor: Supervisor) -> int:
    return int(supervisor.ask({"op": "loggers"})[0]["dropped"])


def test_what_is_said_comes_before_the_end(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    pid = up(supervisor, 1, "say('READY=1'); say('STATUS=that was all')")
    for text in ("READY=1", "STATUS=that was all"):
        notice = said(supervisor, 1)
        assert (notice["text"], notice["pid"], notice["key"]) == (text, pid, "web")
        assert not supervisor.seen("exited")
    assert supervisor.report("exited", 1)["gone"] is True


def test_nothing_is_lost_while_the_supervisor_is_dead(daemon: Start, tmp_path: Path) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    up(supervisor, 1, f"say('STATUS=1'); barrier(); say('READY=1'); rest() # {tmp_path}")
    said(supervisor, 1, ack=False)
    said(supervisor, 1, ack=False)
    os.kill(supervisor.pid, signal.SIGKILL)
    successor = rig.supervisor()
    assert [report["text"] for report in successor.table["reports"] if report["kind"] == "notice"] == [
        "STATUS=1",
        "BARRIER=1",
    ]
    successor.do("web", ack=[report["id"] for report in successor.table["reports"]])
    assert said(successor, 1)["text"] == "READY=1"


def test_a_flood_waits_in_the_queue_of_its_own_run(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, f"[say(f'STATUS={{n}}') for n in range({3 * WINDOW})]; rest()")
    first = [said(supervisor, 1, ack=False) for _ in range(WINDOW)]
    supervisor.do("other", {"do": "spawn", "run": 2, "launch": {
        "argv": speaker("say('READY=1')"), "env": {}, "inherit": True, "cwd": "/", "notify": True,
    }})  # fmt: skip
    assert said(supervisor, 2)["text"] == "READY=1"
    assert not supervisor.seen("notice")
    supervisor.do("web", ack=[report["id"] for report in first])
    texts = [report["text"] for report in first] + [said(supervisor, 1)["text"] for _ in range(2 * WINDOW)]
    assert texts == [f"STATUS={n}" for n in range(3 * WINDOW)]


def test_one_who_says_it_and_is_gone_is_believed(daemon: Start, tmp_path: Path) -> None:
    """As systemd-notify does it: before the keeper has looked, nothing is left of the sender but its words."""
    rig = daemon()
    supervisor = rig.supervisor()
    done = tmp_path / "done"
    os.mkfifo(done)
    code = f"""
    open({str(done)!r}, "w").close()
    with open({str(done)!r}) as go:
        go.read()
    pid = os.fork()
    if pid == 0:
        say("READY=1")
        os._exit(0)
    os.waitpid(pid, 0)
    open({str(done)!r}, "w").close()
    rest()
    """
    pid = up(supervisor, 1, code)
    done.open().close()
    os.kill(rig.process.pid, signal.SIGSTOP)
    done.open("w").close()
    done.open().close()
    os.kill(rig.process.pid, signal.SIGCONT)
    notice = said(supervisor, 1)
    assert notice["text"] == "READY=1"
    assert notice["pid"] != pid
    assert not alive(notice["pid"])


def test_others_and_nonsense_are_dropped_and_counted(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    other = supervisor.up("other", 1, *speaker("rest()"), notify=True)
    assert alive(other)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        waits = "signal.pthread_sigmask(signal.SIG_BLOCK, [15]); say('STATUS=here'); signal.sigwait([15])"
        up(supervisor, 2, f"{waits}; say('READY=1'); rest()")
        assert said(supervisor, 2)["text"] == "STATUS=here"
        stranger.connect(str(rig.folder / "notify" / "2"))
        stranger.send(b"READY=1\nSTATUS=not of this run")
    supervisor.signal("web", 2, signal.SIGTERM)
    assert said(supervisor, 2)["text"] == "READY=1"
    assert dropped(supervisor) == 1
    up_again = "say(b'\\xff'); say(b'X=' + b'y' * 65536); say(b''); say('READY=1'); rest()"
    supervisor.kill("web", 2)
    supervisor.report("exited", 2)
    up(supervisor, 3, up_again)
    assert said(supervisor, 3)["text"] == "READY=1"
    assert dropped(supervisor) == 4


def test_a_barrier_stands_until_all_before_it_is_done(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, "say('READY=1'); barrier(); say('STATUS=past it'); rest()")
    ready, barrier = said(supervisor, 1, ack=False), said(supervisor, 1, ack=False)
    assert (ready["text"], barrier["text"]) == ("READY=1", "BARRIER=1")
    supervisor.do("web", ack=[ready["id"]])
    assert dropped(supervisor) == 0
    assert not supervisor.seen("notice")
    supervisor.do("web", ack=[barrier["id"]])
    assert said(supervisor, 1)["text"] == "STATUS=past it"


def test_descriptors_that_are_not_to_be_kept_are_closed_at_once(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, "barrier('STATUS=with a descriptor'); say('STATUS=it was closed'); rest()")
    assert said(supervisor, 1, ack=False)["text"] == "STATUS=with a descriptor"
    assert said(supervisor, 1)["text"] == "STATUS=it was closed"


STORING = """
reading, writing = os.pipe()
os.write(writing, b"kept")
say("FDSTORE=1\\nFDNAME=pipe", reading)
say("FDSTORE=1\\nFDNAME=no:name", writing, writing)
"""

TAKING = """
names, count = os.environ["LISTEN_FDNAMES"], int(os.environ["LISTEN_FDS"])
own = os.environ["LISTEN_PID"] == str(os.getpid())
say(f"STATUS={names} {count} {own} {os.read(3, 9)} {[os.get_inheritable(fd) for fd in range(3, 3 + count)]}")
say("FDSTOREREMOVE=1\\nFDNAME=stored")
"""


def test_stored_descriptors_are_given_to_the_next_run(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, STORING)
    assert [said(supervisor, 1)["stored"] for _ in range(2)] == [1, 3]
    supervisor.report("exited", 1)
    up(supervisor, 2, TAKING)
    assert said(supervisor, 2)["text"] == "STATUS=pipe:stored:stored 3 True b'kept' [True, True, True]"
    assert said(supervisor, 2)["stored"] == 1
    supervisor.report("exited", 2)
    supervisor.do("web", {"do": "discard"})
    up(supervisor, 3, "say(f'STATUS={os.environ.get(\"LISTEN_FDS\")}')")
    assert said(supervisor, 3)["text"] == "STATUS=None"
    supervisor.report("exited", 3)


def test_what_is_stored_is_bounded(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, f"say('FDSTORE=1', *[0] * {MOST_OF_ONE - 1}); say('FDSTORE=1', 0, 0, 0); rest()")
    assert [said(supervisor, 1)["stored"] for _ in range(2)] == [MOST_OF_ONE - 1, MOST_OF_ONE]
    assert dropped(supervisor) == 2
    supervisor.kill("web", 1)
    supervisor.report("exited", 1)


def test_the_same_socket_is_stored_once(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, "end = socket.socket(); say('FDSTORE=1', end.fileno()); say('FDSTORE=1', end.fileno())")
    assert [said(supervisor, 1)["stored"] for _ in range(2)] == [1, 1]


def test_the_environment_of_the_watchdog(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    code = 'say(f\'STATUS={os.environ["WATCHDOG_USEC"]} {os.environ["WATCHDOG_PID"] == str(os.getpid())}\')'
    up(supervisor, 1, code, watchdog=1_500_000)
    assert said(supervisor, 1)["text"] == "STATUS=1500000 True"


def test_a_line_on_the_descriptor_is_readiness(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, "printf part >&5; printf 'ial\\n' >&5; exec sleep 1000", ready_fd=5)
    assert supervisor.report("ready", 1)["at"] > 0
    supervisor.kill("web", 1)
    supervisor.report("exited", 1)
    # Readiness is told before the end that follows it; without a line there is none.
    supervisor.up("web", 2, "echo >&3", ready_fd=3)
    supervisor.report("ready", 2)
    assert not supervisor.seen("exited")
    supervisor.report("exited", 2)
    supervisor.up("web", 3, "printf none >&200; exit 0", ready_fd=200)
    supervisor.report("exited", 3)
    assert not supervisor.seen("ready")


def test_a_descriptor_cannot_be_two(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, "say('FDSTORE=1', 0)")
    said(supervisor, 1)
    supervisor.report("exited", 1)
    supervisor.spawn("web", 2, "exit 0", notify=True, ready_fd=3)
    failed = supervisor.report("spawn-failed", 2)
    assert (failed["step"], failed["detail"]) == ("descriptors", "3: it is one of LISTEN_FDS")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("systemd-notify"), reason="needs root and systemd-notify")
def test_another_user_reaches_it(daemon: Start) -> None:
    """With the program that people use: it waits until its barrier is passed, and its shell goes on."""
    supervisor = daemon().supervisor()
    supervisor.spawn("web", 1, 'systemd-notify --status="$NOTIFY_SOCKET of $(id -u)"', notify=True, user="nobody")
    notice = supervisor.report("notice", 1)
    assert notice["text"].strip() == f"STATUS=@pserv/{supervisor.table['boot']['cookie']}/1 of 65534"
    assert supervisor.report("notice", 1)["text"] == "BARRIER=1"
    assert supervisor.report("exited", 1)["code"] == 0


FORKING = """
pid = os.fork()
if pid:
    say(f"MAINPID={pid}\\nREADY=1")
    os._exit(0)
os.setsid()
rest()
"""


@pytest.mark.parametrize("cgroups", [False, True], ids=["proc", "cgroup"])
def test_another_main_process_takes_the_place_of_one_that_ends(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    pid = up(supervisor, 1, FORKING)
    notice = said(supervisor, 1)
    main = notice["main"]
    assert notice["text"] == f"MAINPID={main}\nREADY=1"
    assert (notice["pid"], alive(main)) == (pid, True)
    assert ended(pid)
    supervisor.signal("web", 1, signal.SIGTERM)
    report = supervisor.report("exited", 1)
    assert (report["pid"], report["signal"], report["gone"]) == (main, signal.SIGTERM, True)
    up(supervisor, 2, "rest()")


@pytest.mark.parametrize("cgroups", [False, True], ids=["proc", "cgroup"])
def test_a_main_process_may_be_the_child_of_another(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    code = """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    pid = os.fork()
    if pid == 0:
        signal.sigwait([signal.SIGUSR1])
        os._exit(3)
    say(f"MAINPID={pid}")
    rest()
    """
    pid = up(supervisor, 1, code)
    main = said(supervisor, 1)["main"]
    supervisor.signal("web", 1, signal.SIGUSR1)
    report = supervisor.report("exited", 1)
    assert (report["pid"], report["gone"]) == (main, False)
    assert report["code"] == (3 if os.geteuid() == 0 else 0)
    assert alive(pid)
    supervisor.kill("web", 1)
    assert supervisor.report("gone", 1)["survivors"] == []
    assert ended(pid)


def test_a_main_process_is_one_of_the_run(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    strange = (1, os.getpid(), 2**31, supervisor.pid)
    pid = up(supervisor, 1, f"[say(f'MAINPID={{pid}}') for pid in ({strange!r})]; say(f'MAINPID={{os.getpid()}}')")
    assert ["main" in said(supervisor, 1) for _ in strange] == [False] * 4
    assert said(supervisor, 1)["main"] == pid
    assert supervisor.report("exited", 1)["pid"] == pid


def test_all_of_it_is_handed_to_the_next_keeper_program(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    code = """
    say("FDSTORE=1\\nFDNAME=null", 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    pid = os.fork()
    if pid:
        say(f"MAINPID={pid}")
        os._exit(0)
    say("STATUS=waits")
    signal.sigwait([signal.SIGUSR1])
    say("STATUS=still heard")
    os.write(5, b"\\n")
    rest()
    """
    up(supervisor, 1, code, ready_fd=5)
    mains = [said(supervisor, 1).get("main") for _ in range(3)]
    main = next(pid for pid in mains if pid)
    supervisor.ask({"op": "upgrade", "keeper": True, "argv": [sys.executable, "-m", "tests.keeper.daemon_main"]})
    supervisor.op("yield")
    supervisor.send({"op": "yielded"})
    new = rig.supervisor()
    new.signal("web", 1, signal.SIGUSR1)
    assert said(new, 1)["text"] == "STATUS=still heard"
    new.report("ready", 1)
    new.kill("web", 1)
    assert new.report("exited", 1)["pid"] == main
    up(new, 2, "say('STATUS=' + os.environ['LISTEN_FDNAMES'])")
    assert said(new, 2)["text"] == "STATUS=null"


def test_nothing_of_it_is_left(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    up(supervisor, 1, "say('READY=1')")
    said(supervisor, 1)
    supervisor.report("exited", 1)
    assert os.listdir(rig.folder / "notify") == []
    rig.finish(supervisor)
    assert not (rig.folder / "notify").exists()


def test_a_common_socket_knows_its_senders_while_they_live(daemon: Start) -> None:
    """A service that declared nothing costs no descriptor for it; main processes and living helpers are known."""
    rig = daemon()
    supervisor = rig.supervisor()
    code = """
    pid = os.fork()
    if pid == 0:
        os.setsid()
        barrier("BARRIER=1")
        os._exit(0)
    os.waitpid(pid, 0)
    say("STATUS=" + os.environ["NOTIFY_SOCKET"])
    """
    for run, key in ((1, "web"), (2, "other")):
        supervisor.up(key, run, *speaker(code), notify="shared")
        helper = said(supervisor, run)
        assert (helper["key"], helper["text"]) == (key, "BARRIER=1")
        notice = said(supervisor, run)
        assert (notice["key"], notice["text"]) == (key, f"STATUS={rig.folder}/notify/all")
        supervisor.report("exited", run)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1", str(rig.folder / "notify" / "all"))
    supervisor.up("web", 3, *speaker("say('READY=1')"), notify="shared")
    assert said(supervisor, 3)["text"] == "READY=1"  # what came before it on the same socket has been looked at
    assert dropped(supervisor) == 1


def test_a_flood_on_the_common_socket_stops_nobody(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    flood = f"[say(f'STATUS={{n}}') for n in range({2 * WINDOW})]"
    supervisor.up("flood", 1, *speaker(flood), notify="shared")
    texts = [said(supervisor, 1, ack=False)["text"] for _ in range(WINDOW)]
    assert texts == [f"STATUS={n}" for n in range(WINDOW)]
    supervisor.up("web", 2, *speaker("say('READY=1')"), notify="shared")
    assert said(supervisor, 2)["text"] == "READY=1"
    supervisor.report("exited", 1)
    assert dropped(supervisor) == WINDOW


def test_the_common_socket_is_handed_to_the_next_keeper_program(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    waits = "signal.pthread_sigmask(signal.SIG_BLOCK, [10]); say('STATUS=here'); signal.sigwait([10])"
    supervisor.up("web", 1, *speaker(f"{waits}; say('STATUS=still heard')"), notify="shared")
    said(supervisor, 1)
    supervisor.ask({"op": "upgrade", "keeper": True, "argv": [sys.executable, "-m", "tests.keeper.daemon_main"]})
    supervisor.op("yield")
    supervisor.send({"op": "yielded"})
    new = rig.supervisor()
    new.signal("web", 1, signal.SIGUSR1)
    assert said(new, 1)["text"] == "STATUS=still heard"


def test_an_end_is_judged_when_all_is_heard(daemon: Start, tmp_path: Path) -> None:
    """More than is heard in a turn, and the end, wait for a keeper that had no time."""
    rig = daemon()
    supervisor = rig.supervisor()
    go = tmp_path / "go"
    os.mkfifo(go)
    code = f"""
    open({str(go)!r}).close()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        rest()
    [say(f"STATUS={{n}}") for n in range(6)]
    say(f"MAINPID={{pid}}")
    """
    pid = up(supervisor, 1, code)
    os.kill(rig.process.pid, signal.SIGSTOP)
    go.open("w").close()
    assert ended(pid)
    os.kill(rig.process.pid, signal.SIGCONT)
    assert [said(supervisor, 1)["text"] for _ in range(6)] == [f"STATUS={n}" for n in range(6)]
    main = said(supervisor, 1)["main"]
    supervisor.signal("web", 1, signal.SIGTERM)
    assert supervisor.report("exited", 1)["pid"] == main
