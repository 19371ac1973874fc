"""When a file is due, by a pretend clock: by its period, whatever that clock does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.logger.look import Look
from pserv.logger.rotating import Family
from pserv.logger.rotation import Rotation, Rules

HOUR = 3600.0
NOON = 1_795_392_000.0


class Wall:
    """A clock on the wall, which somebody sets."""

    def __init__(self) -> None:
        self.now = NOON + 60

    def __call__(self) -> float:
        return self.now


class Bench:
    """A pipe, a file and their rotation."""

    def __init__(self, path: Path, **rules: float) -> None:
        self.wall = Wall()
        self.rotation = Rotation(Rules.of({**rules}) or Rules(), Family(str(path)), self.wall)
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.read, self._write = os.pipe()
        self._look = Look(1 << 20)
        self.rotation.opened(0, 0)

    def asks(self, line: bytes = b"line\n") -> int:
        """How much of a line that was printed may be written; it is, as far as it may."""
        os.write(self._write, line)
        end = os.lseek(self.file, 0, os.SEEK_END)
        allowed = self.rotation.allows(self.read, self.file, end, 1 << 20, self._look)
        if allowed:
            os.write(self.file, os.read(self.read, allowed))
        else:
            os.read(self.read, 100)
        return allowed

    def rotated(self) -> None:
        """What was due is done."""
        os.ftruncate(self.file, 0)
        self.rotation.opened(0, 0)
        self.rotation.done()

    def close(self) -> None:
        self._look.close()
        for fd in (self.file, self.read, self._write):
            os.close(fd)


@pytest.fixture
def hourly(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "a.log", every=HOUR)
    yield bench
    bench.close()


def test_the_next_hour_begins_another_file(hourly: Bench) -> None:
    assert hourly.asks()
    hourly.wall.now = NOON + 3599
    assert hourly.asks()
    hourly.wall.now = NOON + 3600
    assert not hourly.asks()
    assert hourly.rotation.due


def test_a_clock_that_jumps_to_and_fro_rotates_once(hourly: Bench) -> None:
    rotations = 0
    for jump in range(1000):
        hourly.wall.now = NOON + 60 + jump % 2 * 7200
        if not hourly.asks():
            hourly.rotated()
            rotations += 1
    assert rotations == 1


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps_for_years_makes_no_storm(hourly: Bench, years: int) -> None:
    assert hourly.asks()
    hourly.wall.now += years * 365 * 86400
    rotations = 0
    for _ in range(1000):
        if not hourly.asks():
            hourly.rotated()
            rotations += 1
        hourly.wall.now += 0.1
    assert rotations <= 1
    left = hourly.rotation.due_in()
    assert left is not None
    assert left <= HOUR + 7200


def test_a_clock_that_was_put_back_still_ends_the_hour_it_shows(hourly: Bench) -> None:
    assert hourly.asks()
    hourly.wall.now = NOON - 86400 + 60
    assert hourly.asks()
    hourly.wall.now = NOON - 86400 + 3600
    assert not hourly.asks()


def test_an_empty_file_waits_for_its_first_line(hourly: Bench) -> None:
    hourly.wall.now = NOON + 3 * HOUR + 60
    hourly.rotation.ring(hourly.file, 0)
    assert not hourly.rotation.due
    left = hourly.rotation.due_in()
    assert left == HOUR - 60
    assert hourly.asks()


def test_the_middle_of_a_line_is_not_waited_for_in_a_loop(hourly: Bench) -> None:
    assert hourly.asks(b"half a li")
    hourly.wall.now = NOON + HOUR
    hourly.rotation.ring(hourly.file, 9)
    assert not hourly.rotation.due
    assert hourly.rotation.due_in() is None
    assert hourly.asks(b"ne\nnext\n") == 3


def test_what_could_not_be_rotated_is_written_on_and_tried_later(hourly: Bench) -> None:
    assert hourly.asks()
    hourly.wall.now = NOON + HOUR
    assert not hourly.asks()
    hourly.rotation.postpone("why")
    assert hourly.asks()
    left = hourly.rotation.due_in()
    assert left is not None
    assert 50 < left <= 60


def test_size_and_period_go_together(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a.log", every=HOUR, size=10)
    assert bench.asks()
    assert bench.asks()
    assert not bench.asks()
    bench.rotated()
    assert bench.asks()
    bench.wall.now = NOON + HOUR
    assert bench.asks()  # the one before was just now
    bench.close()
