"""Logs that somebody else has rotated, as logrotate does: read as one, in order, beside what Pserv has rotated."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pserv.system import places
from pserv.system.archive import archives
from tests.system.archives import START, ask, plain_line, rotate, stamped_line, texts

EACH = 40
NAMES = ("web.log-20261101.gz", "web.log-20261102", "web.log.10.gz", "web.log.9.gz", "web.log.1")
"""The oldest first, as they are with and without `dateext`."""


def history(path: Path, *, stamped: bool = True) -> list[str]:
    """All lines, one a second; the next to last file is Pserv's, the last the active one."""
    write = stamped_line if stamped else plain_line
    written: list[str] = []
    for at, name in enumerate((*NAMES, "", path.name)):
        begin = START + at * EACH
        lines = [f"line {number}" for number in range(at * EACH, (at + 1) * EACH)]
        written += lines
        data = b"".join(write(line, begin + number) for number, line in enumerate(lines))
        if not name:
            path.write_bytes(data)
            rotate(path, 1, begin, begin + EACH - 1)
            continue
        file = path.with_name(name)
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        os.utime(file, (begin + EACH, begin + EACH))
    return written


def test_all_of_it_is_one_log(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    wanted = history(path)
    for name in ("web.log.old", "web.log.bak.1", "web.log.5.gz.part", "web.log-1", "db.log.1", "web.log.1x"):
        path.with_name(name).write_text("not of it\n")
    assert texts(ask(path)) == wanted
    assert texts(ask(path, reverse=True)) == wanted[::-1]
    assert texts(ask(path, lines=230)) == wanted[-230:]


def test_a_file_that_is_being_compressed_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    wanted = history(path)
    path.with_name("web.log.1.gz").write_bytes(b"\x1f\x8b")
    assert texts(ask(path)) == wanted


@pytest.mark.parametrize("since", [0, EACH - 0.5, 2 * EACH, 4 * EACH + 7, 5 * EACH + 3, 6 * EACH + 1, 7 * EACH])
def test_since_a_moment(tmp_path: Path, since: float) -> None:
    path = tmp_path / "web.log"
    wanted = history(path)
    found = texts(ask(path, since=START + since, until=START + since + 50))
    assert found == [line for number, line in enumerate(wanted) if since <= number < since + 50]


def test_plain_files_tell_by_their_own_times(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    wanted = history(path, stamped=False)
    for since in range(2 * EACH, 5 * EACH, 7):
        found = texts(ask(path, since=START + since, until=START + since + 50))
        assert found
        assert abs(wanted.index(found[0]) - since) <= 3


def test_a_place_is_found_where_logrotate_moved_it(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\ntwo\nthree\n")
    (archive,) = archives([str(path)], foreign=True)
    place = places.place_in(archive.open(0), archive.pieces[0].sequence, 4)
    archive.close()
    path.rename(tmp_path / "web.log.1")
    path.write_text("four\n")
    assert texts(ask(path, files=[{"service": "web", "stream": "stdout", "path": str(path), "after": place.text}])) == [
        *("two", "three", "four")
    ]
