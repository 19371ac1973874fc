"""The end of the daemon: ordered once, done by the supervisor, or by the keeper when nobody does it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keeper.rig import Daemon, alive, ended

Start = Callable[..., Daemon]


def test_an_order_to_end_counts_once_within_half_a_second(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    for number in (signal.SIGTERM, signal.SIGINT):
        rig.process.send_signal(number)
    report = supervisor.report("order")
    assert (report["what"], report["count"]) == ("end", 1)
    assert report["signal"] in (signal.SIGTERM, signal.SIGINT)
    assert select.select([supervisor.channel], [], [], 0.6)[0] == []  # the same order, and the time until a second
    rig.process.send_signal(signal.SIGINT)
    report = supervisor.report("order")
    assert (report["count"], report["signal"]) == (2, signal.SIGINT)
    os.kill(supervisor.pid, signal.SIGKILL)
    second = rig.supervisor()
    assert second.table["end"]["count"] == 2
    assert rig.finish(second, 3) == 3


def test_hup_orders_a_reload(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    rig.process.send_signal(signal.SIGHUP)
    assert supervisor.report("order")["what"] == "reload"
    assert supervisor.table["end"] is None


def test_supervisor_and_logger_do_not_hear_the_order(daemon: Start) -> None:
    rig = daemon(logger="remote")
    logger = rig.logger()
    supervisor = rig.supervisor()
    for peer in (logger, supervisor):
        assert os.getsid(peer.pid) == peer.pid
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(peer.pid, signum)
    assert alive(logger.pid)
    assert alive(supervisor.pid)


def test_the_end_of_the_lease_is_an_order_to_end(daemon: Start) -> None:
    reading, writing = os.pipe()
    rig = daemon(lease_fd=reading, pass_fds=(reading,))
    os.close(reading)
    supervisor = rig.supervisor()
    os.close(writing)
    report = supervisor.report("order")
    assert (report["what"], report["count"], report["signal"]) == ("end", 1, 0)
    assert rig.finish(supervisor) == 0


@pytest.mark.parametrize("cgroups", [True, False])
def test_a_supervisor_that_does_nothing_does_not_stop_the_end(daemon: Start, cgroups: bool) -> None:
    rig = daemon(shutdown_timeout=0.1, end_patience=0.1, cgroups=cgroups)
    supervisor = rig.supervisor()
    obedient = supervisor.up("web", 1, "exec sleep 1000")
    stubborn = supervisor.up("db", 2, "trap '' TERM; while :; do sleep 100; done")
    rig.process.send_signal(signal.SIGTERM)
    assert rig.wait() == 1
    assert ended(obedient)
    assert ended(stubborn)
    assert ended(supervisor.pid)


def test_the_end_comes_also_when_no_supervisor_lives(daemon: Start) -> None:
    rig = daemon(shutdown_timeout=4.0, end_patience=0.1)
    supervisor = rig.supervisor()
    pid = supervisor.up("web", 1, "exec sleep 1000")
    rig.process.send_signal(signal.SIGTERM)
    supervisor.report("order")
    for _ in range(3):
        supervisor.exit(1)
        supervisor = rig.supervisor()
        assert supervisor.table["end"]["count"] == 1
    supervisor.exit(1)
    assert rig.wait() == 1
    assert ended(pid)


def test_finish_kills_what_lives_and_removes_the_sockets(daemon: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.touch()
    rig = daemon(paths=[str(path)], cgroups=True)
    supervisor = rig.supervisor()
    pid = supervisor.up("web", 1, "trap '' TERM; while :; do sleep 100; done")
    supervisor.send({"op": "finish", "code": 5})
    supervisor.do("late", {"do": "spawn", "run": 2, "launch": {"argv": ["true"]}})
    assert "the daemon ends" in supervisor.report("refused")["error"]
    supervisor.exit(0)
    assert rig.wait() == 5
    assert ended(pid)
    assert not path.exists()


def test_a_supervisor_that_does_not_end_after_finish_is_killed(daemon: Start) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    supervisor.send({"op": "finish", "code": 0})
    assert rig.wait() == 0
    assert ended(supervisor.pid)


def test_what_an_earlier_keeper_left_is_ended_first(daemon: Start, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    for cgroups in (True, False):
        rig = daemon(cgroups=cgroups)
        supervisor = rig.supervisor()
        pid = supervisor.up("web", 1, f"setsid sh -c 'echo > {path}; exec sleep 1000' & exec sleep 1000")
        path.read_text()
        rig.process.kill()
        os.kill(supervisor.pid, signal.SIGKILL)
        rig.process.wait()
        assert alive(pid)
        second = daemon(cookie=rig.cookie, cgroups=cgroups).supervisor()
        assert second.table["boot"]["leftovers"] == 2
        assert ended(pid)


def test_supervisor_and_logger_see_the_keepers_death(daemon: Start) -> None:
    rig = daemon(logger="remote")
    logger = rig.logger()
    supervisor = rig.supervisor()
    rig.process.kill()
    for peer in (logger, supervisor):
        with pytest.raises(ConnectionError):
            peer.op("anything")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a pid namespace")
def test_the_keeper_is_a_good_pid_1(daemon: Start, tmp_path: Path) -> None:
    rig = daemon(wrapper=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    supervisor = rig.supervisor()
    assert supervisor.table["boot"]["keeper_pid"] == 1
    supervisor.up("web", 1, "for n in 1 2 3; do (setsid true &) ; done; exit 0")
    if not supervisor.report("exited", 1)["gone"]:
        supervisor.report("gone", 1)
    log = {"kind": "file", "path": str(tmp_path / "log")}
    supervisor.up("zombies", 2, "grep -s '^State:.Z' /proc/[0-9]*/status; exit 0", stdout=log)
    assert supervisor.report("exited", 2)["lines"] == []
    supervisor.send({"op": "finish", "code": 4})
    assert rig.wait() == 4
