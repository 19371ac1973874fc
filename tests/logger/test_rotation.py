"""Rotation while a worker writes: between two lines, none lost, none cut, whoever is killed."""

from __future__ import annotations

import ctypes
import os
import random
import select
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.logger.rotated import family
from tests.logger.pretend_keeper import PATIENCE, Outlet, PretendKeeper, Seat
from tests.logger.test_exactly_once import WRITER, bytes_of, pieces, wait_for_writing

needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting needs root on Linux")


def rotating(keeper: PretendKeeper, path: Path, run: int = 1, **rules: object) -> Outlet:
    """A stream to a file that is rotated by these rules."""
    outlet = keeper.outlet(path, run)
    outlet.target["log"] = {"rotate": rules}
    return outlet


def feed(seat: Seat, outlet: Outlet, data: bytes, size: int = 4000) -> None:
    """Print in pieces that fit the pipe, each written before the next comes."""
    for start in range(0, len(data), size):
        outlet.print(data[start : start + size])
        seat.drain(outlet)


def test_files_are_as_full_as_whole_lines_make_them(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=1000)
    seat = keeper.seat(outlet)
    lines = b"".join(b"%069d\n" % number for number in range(1000))
    feed(seat, outlet, lines)
    found = pieces(path)
    assert [len(piece) for piece in found[:-1]] == [980] * (len(found) - 1)
    assert b"".join(found) == lines
    assert [one.number for one in family(str(path))] == list(range(1, len(found)))


