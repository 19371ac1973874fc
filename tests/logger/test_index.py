"""Hints beside a log: when one is written, what is left of them at a rotation, and that garbage harms nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.logger import index
from pserv.logger.index import Hint, Hints
from tests.logger.pretend_keeper import PretendKeeper

SPAN = "20261123T032407Z-20261123T041500Z"


def records(log: Path) -> list[Hint]:
    lines = Path(index.path_of(str(log))).read_bytes().splitlines()
    return [hint for line in lines if (hint := index.parse(line)) is not None]


def test_a_run_begins_with_a_record_and_a_mebibyte_brings_another(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    hints = Hints(str(log))
    for offset in (0, 100, 200):
        hints.note(offset, 7)
    hints.note(300, 8)
    hints.note(400, 7)  # what the old run still prints is no beginning
    hints.note(300 + index.STEP, 8)
    assert [(hint.sequence, hint.offset, hint.run) for hint in records(log)] == [
        (1, 0, 7),
        (1, 300, 8),
        (1, 300 + index.STEP, 8),
    ]


def test_the_number_is_the_one_after_the_highest(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for name in (
        f"web.log.00000016.{SPAN}",
        f"web.log.00000017.{SPAN}.gz",
        "web.log.1",
        "web.log.99999999",
        f"other.log.00000099.{SPAN}",
    ):
        (tmp_path / name).touch()
    Hints(str(log)).note(0, 1)
    assert [hint.sequence for hint in records(log)] == [18]
    again = Hints(str(log))
    again.note(50, 2)
    assert [hint.sequence for hint in records(log)] == [18, 18]


def test_a_rotation_drops_what_is_gone_and_thins_out_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    lines = [Hint(3, 0, 1.0, 1), Hint(4, 0, 2.0, 1), Hint(4, 10, 3.0, 1), Hint(4, 20, 4.0, 2), Hint(4, 90, 15.0, 2)]
    path = Path(index.path_of(str(log)))
    path.write_bytes(b"garbage\n" + b"".join(map(index.written, lines)) + b"4 1")
    hints = Hints(str(log))
    for _ in range(2):
        index.rotated(str(log), 4, 4)
        assert [tuple(hint)[:2] for hint in records(log)] == [(4, 0), (4, 20), (4, 90), (5, 0)]
    hints.note(7, 3)
    assert tuple(records(log)[-1])[:2] == (5, 7)


def test_what_cannot_be_written_is_not_missed(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    Path(index.path_of(str(log))).mkdir()
    hints = Hints(str(log))
    hints.note(0, 1)
    index.rotated(str(log), 1, 1)
    index.rotated(str(tmp_path / "none" / "web.log"), 1, 1)
    os.rmdir(index.path_of(str(log)))
    hints.note(index.STEP, 1)
    assert len(records(log)) == 1


def test_a_link_laid_where_the_hints_go_is_not_followed(tmp_path: Path) -> None:
    log, victim = tmp_path / "web.log", tmp_path / "victim"
    victim.write_text("kept\n")
    os.symlink(victim, index.path_of(str(log)))
    os.link(victim, index.path_of(str(log)) + ".new")
    Hints(str(log)).note(0, 1)
    index.rotated(str(log), 1, 1)
    assert victim.read_text() == "kept\n"


@pytest.mark.parametrize("line", [b"", b"1", b"1 2 3", b"a b c d", b"0 0 0 0", b"1 -1 0 0", b"1 1 nan 1", b"1 1 1 1 1"])
def test_garbage_is_no_record(line: bytes) -> None:
    assert index.parse(line) is None


def test_the_logger_notes_what_it_writes(keeper: PretendKeeper, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    outlet = keeper.outlet(log, run=5)
    seat = keeper.seat(outlet)
    outlet.print(b"one\n")
    seat.drain(outlet)
    assert [(hint.sequence, hint.offset, hint.run) for hint in records(log)] == [(1, 0, 5)]


def test_hints_follow_rotation_whoever_is_killed(keeper: PretendKeeper, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    outlet = keeper.outlet(log, run=5)
    outlet.target["log"] = {"rotate": {"size": 4, "keep": 2}}
    seat = keeper.seat(outlet)
    for number in range(1, 40):
        outlet.print(b"%03d\n" % number)
        seat.drain(outlet)
        assert tuple(records(log)[-1])[:2] == (number, 0), sorted(os.listdir(tmp_path))
        if number % 10 == 0:
            log.rename(log.with_name(f"web.log.{number:08}.{SPAN}"))  # killed right after the rename
            seat.kill()
            seat.start([outlet])
    assert len(records(log)) < 2 * index.COMPACTED
