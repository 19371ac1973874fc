"""Handing over: the new one on trial, the old one back when it fails, the keeper in its own process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keeper.rig import Daemon, alive, ended

Start = Callable[..., Daemon]

ARGV = [sys.executable, "-m", "tests.keeper.daemon_main"]


def test_a_new_supervisor_takes_over_when_it_is_ready(daemon: Start) -> None:
    rig = daemon(logger="remote")
    worker = rig.logger()
    old = rig.supervisor()
    pid = old.up("web", 1, "exec sleep 1000")
    reply, _ = old.ask({"op": "upgrade", "keeper": False, "argv": ARGV})
    assert "error" not in reply
    old.op("yield")
    old.do("web", note="the last word")
    old.send({"op": "yielded"})
    new = rig.supervisor()
    assert new.table["records"][0]["note"] == "the last word"
    assert alive(old.pid)
    os.kill(pid, signal.SIGKILL)
    assert new.report("exited", 1, ack=False)["pid"] == pid
    new.send({"op": "ready"})
    assert new.report("upgrade")["ok"] is True
    assert ended(old.pid)
    worker.op("release")
    worker.send({"op": "released"})
    worker.exit(0)
    assert rig.logger().op("hello")[0]["resume"] is False
    new.up("web", 2, "exit 0")
    new.report("exited", 2)
    # Its successor is of the new version too, and this was no death of a supervisor.
    os.kill(new.pid, signal.SIGKILL)
    last = rig.supervisor()
    assert len(last.table["deaths"]) == 1
    assert b"daemon_main\0supervisor" in Path(f"/proc/{last.pid}/cmdline").read_bytes()


def test_the_old_supervisor_goes_on_when_the_new_one_ends(daemon: Start) -> None:
    rig = daemon()
    old = rig.supervisor()
    pid = old.up("web", 1, "exec sleep 1000")
    old.ask({"op": "upgrade", "keeper": False, "argv": ARGV})
    old.op("yield")
    old.send({"op": "yielded"})
    new = rig.supervisor()
    old.do("web", note="said too late to be told")
    new.do("web", note="said by who never served")
    os.kill(pid, signal.SIGKILL)
    new.report("exited", 1, ack=False)
    new.exit(1)
    old.op("resume")
    assert old.report("upgrade")["text"] == "the new supervisor ended: exit code 1"
    assert old.report("exited", 1)["pid"] == pid
    os.kill(old.pid, signal.SIGKILL)
    assert rig.supervisor().table["records"][0]["note"] == "said too late to be told"


@pytest.mark.parametrize("argv", [["/no/such/python"], [sys.executable, "-c", "import no_such_module"]])
@pytest.mark.parametrize("keeper", [False, True])
def test_a_program_that_does_not_load_changes_nothing(daemon: Start, argv: list[str], keeper: bool) -> None:
    rig = daemon()
    old = rig.supervisor()
    old.ask({"op": "upgrade", "keeper": keeper, "argv": argv})
    assert old.report("upgrade")["ok"] is False
    old.up("web", 1, "exit 0")
    old.report("exited", 1)
    reply, _ = old.ask({"op": "upgrade", "keeper": keeper, "argv": []})
    assert "cannot upgrade" in reply["error"]
    assert rig.finish(old) == 0


def test_the_old_supervisor_may_die_during_the_trial(daemon: Start) -> None:
    rig = daemon()
    old = rig.supervisor()
    old.ask({"op": "upgrade", "keeper": False, "argv": ARGV})
    old.op("yield")
    os.kill(old.pid, signal.SIGKILL)
    other = rig.supervisor()
    other.up("web", 1, "exit 0")
    other.report("exited", 1)


@pytest.mark.parametrize("cgroups", [True, False])
def test_the_keeper_exchanges_its_own_program(daemon: Start, tmp_path: Path, cgroups: bool) -> None:
    reading, writing = os.pipe()
    rig = daemon(cgroups=cgroups, lease_fd=reading, pass_fds=(reading,))
    os.close(reading)
    old = rig.supervisor()
    log = tmp_path / "log"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    file = {"kind": "file", "path": str(log)}
    assert old.table["version"] == "0"
    web = old.up("web", 1, f"echo before; read line < {fifo}; echo after; exit 8", stdout=file)
    old.do("web", note="kept")
    old.up("left", 2, "setsid sleep 1000 & exit 0")
    assert old.report("exited", 2)["gone"] is False
    old.up("once", 3, "exit 5")
    unknown = old.report("exited", 3, ack=False)
    before = rig.process.pid
    old.ask({"op": "upgrade", "keeper": True, "argv": ARGV})
    old.op("yield")
    old.send({"op": "yielded"})
    new = rig.supervisor()
    assert new.table["version"] == "test"
    assert b"daemon_main\0keeper" in Path(f"/proc/{before}/cmdline").read_bytes()
    assert ended(old.pid)
    assert {row["key"]: row["note"] for row in new.table["records"]}["web"] == "kept"
    # Where the disk or the machine is slow there may be more: a logger that was stuck, or did not hand over in time.
    kept, told = (report for report in new.table["reports"] if report["kind"] != "logger")
    assert kept["id"] == unknown["id"]
    assert (told["kind"], told["ok"]) == ("upgrade", True)
    assert (new.table["last_run"], new.table["deaths"]) == (3, [])
    assert alive(web)
    fifo.write_text("go\n")
    report = new.report("exited", 1)
    assert (report["code"], report["gone"], report["lines"]) == (8, True, ["after"])
    new.kill("left", 2)
    assert new.report("gone", 2)["survivors"] == []
    new.up("web", 4, "exit 0")
    new.report("exited", 4)
    assert log.read_text() == "before\nafter\n"
    os.close(writing)
    assert new.report("order")["what"] == "end"
    assert rig.finish(new) == 0
