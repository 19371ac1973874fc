"""Logs that are rotated and compressed all the time: read, followed and carried elsewhere, each line once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pserv.export import Cursor
from tests.scenarios.daemon import PATIENCE, Daemon, kill, python

LINES = 10_000
WRITER = f"""
import os, time
for begin in range(0, {LINES}, 100):
    os.write(1, b''.join(b'%08d %b\\n' % (number, b'x' * 90) for number in range(begin, begin + 100)))
    time.sleep(0.005)
os.write(1, b'last\\n')
import signal; signal.pause()
"""


def config(log: str) -> str:
    return f"""
services:
  web: {{command: {json.dumps(python(WRITER))}, autostart: false, stdout: web.log, log: {log}}}
"""


def number(line: str) -> int:
    return int(line.split()[0])


@pytest.mark.parametrize(
    "log",
    [
        "{rotate: {size: 60KB, keep: 1000, compress: gzip}}",
        "{format: json, rotate: {size: 120KB, keep: 1000, compress: gzip}}",
    ],
    ids=["plain", "json"],
)
def test_followed_read_and_carried_while_it_is_rotated(tmp_path: Path, log: str) -> None:
    with Daemon(tmp_path, config(log)) as daemon:
        daemon.up()
        path = tmp_path / "web.log"
        with (
            daemon.start("logs", "-f", "web", "-n", str(LINES + 1)) as follower,
            Cursor(str(tmp_path / "cursor"), str(path)) as cursor,
        ):
            try:
                daemon.pserv("start", "web", check=0)
                carried: list[int] = []
                seen: list[int] = []
                assert follower.stdout is not None
                for line in follower.stdout:
                    if line == "last\n":
                        break
                    seen.append(number(line))
                    if len(seen) % 5_000 == 0:
                        daemon.kill_supervisor()
                    if len(seen) % 5_000 == 3_000:
                        logger = daemon.daemon().logger_pid
                        if logger is not None:
                            kill(logger)
                    if len(seen) % 4_000 == 2_000:
                        carry(cursor, carried)
            finally:
                follower.kill()
                follower.communicate(timeout=PATIENCE)
            assert seen == list(range(LINES))
            carry(cursor, carried)
            assert carried == list(range(LINES))
        assert len(list(tmp_path.glob("web.log.0*"))) > 4
        read = daemon.pserv("logs", "web", "-n", str(LINES + 1), check=0).stdout.splitlines()
        assert [number(line) for line in read[:-1]] == list(range(LINES))
        assert daemon.pserv("logs", "web", "--since", "1h", "--grep", "^0000[0-4]000", check=0).stdout.count("\n") == 5


def carry(cursor: Cursor, carried: list[int]) -> None:
    while batch := cursor.next():
        assert not any(batch.lost)
        for line in batch.lines:
            text = json.loads(line)["message"] if line.startswith(b"{") else line.decode()
            if text != "last":
                carried.append(number(text))
        cursor.acknowledge(batch)
