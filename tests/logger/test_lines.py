"""Formats through a worker: lines that are not finished, whoever is killed; two streams in one file; any target."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pserv.logger.facts import Facts
from pserv.logger.formats import Format
from pserv.logger.journal import Batch, Journal
from pserv.logger.limits import NOTHING
from pserv.logger.settings import Settings
from tests.logger import crashing
from tests.logger.pretend_keeper import PATIENCE, Outlet, PretendKeeper, Seat
from tests.logger.test_exactly_once import WRITER, bytes_of, pieces, wait_for_writing
from tests.logger.test_worker import memory
from tests.rounds import EACH_LINE, KILLS
from tests.stillness import still

JSON = {"format": "json", "service": "web"}
SOURCE = str(Path(__file__).parents[2] / "src")


def outlet_with(keeper: PretendKeeper, path: Path | str, log: dict[str, Any], run: int = 1) -> Outlet:
    outlet = keeper.outlet(path, run)
    outlet.target["log"] = {"rotate": None, **log}
    outlet.facts = {"run": run, "name": "stdout", "pid": 4242}
    return outlet


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(pieces(path)).splitlines()]


def messages(path: Path) -> list[str]:
    return [row["message"] for row in rows(path)]


@pytest.mark.parametrize(
    "log",
    [
        {},
        JSON,
        {"timestamps": True},
        {"strip_ansi": True},
        {"rotate": {"size": 12}},
        {"rotate": {"size": 400, "keep": None}, **JSON},
        {"rate": [0.001, 1]},
        {"rate": [0.001, 2], "rotate": {"size": 12, "keep": None}},
    ],
    ids=str,
)
def test_a_kill_at_any_line_of_ours_loses_and_doubles_nothing(log: dict[str, Any]) -> None:
    command = [sys.executable, crashing.__file__, json.dumps(log), str(EACH_LINE), "6"]
    subprocess.run(command, check=True, timeout=PATIENCE * (1 + 30 // EACH_LINE))


def test_kills_while_much_is_written(keeper: PretendKeeper, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.log" for index in range(2)]
    rotate = {"rotate": {"size": 300_000}}
    outlets = [outlet_with(keeper, paths[0], JSON | rotate), outlet_with(keeper, paths[1], {"timestamps": True})]
    writers = []
    for outlet, lines in zip(outlets, (100, 2000), strict=True):
        command = [sys.executable, "-I", "-S", "-c", WRITER, str(lines)]
        writers.append(subprocess.Popen(command, stdout=outlet.write, stderr=subprocess.PIPE))
        outlet.end()
    dice = random.Random()
    seat = keeper.seat(*outlets)
    for _ in range(KILLS // 2):
        wait_for_writing(paths[1], bytes_of(paths[1]), dice.uniform(0, 0.01))
        seat.kill()
        seat.start(outlets)
    for writer in writers:
        writer.terminate()
    counts = [int(writer.communicate(timeout=PATIENCE)[1].strip(b"+")) for writer in writers]
    for outlet in outlets:
        seat.drain(outlet)
        seat.hear("closed", id=outlet.id)
    assert all(piece.endswith(b"\n") for path in paths for piece in pieces(path) if piece)
    for number, told in enumerate(messages(paths[0])):
        assert told == f"{number:012} {'x' * (number % 150)}"
    assert number == counts[0] - 1
    for number, line in enumerate(b"".join(pieces(paths[1])).splitlines(keepends=True)):
        assert line[28:] == b"%012d %s\n" % (number, b"x" * (number % 150))
    assert number == counts[1] - 1


def test_the_beginning_of_a_line_waits_for_its_end_over_the_death_of_a_worker(
    keeper: PretendKeeper, tmp_path: Path
) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntw")
    written(tmp_path / "a.log", 1)
    seat.kill()
    seat.start([outlet])
    outlet.print(b"o\n")
    written(tmp_path / "a.log", 2)
    assert messages(tmp_path / "a.log") == ["one", "two"]


def test_a_released_worker_leaves_the_beginning_of_a_line_to_the_next(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntw")
    written(tmp_path / "a.log", 1)
    seat.tell({"op": "release"})
    seat.hear("released")
    assert seat.wait() == 0
    other = keeper.seat(outlet)
    outlet.print(b"o\n")
    written(tmp_path / "a.log", 2)
    assert other.finish() == 0
    assert messages(tmp_path / "a.log") == ["one", "two"]


def written(path: Path, lines: int) -> None:
    """Wait until so many lines are in the file."""
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        select.select([], [], [], 0.001)


def test_at_the_end_of_a_run_it_is_written_and_marked(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    seat = keeper.seat(outlet)
    outlet.print(b"one\nno end")
    assert seat.drain(outlet)["lines"] == ["one", "no end"]
    assert [(row["message"], row["partial"]) for row in rows(tmp_path / "a.log")] == [("one", False), ("no end", True)]
    outlet.print(b"rest")
    outlet.end()
    seat.hear("closed", id=outlet.id)
    assert messages(tmp_path / "a.log") == ["one", "no end", "rest"]


def test_at_the_end_of_all_it_is_written(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", {"timestamps": True})
    seat = keeper.seat(outlet)
    outlet.print(b"one\nno end")
    written(tmp_path / "a.log", 1)
    assert seat.finish() == 0
    assert [line[27:] for line in (tmp_path / "a.log").read_bytes().splitlines()] == [b" one", b"+no end"]


def test_a_prompt_without_an_end_costs_nothing(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    seat = keeper.seat(outlet)
    outlet.print(b"one\nname? ")
    written(tmp_path / "a.log", 1)
    before = still(lambda: cpu_switches(seat), 0.5)  # the watch goes to sleep
    select.select([], [], [], 0.3)
    assert cpu_switches(seat) == before
    outlet.print(b"x")
    outlet.print(b"y\n")
    written(tmp_path / "a.log", 2)
    assert messages(tmp_path / "a.log") == ["one", "name? xy"]


def cpu_switches(seat: Seat) -> int:
    """Context switches of all threads so far."""
    total = 0
    for thread in Path(f"/proc/{seat.pid}/task").iterdir():
        fields = (thread / "status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in fields if "ctxt_switches" in line)
    return total


def test_a_line_of_ten_megabytes_is_split_and_takes_no_memory(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    seat = keeper.seat(outlet)
    printer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os\nfor _ in range(5000): os.write(1, b'\\xc3\\xb6' * 1025)\nos.write(1, b'\\n')",
        ],
        stdout=outlet.write,
    )
    outlet.end()
    assert printer.wait(PATIENCE) == 0
    seat.drain(outlet)
    found = rows(tmp_path / "a.log")
    assert "".join(row["message"] for row in found) == "ö" * 1025 * 5000
    assert [row["partial"] for row in found] == [True] * (len(found) - 1) + [False]
    assert {len(row["message"].encode()) for row in found[:-1]} == {65536}


def test_two_streams_in_one_file_say_which_they_are(keeper: PretendKeeper, tmp_path: Path) -> None:
    out = outlet_with(keeper, tmp_path / "a.log", JSON)
    err = outlet_with(keeper, tmp_path / "a.log", JSON)
    err.facts = {**out.facts, "name": "stderr"}
    seat = keeper.seat(out, err)
    for number in range(100):
        (out, err)[number % 2].print(b"%d\n" % number)
        written(tmp_path / "a.log", number + 1)
    told = [(int(row["message"]), row["stream"]) for row in rows(tmp_path / "a.log")]
    assert told == [(number, ("stdout", "stderr")[number % 2]) for number in range(100)]
    out.print(b"half")
    err.print(b"whole\n")
    written(tmp_path / "a.log", 101)
    out.print(b" done\n")
    written(tmp_path / "a.log", 102)
    assert messages(tmp_path / "a.log")[100:] == ["whole", "half done"]
    seat.drain(out, err)


def test_what_is_printed_before_the_process_is_known_waits_for_it(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    outlet.facts = {**outlet.facts, "pid": 0}
    seat = keeper.seat(outlet)
    outlet.print(b"early\n")
    other = keeper.outlet(tmp_path / "b.log", run=2)
    seat.give(other)
    seat.drain(other)
    assert not (tmp_path / "a.log").exists() or not rows(tmp_path / "a.log")
    seat.tell({"op": "settings", "id": outlet.id, "log": JSON, **outlet.facts, "pid": 77})
    written(tmp_path / "a.log", 1)
    assert rows(tmp_path / "a.log")[0]["pid"] == 77


def test_the_format_changes_while_the_service_runs(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet, other = keeper.outlet(path), keeper.outlet(tmp_path / "b.log")
    seat = keeper.seat(outlet, other)
    outlet.print(b"plain\nhalf")
    seat.drain(outlet)

    def change(log: dict[str, Any]) -> None:
        facts = {"run": 1, "name": "output", "pid": 5}
        seat.tell({"op": "settings", "id": outlet.id, "log": log, **facts})
        seat.drain(other)  # it was heard

    change(JSON)
    outlet.print(b"json\nbegun")
    written(path, 3)
    change({"timestamps": True})
    outlet.print(b" and done\n")
    written(path, 4)
    change({})
    outlet.print(b"plain again")
    seat.drain(outlet)
    lines = path.read_bytes().split(b"\n")
    assert lines[:2] == [b"plain", b"half"]
    assert json.loads(lines[2])["message"] == "json"
    assert json.loads(lines[2])["stream"] == "output"
    assert lines[3][27:] == b" begun and done"
    assert lines[4] == b"plain again"


def test_a_terminal_is_read_line_by_line(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", JSON)
    master, slave = pty.openpty()
    for fd in (outlet.read, outlet.write):
        os.close(fd)
    outlet.read, outlet.write = master, slave
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntw")
    written(tmp_path / "a.log", 1)
    outlet.print(b"o\nno end")
    outlet.end()
    seat.drain(outlet)
    seat.hear("closed", id=outlet.id)
    assert messages(tmp_path / "a.log") == ["one\r", "two\r", "no end"]


def test_lines_go_through_a_fifo_that_is_read_slowly(keeper: PretendKeeper, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet = outlet_with(keeper, fifo, JSON)
    seat = keeper.seat(outlet)
    lines = 3000
    outlet.print(b"".join(b"%d\n" % number for number in range(lines)))
    outlet.end()
    data = b""
    while data.count(b"\n") < lines:
        assert select.select([reader], [], [], PATIENCE)[0]
        data += os.read(reader, 4096)
    os.close(reader)
    seat.hear("closed", id=outlet.id)
    assert [json.loads(line)["message"] for line in data.splitlines()] == [str(number) for number in range(lines)]


def test_what_is_not_wanted_is_not_imported(keeper: PretendKeeper, tmp_path: Path) -> None:
    code = "import sys, pserv.logger.main; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.split()
    assert "pserv.logger.worker" in told
    assert not {"ctypes", "pserv.logger.lines", "pserv.logger.formats"} & set(told)
    code = "import sys, pserv.logger.format_json, pserv.logger.lines, pserv.logger.worker; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {SOURCE!r}); {code}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.split()
    assert not {"json", "re", "typing", "threading"} & set(told)


def limited(rate: float, burst: int) -> dict[str, Any]:
    return {"rate": [rate, burst]}


def test_lines_beyond_the_rate_are_dropped_counted_and_marked(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = outlet_with(keeper, path, limited(0.001, 10))
    seat = keeper.seat(outlet)
    outlet.print(b"".join(b"line %d\n" % number for number in range(1000)))
    told = seat.hear("dropped")
    size = sum(len(f"line {number}\n") for number in range(10, 1000))
    assert told == {"op": "dropped", "id": outlet.id, "lines": 990, "bytes": size}
    lines = path.read_text().splitlines()
    assert lines == [
        *(f"line {number}" for number in range(10)),
        f"--- 990 lines dropped ({size} bytes): log.rate is 0.001/s",
    ]
    outlet.print(b"one more\nno end")
    seat.drain(outlet)
    seat.hear("dropped", lines=992, bytes=size + 15)
    assert path.read_text().splitlines()[: len(lines)] == lines
    assert marked(path) == 992
    outlet.end()
    seat.hear("closed", id=outlet.id)


def marked(path: Path) -> int:
    """How many lines a file says were dropped."""
    return sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("--- "))


def test_both_streams_of_a_run_share_what_is_allowed(keeper: PretendKeeper, tmp_path: Path) -> None:
    log = {**JSON, **limited(0.001, 10)}
    out, err = outlet_with(keeper, tmp_path / "a.log", log), outlet_with(keeper, tmp_path / "b.log", log)
    seat = keeper.seat(out, err)
    out.print(b"x\n" * 6)
    seat.drain(out)
    err.print(b"y\n" * 6)
    seat.hear("dropped", id=err.id, lines=2)
    assert messages(tmp_path / "a.log") == ["x"] * 6
    assert messages(tmp_path / "b.log") == ["y"] * 4 + ["--- 2 lines dropped (4 bytes): log.rate is 0.001/s"]


def test_without_a_limit_any_more_the_count_is_still_told(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", limited(0.001, 1))
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntwo\n")
    written(tmp_path / "a.log", 1)
    seat.tell({"op": "settings", "id": outlet.id, "log": {}, **outlet.facts})
    outlet.print(b"three\n")
    seat.hear("dropped", lines=1)
    written(tmp_path / "a.log", 3)
    assert set((tmp_path / "a.log").read_text().splitlines()) == {
        "one",
        "three",
        "--- 1 line dropped (4 bytes): log.rate",
    }


def test_what_was_dropped_is_not_forgotten_with_a_killed_worker(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", limited(0.001, 2))
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntwo\nthree\n")
    written(tmp_path / "a.log", 2)
    seat.kill()
    seat.start([outlet])
    outlet.print(b"a\nb\nc\nd\n")  # a new worker allows a new burst
    seat.hear("dropped", lines=3)
    assert marked(tmp_path / "a.log") == 3
    assert [line for line in (tmp_path / "a.log").read_text().split("\n") if line[:3] != "---"] == [
        *["one", "two", "a", "b"],
        "",
    ]


def test_what_is_written_already_is_only_dropped(keeper: PretendKeeper, tmp_path: Path) -> None:
    """A kill while the hold pipe was emptied: not all of a batch is in it any more."""
    path = tmp_path / "a.log"
    outlet = outlet_with(keeper, path, JSON)
    seat = keeper.seat(outlet)
    outlet.print(b"one\ntwo\n")
    seat.drain(outlet)
    seat.kill()
    journal = Journal(os.dup(seat.journal))
    format = Format(Settings(JSON), Facts(1, "stdout", 4242))
    journal.begin(outlet.id, str(path), Batch(0, path.stat().st_ino, 0, False, format.noted, 8, NOTHING))
    journal.written()
    journal.close()
    os.write(seat.hold[1], b"two\n")
    seat.start([outlet])
    outlet.print(b"three\n")
    written(path, 3)
    assert messages(path) == ["one", "two", "three"]


def test_a_flood_with_a_format_takes_little_memory(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = outlet_with(keeper, tmp_path / "a.log", {**JSON, "rotate": {"size": 1 << 20, "keep": 1}})
    seat = keeper.seat(outlet)
    outlet.print(b"one\n")
    seat.drain(outlet)
    before = memory(seat)
    code = "import os\nfor _ in range(400): os.write(1, (b'\\x01' * 249 + b'\\n') * 80)"  # each byte becomes six
    flood = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=outlet.write)
    outlet.end()
    assert flood.wait(PATIENCE) == 0
    assert seat.drain(outlet)["printed"] == 8_000_004
    assert memory(seat) - before < 8 << 20
