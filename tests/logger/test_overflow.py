"""Output that its file does not take and that is dropped: nobody waits, whole lines are missing, all is counted."""

from __future__ import annotations

import errno
import os
import re
import select
import sys
from pathlib import Path

import pytest

from tests.logger.pretend_keeper import PATIENCE, Outlet, PretendKeeper, Seat
from tests.stalling import StallingFolder, missing

needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting needs root on Linux")
MARK = re.compile(rb"--- ([0-9]+) lines dropped \(([0-9]+) bytes\): (.*)\n")


def dropping(keeper: PretendKeeper, path: Path, which: str, **log: object) -> Outlet:
    outlet = keeper.outlet(path)
    outlet.target["log"] = {"rotate": None, "on_full": f"drop-{which}", **log}
    return outlet


def lines(first: int, end: int) -> bytes:
    return b"".join(b"%099d\n" % number for number in range(first, end))


def without_waiting(outlet: Outlet, data: bytes) -> None:
    """Print all of it; a pipe that stays full is a service that waits."""
    os.set_blocking(outlet.write, False)
    view = memoryview(data)
    while view:
        assert select.select([], [outlet.write], [], PATIENCE)[1], "the service waits"
        try:
            view = view[os.write(outlet.write, view[:65536]) :]
        except BlockingIOError:
            continue
    os.set_blocking(outlet.write, True)


def lost(seat: Seat, count: int) -> tuple[int, str]:
    """Wait until so many lines were told to be lost; bytes, and why."""
    told, size, why = 0, 0, ""
    while told < count:
        message = seat.hear("lost")
        told, size, why = told + message["lines"], size + message["bytes"], message["text"]
    assert told == count
    return size, why


def test_what_is_printed_meanwhile_goes_and_the_file_tells(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.mkdir()
    outlet = dropping(keeper, path, "newest")
    outlet.print(b"in time\n")
    seat = keeper.seat(outlet)
    assert seat.hear("error", id=outlet.id)["text"] == os.strerror(errno.EISDIR)
    without_waiting(outlet, lines(0, 30_000) + b"half a line")
    size, why = lost(seat, 30_000)
    assert why == os.strerror(errno.EISDIR)
    path.rmdir()
    seat.hear("restored", id=outlet.id)
    outlet.print(b" and its end\nwhole\n")
    while not path.exists() or not path.read_bytes().endswith(b"whole\n"):
        select.select([], [], [], 0.005)
    first, mark, rest = path.read_bytes().splitlines(keepends=True)
    found = MARK.fullmatch(mark)
    assert found is not None
    assert (first, rest) == (b"in time\n", b"whole\n")
    assert int(found[1]) == 30_001
    assert int(found[2]) == 3_000_000 + len(b"half a line and its end\n")
    assert size <= int(found[2])


def test_the_pipe_keeps_the_last_of_it(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.mkdir()
    outlet = dropping(keeper, path, "oldest")
    seat = keeper.seat(outlet)
    seat.hear("error", id=outlet.id)
    without_waiting(outlet, lines(0, 40_000))
    path.rmdir()
    seat.hear("restored", id=outlet.id)
    while not path.read_bytes().endswith(lines(39_999, 40_000)):
        select.select([], [], [], 0.005)
    kept, mark, rest = path.read_bytes().split(b"\n", 2)
    found = MARK.fullmatch(mark + b"\n")
    assert found is not None
    assert int(kept) == 0
    first = int(found[1]) + 1
    assert int(found[2]) == 100 * (first - 1)
    assert 0 < first < 40_000 - 500
    assert rest == lines(first, 40_000)


@needs_root
@pytest.mark.parametrize("log", [{}, {"format": "json"}], ids=["plain", "json"])
def test_a_full_disk_keeps_what_was_in_hand_and_loses_whole_lines(
    keeper: PretendKeeper, small_disk: Path, log: dict[str, object]
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2 << 20))
    path = small_disk / "a.log"
    outlet = dropping(keeper, path, "newest", **log)
    outlet.facts = {"run": 1, "name": "stdout", "pid": 7}
    seat = keeper.seat(outlet)
    without_waiting(outlet, lines(0, 60_000))
    assert seat.hear("error")["text"] == os.strerror(errno.ENOSPC)
    filler.unlink()
    seat.hear("restored", id=outlet.id)
    outlet.print(b"last\n")
    while b"last" not in path.read_bytes():
        select.select([], [], [], 0.005)
    written = path.read_bytes()
    if log:
        numbers = [int(found) for found in re.findall(rb'"message":"0*([0-9]+)"', written)]
    else:
        numbers = [int(line) for line in written.splitlines() if line.isdigit()]
    (count, size, why) = re.findall(rb"--- ([0-9]+) lines dropped \(([0-9]+) bytes\): ([^\n\"]*)", written)[0]
    assert why.decode() == os.strerror(errno.ENOSPC)
    missed = sorted(set(range(60_000)) - set(numbers))
    assert missed == list(range(missed[0], missed[0] + len(missed)))
    assert len(missed) == int(count)
    assert numbers == sorted(numbers)
    assert int(size) == len(missed) * 100


@pytest.mark.skipif(missing() != "", reason=missing())
def test_a_write_that_hangs_holds_up_nobody(keeper: PretendKeeper, tmp_path: Path) -> None:
    with StallingFolder(tmp_path / "stalling") as stalling:
        path = stalling.path / "a.log"
        outlet = dropping(keeper, path, "newest")
        seat = keeper.seat(outlet)
        outlet.print(b"first\n")
        seat.drain(outlet)
        stalling.stall("write")
        outlet.print(b"second\n")
        seat.hear("stuck")
        without_waiting(outlet, b"kept\n" + lines(0, 40_000))
        size, _ = lost(seat, 40_000)
        assert size == 4_000_000
        stalling.stall()
        seat.hear("flowing", id=outlet.id)
        outlet.print(b"third\n")
        seat.drain(outlet)
        *before, mark, after = path.read_bytes().splitlines(keepends=True)
        assert (before, after) == ([b"first\n", b"second\n", b"kept\n"], b"third\n")
        assert mark == b"--- 40000 lines dropped (4000000 bytes): a write did not return\n"


def test_nothing_is_dropped_where_nothing_is_declared(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.mkdir()
    outlet = keeper.outlet(path)
    outlet.print(lines(0, 300))
    seat = keeper.seat(outlet)
    seat.hear("error", id=outlet.id)
    path.rmdir()
    seat.hear("restored", id=outlet.id)
    seat.drain(outlet)
    assert path.read_bytes() == lines(0, 300)


def test_a_run_that_ends_meanwhile_is_over(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.mkdir()
    outlet = dropping(keeper, path, "newest")
    outlet.print(lines(0, 3))
    seat = keeper.seat(outlet)
    seat.hear("error", id=outlet.id)
    outlet.end()
    assert seat.hear("lost")["lines"] == 2
    seat.hear("closed", id=outlet.id)
