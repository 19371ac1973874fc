"""Logs that cannot be written: no permission, a folder, a full disk, a FIFO nobody reads, a file deleted."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from pserv.system.changes import Changes
from tests.scenarios.daemon import Daemon, ticking
from tests.scenarios.driven import LINE, Driven, check_lines
from tests.scenarios.ordinary import NOBODY, becoming

FULL = 4096
"""Lines that no small disk takes, nor the pipes before it: 4 MB."""


def test_a_full_disk_blocks_its_service_alone_and_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    with Driven(tmp_path, "full") as full, Driven(tmp_path, "free") as free:
        services = "services:\n" + full.declared(small_disk / "full.log") + free.declared(tmp_path / "free.log")
        with Daemon(tmp_path, services) as daemon:
            daemon.up()
            before = daemon.status()
            full.order(FULL)
            row = daemon.until("full", lambda row: row.trouble != "")
            assert row.trouble == f"cannot write log {small_disk}/full.log: No space left on device"
            assert row.state.value == "running"
            assert row.trouble in daemon.pserv("status", "full", check=0).stdout
            assert row.trouble in daemon.pserv("status", check=0).stdout
            free.order(FULL)
            assert free.printed() == FULL
            assert not full.has_printed()
            daemon.kill_supervisor()
            assert daemon.status()["full"].trouble == row.trouble

            (small_disk / "ballast").unlink()
            assert full.printed() == FULL
            daemon.until("full", lambda row: row.trouble == "")
            after = daemon.status()
            assert {name: row.pid for name, row in after.items()} == {name: row.pid for name, row in before.items()}
            daemon.pserv("down", check=0)
        check_lines((small_disk / "full.log").read_bytes(), FULL)
        check_lines((tmp_path / "free.log").read_bytes(), FULL)


def test_what_a_full_disk_does_not_take_is_dropped_where_that_is_declared(tmp_path: Path, small_disk: Path) -> None:
    log = small_disk / "web.log"
    with Driven(tmp_path, "web") as web:
        declared = f"services:\n{web.declared(log, ', log: {on_full: drop-newest}')}"
        with Daemon(tmp_path, declared) as daemon:
            daemon.up()
            web.order(FULL)
            assert web.printed() == FULL
            row = daemon.until("web", lambda row: row.dropped_lines > 0)
            assert row.trouble == f"cannot write log {log}: No space left on device"
            assert "dropped" in daemon.pserv("status", "web", check=0).stdout
            (small_disk / "ballast").unlink()
            row = daemon.until("web", lambda row: row.trouble == "")
            web.order(3)
            web.printed()
            daemon.pserv("down", check=0)
        lines = log.read_bytes().splitlines(keepends=True)
        (mark,) = [line for line in lines if len(line) != LINE]
        missing = int(mark.split()[1])
        assert mark == b"--- %d lines dropped (%d bytes): No space left on device\n" % (missing, missing * LINE)
        first = lines.index(mark)
        numbers = [int(line[:9]) for line in lines if line != mark]
        assert numbers == [*range(first), *range(first + missing, FULL + 3)]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_fifo_that_nobody_reads_parks_its_service_alone(tmp_path: Path, deaf: bool) -> None:
    fifo = tmp_path / "nobody.fifo"
    os.mkfifo(fifo)
    with Driven(tmp_path, "parked", deaf=deaf) as parked, Driven(tmp_path, "free") as free:
        waiting = parked.declared(fifo, ", stop: {timeout: 500ms}")
        services = "services:\n" + waiting + free.declared(tmp_path / "free.log")
        with Daemon(tmp_path, services) as daemon:
            daemon.up()
            pid = daemon.pid("free")
            parked.order(FULL)
            row = daemon.until("parked", lambda row: row.trouble != "")
            assert row.trouble == f"cannot write log {fifo}: it is full, and nobody reads it"
            free.order(FULL)
            assert free.printed() == FULL
            assert not parked.has_printed()
            (stopped,) = json.loads(daemon.pserv("stop", "parked", "--json", check=0).stdout)["outcomes"]
            assert stopped["after"] < 5, "it waits for its timeout, and not for who reads"
            assert daemon.status()["parked"].trouble == row.trouble  # what it had printed is still to be written
            assert daemon.pid("free") == pid
            with fifo.open("rb") as reader:
                check_lines(reader.read(LINE * 100), 100)
                daemon.until("parked", lambda row: row.trouble == "")


def test_the_folder_of_a_log_is_made_and_a_deleted_log_comes_back(tmp_path: Path) -> None:
    log = tmp_path / "new" / "folder" / "service.log"
    with Daemon(tmp_path, f"services:\n  ticker: {{command: {ticking(0.02)!r}, stdout: {log}}}\n") as daemon:
        daemon.up()
        follower = daemon.start("logs", "-f", "ticker")
        with follower:
            assert follower.stdout is not None
            last = number_of(follower.stdout.readline())
            appears = Changes()
            appears.watch_folder(str(log.parent))
            log.unlink()
            ours, theirs = socket.socketpair()
            with ours, theirs:
                appears.wait(ours.fileno(), True)
            appears.close()
            for _ in range(100):  # most of them were printed after the new file came
                number = number_of(follower.stdout.readline())
                assert number > last
                last = number
            follower.terminate()
        assert number_of(log.read_text().splitlines()[-1]) >= last
        assert daemon.status()["ticker"].restarts == 0


def number_of(line: str) -> int:
    """The number in a line of the ticker."""
    word, number = line.split()
    assert word == "tick"
    return int(number)


@pytest.mark.parametrize("spoilt", ["folder", "permission"])
def test_a_log_that_cannot_be_opened_is_told_and_written_once_it_can(
    nobodys_folder: Path, tmp_path: Path, spoilt: str
) -> None:
    logs = nobodys_folder / "logs"
    log = logs / "bad.log"
    declared = f"""
