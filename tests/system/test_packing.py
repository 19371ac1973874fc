"""Compression: what comes out is what went in, for the tools that people have; a crash at any call loses nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from pserv.logger.rotated import family, name_of, readable
from pserv.system import packing
from tests.logger.failing import Crash, Crashing

NAME = name_of("a.log", 3, 1000, 2000)
DATA = b"".join(b"%d a line\n" % number for number in range(40_000))
"""More than two of the blocks in which it is read."""
UNPACKED = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}

needs_zstd = pytest.param("zstd", marks=pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd(1)"))


def unpacked(path: Path) -> bytes:
    how = "gzip" if path.suffix == ".gz" else "zstd"
    return subprocess.run([*UNPACKED[how], str(path)], capture_output=True, check=True).stdout


def content(folder: Path) -> bytes:
    """What the one readable file of the log has."""
    (one,) = readable(family(str(folder / "a.log")))
    return unpacked(folder / one.name) if one.packing else (folder / one.name).read_bytes()


@pytest.mark.parametrize("how", ["gzip", needs_zstd])
def test_what_other_programs_read_is_what_was_there(tmp_path: Path, how: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    path.chmod(0o640)
    assert packing.pack(str(tmp_path), NAME, how)
    (made,) = tmp_path.iterdir()
    assert made.name == NAME + packing.SUFFIX[how]
    assert made.stat().st_mode & 0o777 == 0o640
    assert made.stat().st_size < len(DATA) / 3
    assert unpacked(made) == DATA
    assert not packing.pack(str(tmp_path), NAME, how)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_loses_nothing_and_the_next_finishes(tmp_path: Path, after: bool) -> None:
    for call in range(1, 1000):
        folder = tmp_path / str(call)
        folder.mkdir()
        (folder / NAME).write_bytes(DATA)
        calls = Crashing(call, after=after)
        try:
            packing.pack(str(folder), NAME, "gzip", calls)
        except Crash:
            assert content(folder) == DATA
        finally:
            calls.bury()
        packing.pack(str(folder), NAME, "gzip")
        packing.leftovers(str(folder), "a.log")
        (made,) = folder.iterdir()
        assert made.name == NAME + ".gz"
        if call % 5 == 0 or not calls.crashed:
            assert unpacked(made) == DATA
        if not calls.crashed:
            assert call > 12  # one for each call there is
            return
    raise AssertionError("it never ends")


def test_a_call_that_fails_loses_nothing_and_takes_no_room(tmp_path: Path) -> None:
    for number in range(1, 1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / NAME).write_bytes(DATA)
        calls = Crashing(number, failure=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        with pytest.raises(OSError, match="No space") if number < 20 else suppress(OSError):
            packing.pack(str(folder), NAME, "gzip", calls)
        calls.bury()
        assert content(folder) == DATA
        assert {path.name for path in folder.glob("a.log*")} <= {NAME, NAME + ".gz"}  # nobody takes a half file for one
        packing.leftovers(str(folder), "a.log")
        assert sum(path.stat().st_size for path in folder.iterdir()) <= len(DATA) * 1.5
        packing.pack(str(folder), NAME, "gzip")
        assert [path.name for path in folder.iterdir()] == [NAME + ".gz"]
        if not calls.crashed:
            return


def test_two_at_once_do_not_write_the_same_file(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DATA)
    other = tmp_path / packing.unfinished(NAME, "gzip")
    with other.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not packing.pack(str(tmp_path), NAME, "gzip")
        assert packing.leftovers(str(tmp_path), "a.log") == []
        assert (tmp_path / NAME).read_bytes() == DATA
    assert packing.leftovers(str(tmp_path), "a.log") == [other.name]
    assert packing.pack(str(tmp_path), NAME, "gzip")


def test_a_file_that_retention_removes_meanwhile_does_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    calls = Crashing(0, before={"fsync": path.unlink})
    assert not packing.pack(str(tmp_path), NAME, "gzip", calls)
    assert list(tmp_path.iterdir()) == []
