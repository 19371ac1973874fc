"""The supervisor may die: nothing is lost, nothing runs twice, and what is wrong is refused."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.rig import PATIENCE, Daemon, Supervisor, alive, ended, launching
from tests.stillness import still

Start = Callable[..., Daemon]


def restarted(rig: Daemon, supervisor: Supervisor) -> Supervisor:
    os.kill(supervisor.pid, signal.SIGKILL)
    return rig.supervisor()


def record(supervisor: Supervisor, key: str) -> dict[str, Any]:
    found = [row for row in supervisor.table["records"] if row["key"] == key]
    assert len(found) == 1
    return dict(found[0])


def test_a_new_supervisor_finds_everything_as_it_was(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    assert supervisor.table["records"] == []
    assert (supervisor.table["last_run"], supervisor.table["safe"], supervisor.table["end"]) == (0, False, None)
    pid = supervisor.up("web", 3, "exec sleep 1000")
    supervisor.do("web", note="as it should be")
    supervisor.up("once", 4, "exit 7")
    left = supervisor.report("exited", 4, ack=False)
    second = restarted(rig, supervisor)
    assert second.table["last_run"] == 4
    web = record(second, "web")
    assert (web["note"], web["last_run"]) == ("as it should be", 3)
    assert (web["run"]["run"], web["run"]["pid"], web["run"]["state"]) == (3, pid, "running")
    assert record(second, "once")["run"] is None
    assert [report["id"] for report in second.table["reports"]] == [left["id"]]
    assert [(death["code"], death["signal"]) for death in second.table["deaths"]] == [(None, signal.SIGKILL)]
    assert alive(pid)
    second.do("@daemon", ack=[left["id"]])
    third = restarted(rig, second)
    assert third.table["reports"] == []
    assert {row["key"] for row in third.table["records"]} == {"web", "once"}


def test_ends_are_not_missed_while_there_is_no_supervisor(daemon: Start) -> None:
    rig = daemon(ack_timeout=1000.0)
    supervisor = rig.supervisor()
    pids = [supervisor.up(f"s{run}", run, "exec sleep 1000") for run in range(1, 11)]
    os.kill(supervisor.pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        assert ended(pid)
    second = restarted(rig, supervisor)
    told = {report["run"] for report in second.table["reports"]}
    told |= {second.report("exited", run)["run"] for run in range(1, 11) if run not in told}
    assert told == set(range(1, 11))


def test_a_silent_supervisor_is_replaced(daemon: Start) -> None:
    rig = daemon(ack_timeout=1.0)
    supervisor = rig.supervisor()
    pid = supervisor.up("web", 1, "exec sleep 1000")
    os.kill(supervisor.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    second = rig.supervisor()
    assert [report["kind"] for report in second.table["reports"]] == ["exited"]
    assert second.table["deaths"][0]["text"] == "did not acknowledge a report"
    second.do("web", ack=[second.table["reports"][0]["id"]])
    second.up("web", 2, "exit 0")
    second.report("exited", 2)


def test_a_supervisor_that_acknowledges_stays(daemon: Start) -> None:
    rig = daemon(ack_timeout=1.0)
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "sleep 0.2; exit 0")
    supervisor.report("exited", 1)
    supervisor.up("web", 2, "sleep 1.1; exit 0")
    supervisor.report("exited", 2)
    assert alive(supervisor.pid)


def test_three_deaths_bring_up_a_safe_one_and_later_ones_wait(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    safe = []
    for _ in range(3):
        supervisor.exit(9)
        supervisor = rig.supervisor()
        safe.append(supervisor.table["safe"])
    assert safe == [False, False, True]
    assert [death["code"] for death in supervisor.table["deaths"]] == [9, 9, 9]
    pid = supervisor.up("web", 1, "exec sleep 1000")
    supervisor.exit(9)
    after = rig.supervisor()
    assert after.table["deaths"][-1]["at"] > 0
    assert alive(pid)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ({"do": "spawn", "run": 2, "launch": launching("exit 0")}, "a run of it lives"),
        ({"do": "spawn", "run": 1, "launch": launching("exit 0")}, "run 1 was seen before"),
        ({"do": "signal", "run": 9, "signal": 15}, "no such run: 9"),
        ({"do": "signal", "run": 1, "signal": 900}, "no such signal"),
        ({"do": "signal", "run": 1, "signal": 15, "scope": "village"}, "no such scope"),
        ({"do": "kill", "run": None}, "no such run"),
        ({"do": "forget"}, "a run of it lives"),
        ({"do": "dance"}, "unknown command"),
    ],
)
def test_a_transaction_is_refused_as_a_whole(daemon: Start, command: dict[str, object], text: str) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    pid = supervisor.up("web", 1, "exec sleep 1000")
    supervisor.do("web", note="before")
    term = {"do": "signal", "run": 1, "signal": 15, "scope": "main"}
    reply, _ = supervisor.ask({"op": "do", "key": "web", "note": "after", "commands": [term, command]})
    assert text in reply["error"]
    assert alive(pid)
    supervisor.do("web", term, command, note="after")
    assert text in supervisor.report("refused")["error"]
    assert record(restarted(rig, supervisor), "web")["note"] == "before"


@pytest.mark.parametrize(
    "launch",
    [
        {"argv": []}, {"argv": ["a", 1]}, {"argv": "sh"}, {"env": {"A": 1}}, {"cwd": 3},
        {"stdout": {"kind": "moon"}}, {"stdout": {"kind": "stdout"}}, {"stdout": {"kind": "passed"}},
    ],
)  # fmt: skip
def test_a_launch_of_another_shape_is_refused(daemon: Start, launch: dict[str, object]) -> None:
    supervisor = daemon().supervisor()
    command = {"do": "spawn", "run": 1, "launch": {**launching("exit 0"), **launch}}
    reply, _ = supervisor.ask({"op": "do", "key": "web", "commands": [command]})
    assert "cannot spawn web" in reply["error"]


def test_commands_for_a_run_that_is_gone_are_accepted(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, "exit 0")
    supervisor.report("exited", 1)
    for command in ({"do": "signal", "run": 1, "signal": 15}, {"do": "kill", "run": 1}, {"do": "forget"}):
        reply, _ = supervisor.ask({"op": "do", "key": "web", "commands": [command]})
        assert "error" not in reply


def test_nonsense_replaces_the_supervisor_and_nothing_else(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    pid = supervisor.up("web", 1, "exec sleep 1000")
    supervisor.channel.socket.send(b"\xff" * 64)
    second = rig.supervisor()
    assert alive(pid)
    second.send({"op": "finish"})  # a field is missing
    third = rig.supervisor()
    assert len(third.table["deaths"]) == 2
    assert alive(pid)


def test_descriptors_are_passed_to_a_child(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    reading, writing = os.pipe()
    passed = {"kind": "passed"}
    supervisor.spawn("@exec/1", 1, "echo out; echo err >&2", fds=(writing, writing), stdout=passed, stderr=passed)
    os.close(writing)
    supervisor.report("exited", 1)
    with open(reading, "rb") as file:
        assert file.read() == b"out\nerr\n"  # and so the keeper holds no end of it


def test_a_reader_serves_until_its_supervisor_is_replaced(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    reply, fds = supervisor.ask({"op": "fork", "role": "reader", "argument": "of files"})
    assert "error" not in reply
    with socket.socket(fileno=fds[0]) as reader:
        pid, _, argument = reader.recv(100).decode().partition(" ")
        assert argument == "of files"
        restarted(rig, supervisor)
        assert ended(int(pid))


def test_an_unknown_role_or_operation_is_refused(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    for message in ({"op": "fork", "role": "poet"}, {"op": "sing"}):
        reply, _ = supervisor.ask(message)
        assert "unknown" in reply["error"]


def test_what_is_held_comes_with_the_table(daemon: Start, tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    path = tmp_path / "api"
    listening.bind(str(path))
    listening.listen()
    document = os.memfd_create("document")
    os.write(document, b"accepted")
    rig = daemon(
        sockets=[listening.fileno()], paths=[str(path)], document_fd=document, extra={"colour": "blue"},
        pass_fds=(listening.fileno(), document),
    )  # fmt: skip
    listening.close()
    supervisor = rig.supervisor()
    assert supervisor.table["boot"]["colour"] == "blue"
    assert os.pread(supervisor.descriptors[1], 99, 0) == b"accepted"
    os.kill(supervisor.pid, signal.SIGKILL)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))  # clients queue while there is no supervisor
        client.send(b"hello")
        second = rig.supervisor()
        with socket.socket(fileno=os.dup(second.descriptors[0])) as held:
            connection, _ = held.accept()
            assert connection.recv(5) == b"hello"
            connection.close()
    changed = os.memfd_create("document")
    os.write(changed, b"changed")
    second.send({"op": "configure", "shutdown_timeout": 5.0}, (changed,))
    third = restarted(rig, second)
    assert os.pread(third.descriptors[1], 99, 0) == b"changed"
    assert third.table["boot"]["shutdown_timeout"] == 5.0
    rig.finish(third)
    assert not path.exists()
    for peer in (supervisor, second, third):
        for fd in peer.descriptors:
            os.close(fd)
    for fd in (document, changed):
        os.close(fd)


def test_who_waits_for_the_start_is_told_once(daemon: Start) -> None:
    reading, writing = os.pipe()
    rig = daemon(ready_fd=writing, pass_fds=(writing,))
    os.close(writing)
    supervisor = rig.supervisor()
    supervisor.send({"op": "ready", "text": "serving"})
    supervisor.send({"op": "ready", "text": "again"})
    with open(reading, "rb") as file:
        assert file.read() == b"serving\n"


def test_an_idle_keeper_does_not_wake(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "exec sleep 1000")
    supervisor.ask({"op": "do", "key": "web", "commands": []})

    def switches() -> int:
        with open(f"/proc/{rig.process.pid}/status", encoding="utf-8") as file:
            return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)

    supervisor.ask({"op": "do", "key": "web", "commands": []})
    before = still(switches, 0.3)  # the keeper goes back to its poll
    assert select.select([supervisor.channel], [], [], 2.0)[0] == []
    assert switches() == before


def test_a_transaction_may_carry_commands_for_another_key(daemon: Start) -> None:
    """A hook and the note of its service are stored together, or neither is."""
    rig = daemon()
    supervisor = rig.supervisor()
    spawn = {"do": "spawn", "key": "web!hook", "run": 1, "launch": launching("sleep 1000")}
    supervisor.do("web", spawn, note="runs its hook")
    pid = supervisor.report("spawned", 1)["pid"]
    reply, _ = supervisor.ask(
        {"op": "do", "key": "web", "note": "spoilt", "commands": [{**spawn, "run": 2}], "ack": []}
    )
    assert reply["error"] == "cannot spawn web!hook: a run of it lives"
    second = restarted(rig, supervisor)
    assert (record(second, "web")["note"], record(second, "web")["run"]) == ("runs its hook", None)
    assert record(second, "web!hook")["run"]["pid"] == pid
    second.do("web", {"do": "kill", "key": "web!hook", "run": 1})
    ended = second.report("exited", 1)
    assert ended["signal"] == signal.SIGKILL
    if not ended["gone"]:  # its shell before what it runs
        second.report("gone", 1)
    second.do("web", {"do": "forget", "key": "web!hook"})
    third = restarted(rig, second)
    assert [row["key"] for row in third.table["records"]] == ["web"]


REFUSED = """
import os, signal, sys
from pserv.keeper.main import Boot, run