services:
  good: {{command: sleep 10000}}
  bad: {{command: echo hello, type: oneshot, autostart: false, stdout: {log}}}
"""
    with Daemon(nobodys_folder, declared, wrapper=becoming(NOBODY, tmp_path)) as daemon:
        daemon.up()
        pid = daemon.pid("good")
        logs.mkdir()
        if spoilt == "folder":
            log.mkdir()
            expected = f"cannot write log {log}: Is a directory"
        else:
            expected = f"cannot write log {log}: Permission denied"
        daemon.pserv("start", "bad", check=0)
        row = daemon.until("bad", lambda row: row.trouble != "")
        assert row.trouble == expected
        assert row.trouble in daemon.pserv("status", "bad", check=0).stdout
        if spoilt == "folder":
            log.rmdir()
        logs.chmod(0o777)
        daemon.until("bad", lambda row: row.trouble == "")
        with daemon.start("logs", "-f", "bad") as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == "hello\n"
            follower.terminate()
        assert log.read_text() == "hello\n"
        assert daemon.pid("good") == pid


def test_a_crash_loop_whose_log_cannot_be_written_leaves_no_pipes_behind(tmp_path: Path) -> None:
    log = tmp_path / "bad.log"
    declared = f"""
services:
  good: {{command: sleep 10000}}
  mute: {{shell: exit 1, autostart: false, stdout: {log}, backoff: {{strategy: constant, initial: 10ms, jitter: 0}}}}
"""
    with Daemon(tmp_path, declared) as daemon:
        daemon.up()
        log.mkdir()
        keeper = daemon.daemon().keeper_pid
        daemon.pserv("start", "mute", "--no-wait", check=0)
        daemon.until("mute", lambda row: row.restarts >= 5)
        before = len(os.listdir(f"/proc/{keeper}/fd"))
        daemon.until("mute", lambda row: row.restarts >= 25)
        assert len(os.listdir(f"/proc/{keeper}/fd")) < before + 10


def test_a_crash_loop_that_prints_waits_for_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    log = tmp_path / "bad.log"
    fast = "restart: always, backoff: {strategy: constant, initial: 10ms, jitter: 0}"
    declared = f"services:\n  loud: {{shell: echo hello, autostart: false, stdout: {log}, {fast}}}\n"
    with Daemon(tmp_path, declared) as daemon:
        daemon.up()
        log.mkdir()
        daemon.pserv("start", "loud", "--no-wait", check=0)
        row = daemon.until("loud", lambda row: "before what earlier runs printed" in row.reason)
        told = f"cannot log to {log} before what earlier runs printed is written there: No buffer space available"
        assert row.reason.startswith(told)
        assert row.trouble == f"cannot write log {log}: Is a directory"
        log.rmdir()
        daemon.until("loud", lambda row: row.trouble == "")
        daemon.pserv("stop", "loud", check=0)
        daemon.pserv("down", check=0)
        assert set(log.read_text().splitlines()) == {"hello"}
        assert len(log.read_text().splitlines()) >= 16
