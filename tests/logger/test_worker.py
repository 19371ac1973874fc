"""A worker's duties besides writing: the last lines, floods, many streams, its end."""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import sys
from pathlib import Path

from pserv.keeper.channel import Channel, pair
from tests.logger.pretend_keeper import PATIENCE, PretendKeeper, Seat
from tests.stillness import still


def memory(seat: Seat) -> int:
    """Bytes of memory that the worker alone has."""
    fields = Path(f"/proc/{seat.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in fields if line.startswith("Private_"))


def test_the_last_twenty_lines_of_this_run(keeper: PretendKeeper, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("an earlier run\n")
    outlet = keeper.outlet(tmp_path / "a.log", run=5)
    seat = keeper.seat(outlet)
    data = b"".join(b"line %d \x1b[31mred\x1b[0m \xff\r\n" % number for number in range(30)) + b"no end"
    outlet.print(data)
    wanted = [f"line {number} red \ufffd" for number in range(11, 30)] + ["no end"]
    assert seat.drain(outlet) == {"op": "drained", "run": 5, "lines": wanted, "printed": len(data)}


def test_lines_can_be_asked_for_after_the_end_of_file(keeper: PretendKeeper, tmp_path: Path) -> None:
    out, err = keeper.outlet(tmp_path / "a.out"), keeper.outlet(tmp_path / "a.err")
    seat = keeper.seat(out, err)
    out.print(b"out\n" * 40)
    err.print(b"Traceback\n")
    out.end()
    err.end()
    other = keeper.outlet(tmp_path / "b.log", run=2)
    seat.give(other)
    seat.drain(other)
    answer = seat.drain(out, err)
    assert answer["lines"] == ["out"] * 19 + ["Traceback"]
    assert answer["printed"] == 160 + 10
    assert {seat.hear("closed")["id"], seat.hear("closed")["id"]} == {out.id, err.id}


def test_a_stream_that_printed_nothing_is_closed_at_once(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    outlet.end()
    seat.hear("closed", id=outlet.id)
    assert seat.drain(outlet) == {"op": "drained", "run": 1, "lines": [], "printed": 0}


def test_a_long_line_is_told_by_its_end(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    outlet.print(b"x" * 50_000 + b"end\n")
    (line,) = seat.drain(outlet)["lines"]
    assert len(line) < 4096
    assert line.endswith("xend")


def test_a_flood_takes_no_memory_and_leaves_others_their_turn(keeper: PretendKeeper, tmp_path: Path) -> None:
    loud, quiet = keeper.outlet("/dev/null"), keeper.outlet(tmp_path / "quiet.log", run=2)
    loud.target["path"] = str(tmp_path / "loud.log")
    seat = keeper.seat(loud, quiet)
    quiet.print(b"before\n")
    seat.drain(quiet)
    before = memory(seat)
    flood = subprocess.Popen(["head", "-c", "200000000", "/dev/zero"], stdout=loud.write)
    loud.end()
    quiet.print(b"during\n")
    assert seat.drain(quiet)["lines"] == ["before", "during"]
    assert flood.wait(PATIENCE) == 0
    assert seat.drain(loud)["printed"] == 200_000_000
    assert (tmp_path / "loud.log").stat().st_size == 200_000_000
    assert memory(seat) - before < 1 << 20


def test_many_streams_take_little_memory(keeper: PretendKeeper, tmp_path: Path) -> None:
    """Beside theirs, pages are touched that a fork shared until then, at any time: the least of several growths."""
    seat = keeper.seat()
    sizes = []
    for first in range(0, 600, 150):
        outlets = [keeper.outlet(tmp_path / f"{number}.log", run=number) for number in range(first, first + 150)]
        for outlet in outlets:
            seat.give(outlet)
            outlet.print(b"%d\n" % outlet.id)
        for outlet in outlets:
            assert seat.drain(outlet)["lines"] == [str(outlet.id)]
        sizes.append(memory(seat))
    assert min(after - before for before, after in itertools.pairwise(sizes)) / 150 < 2048


def test_when_told_to_finish_it_writes_what_is_left(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlets = [keeper.outlet(tmp_path / f"{number}.log") for number in range(5)]
    seat = keeper.seat(*outlets)
    for outlet in outlets:
        outlet.print(b"x" * 60_000)
    assert seat.finish() == 0
    assert [os.stat(tmp_path / f"{number}.log").st_size for number in range(5)] == [60_000] * 5


def test_without_a_keeper_it_writes_until_the_services_have_ended(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    seat.drain(outlet)
    seat.hang_up()
    outlet.print(b"last words\n")
    assert not select.select([], [], [], 0.05)[0]
    os.kill(seat.pid, 0)
    outlet.end()
    assert seat.wait() == 0
    assert (tmp_path / "a.log").read_bytes() == b"last words\n"


def test_it_does_not_wake_up_when_nothing_is_printed(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    outlet.print(b"x" * 60_000)
    seat.drain(outlet)
    before = still(lambda: switches(seat), 0.5)  # the watch goes to sleep
    select.select([], [], [], 0.5)
    assert switches(seat) == before


def switches(seat: Seat) -> int:
    """Context switches of all threads so far."""
    total = 0
    for thread in Path(f"/proc/{seat.pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def test_it_runs_as_a_program_of_its_own(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    outlet.print(b"one\n")
    seat = keeper.seat()
    seat.kill()
    ours, theirs = pair()
    command = [sys.executable, "-P", "-m", "pserv.logger.main", str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    seat.greet(Channel(ours), [outlet])
    assert seat.drain(outlet)["lines"] == ["one"]
    seat.tell({"op": "finish"})
    assert process.wait(PATIENCE) == 0
