"""What an idle daemon costs: no wake-ups, no descriptors, nothing heavy in memory, no growth over reloads."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pserv.api import operations as op
from tests.scenarios.daemon import Daemon
from tests.stillness import still

RELOADS = int(os.environ.get("PSERV_TEST_RELOADS", "10"))
"""500 take two minutes; growth shows in fewer."""

WARM_UP = 10
"""Reloads until caches and arenas have their size."""

CALM = 5
"""Of so many reloads the one after which a process had least memory counts."""

CLIENTS = 2
"""Descriptors of clients that come and go while we count."""

MAX_DESCRIPTORS = 6
"""For each service, over all processes of the daemon."""


def sleepers(count: int, extra: str = "") -> str:
    return "services:\n" + "".join(f"  s{number}: {{command: sleep 10000{extra}}}\n" for number in range(count))


def own_processes(daemon: Daemon) -> list[int]:
    about = daemon.daemon()
    assert about.logger_pid is not None
    return [about.keeper_pid, about.supervisor_pid, about.logger_pid]


def switches(pid: int) -> int:
    """Context switches so far, of all threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def resident(pid: int) -> int:
    """Bytes of memory that no file backs. What it shares with its forks counts: else a page that a fork writes to
    would look like growth of the other."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in rollup if line.startswith("Anonymous:"))


def descriptors(pids: list[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


@pytest.mark.long
def test_an_idle_daemon_never_wakes_up(tmp_path: Path) -> None:
    with Daemon(tmp_path, sleepers(5)) as daemon:
        daemon.up()
        pids = own_processes(daemon)
        before = still(lambda: [switches(pid) for pid in pids], 1.0)  # the streak's and the client's last timers
        subprocess.run(["sleep", "4"], check=True)
        assert [switches(pid) for pid in pids] == before


def test_nothing_heavy_is_mapped(tmp_path: Path) -> None:
    with Daemon(tmp_path, sleepers(1)) as daemon:
        daemon.up()
        daemon.pserv("reload", check=0)
        daemon.pserv("logs", "-n", "1", check=0)
        for pid in own_processes(daemon):
            maps = Path(f"/proc/{pid}/maps").read_text()
            for library in ("libcrypto", "libssl", "_yaml"):
                assert library not in maps


def test_a_service_costs_few_descriptors(tmp_path: Path) -> None:
    logs = f", stdout: {tmp_path}/out.{{}}, stderr: {tmp_path}/err.{{}}"
    few, many = (
        "".join(line.replace("{}", str(n)) for n, line in enumerate(lines))
        for lines in (sleepers(1, logs).splitlines(True), sleepers(41, logs).splitlines(True))
    )
    with Daemon(tmp_path, few) as daemon:
        daemon.up()
        pids = own_processes(daemon)
        before = descriptors(pids)
        daemon.write(many)
        daemon.pserv("reload", check=0)
        assert descriptors(pids) - before <= 40 * MAX_DESCRIPTORS + CLIENTS


@pytest.mark.long
@pytest.mark.timeout(180)
def test_reloads_cost_no_pid_no_descriptor_and_no_memory(tmp_path: Path) -> None:
    with Daemon(tmp_path, sleepers(3)) as daemon:
        daemon.up()
        before = {name: row.pid for name, row in daemon.status().items()}
        pids = own_processes(daemon)

        def reload(number: int) -> None:
            daemon.write(sleepers(3, f", description: number {number}"))
            with daemon.client() as client:
                *_, done = client.stream("reload", op.Reload())
            assert isinstance(done, op.Done)
            assert done.ok

        def least(numbers: range) -> list[int]:
            """Bytes that each process needs at least; after one reload it may be in the middle of something."""
            samples = []
            for number in numbers:
                reload(number)
                samples.append([resident(pid) for pid in pids])
            return [min(each) for each in zip(*samples[-CALM:], strict=True)]

        memory, open_before = least(range(WARM_UP)), descriptors(pids)
        growth = [after - first for after, first in zip(least(range(WARM_UP, WARM_UP + RELOADS)), memory, strict=True)]
        assert {name: row.pid for name, row in daemon.status().items()} == before
        assert descriptors(pids) - open_before <= CLIENTS
        assert max(growth) < 1 << 20, growth
