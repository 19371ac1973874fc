"""A file system that hangs stalls its own stream and no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logger.pretend_keeper import Outlet, PretendKeeper, Seat
from tests.stalling import StallingFolder, missing

pytestmark = pytest.mark.skipif(missing() != "", reason=missing())


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[StallingFolder]:
    with StallingFolder(tmp_path / "stalling") as folder:
        yield folder


def printed(seat: Seat, outlet: Outlet, data: bytes) -> None:
    """Have this printed and written."""
    outlet.print(data)
    seat.drain(outlet)


@pytest.mark.parametrize("call", ["write", "open"])
def test_one_file_hangs_and_the_others_go_to_another_worker(
    keeper: PretendKeeper, stalling: StallingFolder, tmp_path: Path, call: str
) -> None:
    slow, swift = keeper.outlet(stalling.path / "slow.log"), keeper.outlet(tmp_path / "swift.log", run=2)
    (stalling.path / "slow.log").write_bytes(b"")
    seat = keeper.seat(swift)
    printed(seat, swift, b"one\n")
    stalling.stall(call)
    seat.give(slow)
    slow.print(b"first\n")
    assert seat.hear("stuck") == {
        "op": "stuck", "id": slow.id, "path": str(stalling.path / "slow.log"), "text": "",
    }  # fmt: skip

    other = keeper.seat(swift)
    printed(other, swift, b"two\n")
    assert (tmp_path / "swift.log").read_bytes() == b"one\ntwo\n"

    slow.print(b"second\n")
    stalling.stall()
    seat.hear("flowing", id=slow.id)
    swift.print(b"three\n")
    assert other.drain(swift)["op"] == "drained"
    assert seat.drain(slow)["lines"] == ["first", "second"]
    assert (stalling.path / "slow.log").read_bytes() == b"first\nsecond\n"
    assert (tmp_path / "swift.log").read_bytes() == b"one\ntwo\nthree\n"


def test_a_worker_that_was_stuck_touches_nothing_else(
    keeper: PretendKeeper, stalling: StallingFolder, tmp_path: Path
) -> None:
    slow, swift = keeper.outlet(stalling.path / "slow.log"), keeper.outlet(tmp_path / "swift.log", run=2)
    seat = keeper.seat(slow, swift)
    printed(seat, swift, b"one\n")
    printed(seat, slow, b"zero\n")
    stalling.stall("write")
    slow.print(b"first\n")
    seat.hear("stuck", id=slow.id)
    swift.print(b"two\n")
    late = keeper.outlet(tmp_path / "late.log", run=3)
    seat.give(late)  # sent before the keeper heard of it
    late.print(b"late\n")
    stalling.stall()
    seat.hear("flowing", id=slow.id)
    assert seat.drain(slow)["lines"] == ["zero", "first"]
    assert os.read(swift.read, 100) == b"two\n"
    assert os.read(late.read, 100) == b"late\n"
    assert not (tmp_path / "late.log").exists()


def test_a_stuck_worker_writes_all_and_closes_when_it_flows(
    keeper: PretendKeeper, stalling: StallingFolder, tmp_path: Path
) -> None:
    slow = keeper.outlet(stalling.path / "slow.log")
    seat = keeper.seat(slow)
    stalling.stall("write")
    slow.print(b"x" * 60_000)
    seat.hear("stuck", id=slow.id)
    slow.print(b"y" * 60_000)
    slow.end()
    stalling.stall()
    seat.hear("closed", id=slow.id)
    assert (stalling.path / "slow.log").read_bytes() == b"x" * 60_000 + b"y" * 60_000
    assert seat.finish() == 0


def test_a_successor_that_hangs_on_what_was_left_says_so(
    keeper: PretendKeeper, stalling: StallingFolder, tmp_path: Path
) -> None:
    slow, swift = keeper.outlet(stalling.path / "slow.log"), keeper.outlet(tmp_path / "swift.log", run=2)
    seat = keeper.seat(slow)
    printed(seat, slow, b"one\n")
    seat.kill()
    os.write(seat.hold[1], b"two\n")
    stalling.stall("write")
    seat.start([slow, swift])
    seat.hear("stuck", id=slow.id)
    slow.print(b"three\n")
    stalling.stall()
    seat.hear("flowing", id=slow.id)
    assert seat.drain(slow)["lines"] == ["one", "two", "three"]
