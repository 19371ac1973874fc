"""The wall clock is set an hour, forward and back, while services run, crash, and run by a schedule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon

FAKE = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
HOUR = 3600

pytestmark = pytest.mark.skipif(not FAKE, reason="needs libfaketime")

SERVICES = """
services:
  each: {shell: "date +%s", schedule: "* * * * * *"}
  made-up: {shell: "echo ran", schedule: "0 * * * *", missed: run}
  left-out: {shell: "echo ran", schedule: "0 * * * *"}
  slow: {command: sleep 10000, schedule: "0 0 1 1 *", overlap: kill}
  crash: {shell: "exit 1", restart: always, backoff: {strategy: constant, initial: 200ms}}
  web: {command: sleep 10000}
  db: {command: sleep 10000, health: {file: {path: well}, interval: 200ms, failures: 1, on_failure: alert}}
"""


class Clock:
    """The wall clock of the daemon and of all that it runs; the monotonic one goes on as it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.ahead = 0
        self.set(0)

    def set(self, ahead: int) -> None:
        """So many seconds ahead of the machine's."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{ahead:+d}s\n")
        fresh.rename(self._file)
        self.ahead = ahead

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": FAKE,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def now(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def ours(tmp_path: Path, clock: Clock) -> Iterator[Daemon]:
    with Daemon(tmp_path, SERVICES) as daemon:
        (tmp_path / "well").touch()
        plain = dict(daemon.env)
        daemon.env.update(clock.environment())
        daemon.up("--no-wait")  # crash may be in a back-off that counts as a failure when the others are up
        daemon.env = plain
        yield daemon


def test_a_clock_that_is_set_an_hour_disturbs_nobody(ours: Daemon, clock: Clock) -> None:
    ours.until_line("each", "")
    ours.pserv("run", "slow", "--no-wait", check=0)
    before = {name: ours.until(name, lambda row: row.pid is not None).pid for name in ("web", "db", "slow")}
    clock.set(HOUR)
    ours.until_line("made-up", "ran")
    _goes_on(ours, clock)
    told = ours.pserv("events", "left-out", check=0).stdout
    assert "missed the run due at" in told
    clock.set(0)
    _goes_on(ours, clock)
    lines = ours.pserv("logs", "made-up", "left-out", "-n", "1000", check=0).stdout
    began = time.time() % HOUR < 60  # the machine's own clock began an hour meanwhile, or may have
    assert lines.count("ran") <= (5 if began else 1), "what was missed is made up for once"
    assert {name: ours.pid(name) for name in before} == before
    assert {ours.status()[name].restarts for name in before} == {0}
    seconds = ours.pserv("logs", "each", "-n", "1000", check=0).stdout.split()
    assert len(seconds) == len(set(seconds)), "a second had two runs"


def _goes_on(ours: Daemon, clock: Clock) -> None:
    """All that has a clock somewhere does what it did, by the new time."""
    ours.until_line("each", str(int(clock.now()))[:5], 2)
    restarts = ours.status()["crash"].restarts
    ours.until("crash", lambda row: row.restarts > restarts + 1)
    (ours.folder / "well").unlink()
    ours.until("db", lambda row: row.health == "unhealthy")
    (ours.folder / "well").touch()
    ours.until("db", lambda row: row.health == "healthy")
    for name in ("made-up", "left-out"):
        ours.until(name, lambda row: row.next is not None and 0 < row.next - clock.now() <= HOUR + 5)