def supervisor(channel, argument):
    os.write(1, b"begun")
    signal.pause()

def refuse():
    assert os.read(read_end, 5) == b"begun"
    raise SystemExit(7)

read_end, write_end = os.pipe()
os.dup2(write_end, 1)
try:
    run(Boot("1", "name", "run", "state", "cookie", complete=refuse), {"supervisor": supervisor})
except SystemExit as error:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        sys.exit(error.code)
"""


def test_the_supervisor_of_a_boot_that_is_refused_is_gone_before_the_keeper(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", REFUSED], cwd=tmp_path, timeout=PATIENCE, check=False)
    assert ended.returncode == 7


MEANWHILE = """
import os, select, sys
from pserv.keeper.main import Boot, run
from pserv.keeper.channel import Channel

def supervisor(channel, argument):
    table = Channel(channel)
    select.select([table], [], [])
    assert table.receive()[0]
    os.write(write_end, b"has the table")
    table.send({"op": "finish", "code": 3})
    select.select([table], [], [])  # "end"

def wait():
    assert boot.meanwhile is None, "it would be done again by a successor"
    assert os.read(read_end, 100) == b"has the table"

def complete():
    boot.meanwhile = wait

read_end, write_end = os.pipe()
boot = Boot("1", "name", "run", "state", "cookie", complete=complete, kept=(write_end,))
sys.exit(run(boot, {"supervisor": supervisor}))
"""


def test_what_may_wait_is_done_when_the_supervisor_has_its_table(tmp_path: Path) -> None:
    """Else a disk that takes its time for a file would hold up the first services."""
    ended = subprocess.run([sys.executable, "-c", MEANWHILE], cwd=tmp_path, timeout=PATIENCE, check=False)
    assert ended.returncode == 3
