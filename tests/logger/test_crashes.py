"""A crash at any system call of a rotation: nothing is lost, and who comes next finishes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pserv.logger.rotated import family
from pserv.logger.rotating import Family
from pserv.logger.rotation import Rules
from tests.logger.failing import Crash, Crashing


def write(path: Path, number: int) -> int:
    """One line to the active file, which is made if need be; its open descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"%d\n" % number)
    return fd


def numbers(path: Path) -> list[int]:
    older = [(path.parent / one.name).read_bytes() for one in family(str(path))]
    active = path.read_bytes() if path.exists() else b""
    return [int(line) for line in b"".join([*older, active]).split()]


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_loses_nothing_within_the_retention(tmp_path: Path, after: bool) -> None:
    rules = Rules(size=1, keep=3, max_total=10_000)
    call, printed = 0, 0
    while True:
        call += 1
        folder = tmp_path / f"{call}"
        folder.mkdir()
        path = folder / "a.log"
        for printed in range(20):
            calls = Crashing(call if printed == 10 else 0, after=after)
            fd = write(path, printed)
            try:
                rotating = Family(str(path), calls)
                rotating.rotate(fd, 0.0)
                rotating.retain(rules, time.time())
            except Crash:
                pass
            finally:
                os.close(fd)
            if calls.crashed:
                found = numbers(path)
                assert found == list(range(printed + 1))[-len(found) :]
                assert len(found) >= 3
            elif printed == 10:
                assert call > 5  # one for each call there is
                return
        assert numbers(path) == [17, 18, 19]


def test_a_file_that_cannot_be_removed_keeps_none_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    family_of_a = Family(str(path))
    for number in range(6):
        os.close(write(path, number))
        fd = os.open(path, os.O_RDWR)
        family_of_a.rotate(fd, 0.0)
        os.close(fd)
    first = family(str(path))[0]
    (tmp_path / first.name).unlink()
    (tmp_path / first.name).mkdir()
    with pytest.raises(OSError, match="directory"):
        family_of_a.retain(Rules(keep=2), time.time())
    assert [one.number for one in family(str(path))] == [1, 5, 6]
