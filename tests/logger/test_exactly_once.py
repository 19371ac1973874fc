"""Every byte once: under kills of the worker at any moment, and across a handover of its hold pipe."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
from pathlib import Path

from pserv.logger.rotated import family
from tests.logger.pretend_keeper import PATIENCE, Outlet, PretendKeeper
from tests.rounds import KILLS

WRITER = """
import os, signal, sys
lines, going = int(sys.argv[1]), True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
os.write(2, b"+")
number = 0
while going:
    data = b"".join(b"%012d %s\\n" % (i, b"x" * (i % 150)) for i in range(number, number + lines))
    number += lines
    while data:
        data = data[os.write(1, data):]
os.write(2, b"%d" % number)
"""


def check(path: Path, printed: int) -> None:
    """The file is the numbered lines from 0 to `printed`, each whole, once and in order."""
    number = 0
    with path.open("rb") as file:
        for line in file:
            assert line == b"%012d %s\n" % (number, b"x" * (number % 150))
            number += 1
    assert number == printed


def test_nothing_is_lost_or_doubled_when_the_worker_is_killed(keeper: PretendKeeper, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.log" for index in range(3)]
    outlets = [keeper.outlet(path) for path in paths]
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
    for _ in range(KILLS):
        wait_for_writing(paths[1], bytes_of(paths[1]), dice.uniform(0, 0.02))
        seat.kill()
        seat.start(outlets)
    for writer in writers:
        writer.terminate()
    counts = []
    for writer in writers:
        _, told = writer.communicate(timeout=PATIENCE)
        counts.append(int(told))
    for outlet in outlets:
        seat.drain(outlet)
        seat.hear("closed", id=outlet.id)
    for path, count in zip(paths, counts, strict=True):
        check(path, count)


def pieces(path: Path) -> list[bytes]:
    """What is in the rotated files, in order, and then in the active one."""
    older = [(path.parent / one.name).read_bytes() for one in family(str(path))]
    return [*older, path.read_bytes()]


def bytes_of(path: Path) -> int:
    """How many bytes were written, as long as no rotated file was removed."""
    while True:
        try:
            older = [(path.parent / one.name).stat().st_size for one in family(str(path))]
            return sum(older) + (path.stat().st_size if path.exists() else 0)
        except FileNotFoundError:
            continue  # it was rotated at this moment


def wait_for_writing(path: Path, size: int, more: float) -> None:
    """Wait until more was written than that many bytes, and so many seconds more."""
    while bytes_of(path) <= size:
        select.select([], [], [], 0.0005)
    select.select([], [], [], more)


def test_a_successor_writes_what_the_hold_pipe_has_first(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = keeper.outlet(path)
    outlet.print(b"one\n")
    seat = keeper.seat(outlet)
    seat.drain(outlet)
    seat.kill()
    os.write(seat.hold[1], b"two\n")  # the kill came between the two splices
    outlet.print(b"three\n")
    seat.start([outlet])
    assert seat.drain(outlet)["lines"] == ["one", "two", "three"]
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_the_journal_names_the_file_even_if_the_stream_is_gone(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = keeper.outlet(path)
    outlet.print(b"one\n")
    seat = keeper.seat(outlet)
    seat.drain(outlet)
    seat.kill()
    os.write(seat.hold[1], b"two\n")
    seat.start([])
    assert seat.finish() == 0
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_successor_knows_where_the_run_began(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("an earlier run\n")
    outlet = keeper.outlet(path)
    outlet.print(b"one\n")
    seat = keeper.seat(outlet)
    seat.drain(outlet)
    seat.kill()
    outlet.print(b"two\n")
    seat.start([outlet])
    answer = seat.drain(outlet)
    assert answer["lines"] == ["one", "two"]
    assert answer["printed"] == 8


def test_a_released_worker_leaves_the_rest_to_another(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet: Outlet = keeper.outlet(tmp_path / "a.log")
    outlet.print(b"one\n")
    seat = keeper.seat(outlet)
    seat.drain(outlet)
    seat.tell({"op": "release"})
    seat.hear("released")
    assert seat.wait() == 0
    outlet.print(b"two\n")
    other = keeper.seat(outlet)
    other.drain(outlet)
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"