@pytest.mark.parametrize("seed", range(6))
def test_any_lines_in_any_pieces_are_cut_between_lines_only(keeper: PretendKeeper, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    path = tmp_path / "a.log"
    size = dice.choice([10, 1000, 5000, 100_000])
    outlet = rotating(keeper, path, size=size)
    seat = keeper.seat(outlet)
    lines = [dice.randbytes(dice.choice([0, 1, 50, 900, 6000])).replace(b"\n", b"\r") + b"\n" for _ in range(200)]
    data = b"".join(lines)
    position = 0
    while position < len(data):
        part = data[position : position + dice.choice([1, 100, 3000, 60_000])]
        outlet.print(part)
        position += len(part)
        if dice.random() < 0.7:
            seat.drain(outlet)
    seat.drain(outlet)
    found = pieces(path)
    assert b"".join(found) == data
    assert all(piece.endswith(b"\n") for piece in found)
    longest = max(map(len, lines))
    assert max(map(len, found)) <= size + longest


def test_a_line_longer_than_a_file_may_be_has_one_of_its_own(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=1000)
    seat = keeper.seat(outlet)
    long = b"x" * 300_000 + b"\n"
    data = b"before\n" + long + b"after\n"
    feed(seat, outlet, data, 50_000)
    assert pieces(path) == [b"before\n", long, b"after\n"]


def test_only_so_many_are_kept(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    (tmp_path / "b.log.00000001.20261123T032407Z-20261123T041500Z").touch()
    outlet = rotating(keeper, path, size=1000, keep=3)
    seat = keeper.seat(outlet)
    feed(seat, outlet, b"".join(b"%099d\n" % number for number in range(105)))
    assert [one.number for one in family(str(path))] == [8, 9, 10]
    assert b"".join(pieces(path)) == b"".join(b"%099d\n" % number for number in range(70, 105))
    assert len(family(str(tmp_path / "b.log"))) == 1


def test_all_together_are_no_larger_than_declared(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=1000, max_total=3500)
    seat = keeper.seat(outlet)
    for number in range(105):
        feed(seat, outlet, b"%099d\n" % number)
        assert sum(map(len, pieces(path))) <= 3500
    assert [one.number for one in family(str(path))] == [9, 10]


def test_a_file_of_a_day_that_is_over_is_rotated_before_the_first_line_of_today(
    keeper: PretendKeeper, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"old\n")
    os.utime(path, (1e9, 1e9))
    outlet = rotating(keeper, path, every=86400, keep=5)
    seat = keeper.seat(outlet)
    while not family(str(path)):  # without that anybody prints
        select.select([], [], [], 0.001)
    feed(seat, outlet, b"new\n")
    assert pieces(path) == [b"old\n", b"new\n"]
    (one,) = family(str(path))
    assert (one.first, one.last) == (10**9, 10**9)


def test_a_period_that_ends_waits_for_the_end_of_a_line(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"begun")
    os.utime(path, (1e9, 1e9))
    outlet = rotating(keeper, path, every=3600)
    seat = keeper.seat(outlet)
    feed(seat, outlet, b" and ended\nnext\n")
    assert pieces(path) == [b"begun and ended\n", b"next\n"]


def test_other_rules_act_at_once(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path)
    seat = keeper.seat(outlet)
    feed(seat, outlet, b"one\ntwo\n")
    seat.tell({"op": "settings", "id": outlet.id, "log": {"rotate": {"size": 8}}})
    seat.drain(outlet)
    feed(seat, outlet, b"three\n")
    assert pieces(path) == [b"one\ntwo\n", b"three\n"]
    seat.tell({"op": "settings", "id": outlet.id, "log": {"rotate": None}})
    seat.drain(outlet)
    feed(seat, outlet, b"four\nfive\n")
    assert pieces(path) == [b"one\ntwo\n", b"three\nfour\nfive\n"]


def test_the_last_lines_of_a_run_reach_back_into_the_file_before(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"earlier\n")
    outlet = rotating(keeper, path, size=20)
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntwo\n")
    seat.drain(outlet)
    outlet.print(b"three\nfour\n")
    assert seat.drain(outlet)["lines"] == ["one", "two", "three", "four"]
    assert pieces(path) == [b"earlier\none\ntwo\n", b"three\nfour\n"]
    over, last = rotating(keeper, path, run=2, size=20), rotating(keeper, path, run=3, size=20)
    over.print(b"bye\n")
    over.end()
    seat.give(over)
    while not path.read_bytes().endswith(b"bye\n"):
        select.select([], [], [], 0.001)
    seat.give(last)
    last.print(b"another run\n")
    seat.drain(last)
    assert pieces(path)[1:] == [b"three\nfour\nbye\n", b"another run\n"]
    assert seat.drain(over)["lines"] == ["bye"]


def test_the_next_file_has_the_permissions_of_the_one_before(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    path.chmod(0o602)
    if os.geteuid() == 0:
        os.chown(path, 12, 13)
    before = path.stat()
    outlet = rotating(keeper, path, size=4)
    feed(keeper.seat(outlet), outlet, b"two\n")
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_is_followed(keeper: PretendKeeper, tmp_path: Path) -> None:
    real = tmp_path / "real" / "a.log"
    real.parent.mkdir()
    real.write_bytes(b"one\n")
    link = tmp_path / "link.log"
    link.symlink_to("real/a.log")
    outlet = rotating(keeper, link, size=4)
    feed(keeper.seat(outlet), outlet, b"two\n")
    assert pieces(real) == [b"one\n", b"two\n"]
    assert link.is_symlink()


def test_a_file_that_somebody_else_renamed_is_not_rotated_in_its_place(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=4)
    seat = keeper.seat(outlet)
    feed(seat, outlet, b"one\n")
    path.rename(tmp_path / "a.log.1")
    path.write_bytes(b"his\n")
    feed(seat, outlet, b"two\n")
    assert (tmp_path / "a.log.1").read_bytes() == b"one\n"
    assert pieces(path) == [b"his\n", b"two\n"]


def test_two_streams_of_one_file_are_rotated_together(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlets = [rotating(keeper, path, run=run, size=1000, keep=100) for run in (1, 2)]
    seat = keeper.seat(*outlets)
    for number in range(50):
        for outlet in outlets:
            outlet.print(b"%d %97d\n" % (outlet.run, number))
    for outlet in outlets:
        seat.drain(outlet)
    found = pieces(path)
    assert {len(piece) for piece in found} == {1000}
    lines = b"".join(found).splitlines()
    for outlet in outlets:
        assert [int(line[2:]) for line in lines if line.startswith(b"%d " % outlet.run)] == list(range(50))


def test_what_a_terminal_prints_is_rotated_too(keeper: PretendKeeper, tmp_path: Path) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=1000)
    os.close(outlet.read)
    os.close(outlet.write)
    outlet.read, outlet.write = master, slave
    seat = keeper.seat(outlet)
    data = b"".join(b"%069d\n" % number for number in range(200))
    for start in range(0, len(data), 1111):
        outlet.print(data[start : start + 1111])
        seat.drain(outlet)
    outlet.end()
    seat.hear("closed", id=outlet.id)
    found = pieces(path)
    assert b"".join(found) == data
    assert all(len(piece) == 1050 for piece in found[:-1])


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[Path]:
    """A file that cannot be renamed, since something is mounted on it."""
    path = tmp_path / "a.log"
    path.touch()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(os.fsencode(path), os.fsencode(path), None, 4096, None) == 0  # MS_BIND
    yield path
    assert libc.umount2(os.fsencode(path), 2) == 0


@needs_root
def test_a_file_that_cannot_be_renamed_grows_and_that_is_told_once(keeper: PretendKeeper, pinned: Path) -> None:
    outlet = rotating(keeper, pinned, size=100)
    seat = keeper.seat(outlet)
    data = b"".join(b"%099d\n" % number for number in range(20))
    for start in range(0, len(data), 100):
        outlet.print(data[start : start + 100])
        seat.tell({"op": "drain", "run": 1, "ids": [outlet.id]})
        while len([message for message in seat.news if message["op"] == "drained"]) <= start // 100:
            seat.listen(PATIENCE)
    assert pieces(pinned) == [data]
    (told,) = [message["text"] for message in seat.news if message["op"] == "unrotated"]
    assert told == "cannot rotate it: Device or resource busy"


def test_a_rotation_is_told(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = rotating(keeper, path, size=4)
    seat = keeper.seat(outlet)
    feed(seat, outlet, b"one\ntwo\n")
    assert seat.hear("rotated") == {"op": "rotated", "id": outlet.id, "path": str(path)}


def test_nothing_is_lost_or_doubled_when_the_worker_is_killed_while_it_rotates(
    keeper: PretendKeeper, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{index}.log" for index in range(3)]
    outlets = [rotating(keeper, path, size=size) for path, size in zip(paths, (50_000, 99_999, 2_000_000), strict=True)]
    writers = []
    for outlet, lines in zip(outlets, (1, 100, 2000), strict=True):
        command = [sys.executable, "-I", "-S", "-c", WRITER, str(lines)]
        writers.append(subprocess.Popen(command, stdout=outlet.write, stderr=subprocess.PIPE))
        outlet.end()
    for writer in writers:
        assert writer.stderr is not None
        assert os.read(writer.stderr.fileno(), 1) == b"+"
    dice = random.Random()
    seat = keeper.seat(*outlets)
    for _ in range(20):
        wait_for_writing(paths[2], bytes_of(paths[2]), dice.uniform(0, 0.02))
        seat.kill()
        seat.start(outlets)
    for writer in writers:
        writer.terminate()
    counts = [int(writer.communicate(timeout=PATIENCE)[1]) for writer in writers]
    for outlet in outlets:
        seat.drain(outlet)
        seat.hear("closed", id=outlet.id)
    for path, count in zip(paths, counts, strict=True):
        found = pieces(path)
        assert all(piece.endswith(b"\n") for piece in found if piece)
        printed = b"".join(found).splitlines()
        assert len(printed) == count
        assert all(line == b"%012d %s" % (number, b"x" * (number % 150)) for number, line in enumerate(printed))
