"""A disk that hangs: who writes to it stops in time, all others and the supervisor do not notice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, kill
from tests.scenarios.driven import Driven
from tests.stalling import StallingFolder, missing

SOON = 5.0
"""Seconds that nobody needs who waits for no disk, however busy the machine is; who does waits for ever."""

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[StallingFolder]:
    with StallingFolder(tmp_path / "stalling") as folder:
        yield folder


def test_a_stalled_log_stops_nobody_but_its_writer(tmp_path: Path, stalling: StallingFolder) -> None:
    with Driven(tmp_path, "stuck") as stuck, Driven(tmp_path, "free") as free:
        config = (
            "services:\n"
            + stuck.declared(stalling.path / "stuck.log", ", stop: {timeout: 500ms}")
            + free.declared(tmp_path / "free.log")
        )
        with Daemon(tmp_path, config) as daemon:
            daemon.up()
            stuck.order(10)
            assert stuck.printed() == 10
            stalling.stall("write")
            stuck.order(2000)
            assert stalling.wait_until_one_hangs() == "write"
            daemon.until("stuck", lambda row: bool(row.trouble))
            free.order(1000)
            assert free.printed() == 1000

            supervisor, pid = daemon.daemon().supervisor_pid, daemon.pid("free")
            began = time.monotonic()
            kill(supervisor)
            assert daemon.daemon().supervisor_pid != supervisor
            assert time.monotonic() - began < SOON
            assert daemon.pid("free") == pid

            began = time.monotonic()
            daemon.pserv("stop", "stuck", check=0)
            assert time.monotonic() - began < SOON
            stalling.stall()
            daemon.pserv("down", check=0)


def test_a_program_on_a_hung_disk_delays_no_other_start(tmp_path: Path, stalling: StallingFolder) -> None:
    script = stalling.path / "program.sh"
    with open(os.open(script, os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
        file.write("#!/bin/sh\nexec sleep 1000\n")
    services = f"services:\n  hung: {{command: {script}, autostart: false}}\n  other: {{command: sleep 1000}}\n"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        stalling.stall("lookup", "getattr", "open", "read")
        daemon.pserv("start", "hung", "--no-wait", check=0)
        stalling.wait_until_one_hangs()
        took = []
        for _ in range(10):
            pid = daemon.pid("other")
            began = time.monotonic()
            os.kill(pid, 9)
            daemon.until_restarted("other", pid)
            took.append(time.monotonic() - began)
            daemon.pserv("stop", "other", check=0)
            daemon.pserv("start", "other", check=0)
        assert daemon.status()["hung"].state.value == "starting"
        assert max(took) < SOON, took
        stalling.stall()
        daemon.pserv("down", check=0)
