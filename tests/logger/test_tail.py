"""The last lines of a file."""

from __future__ import annotations

import os
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from pserv.logger.tail import last_lines, printable, tail_offset

DATA = st.lists(st.sampled_from([b"\n", b"a\n", b"longer line\n", b"no end", b"x" * 70_000])).map(b"".join)


@given(data=DATA, lines=st.integers(0, 12), start=st.integers(0, 200))
def test_the_offset_is_where_so_many_lines_begin(data: bytes, lines: int, start: int) -> None:
    start = min(start, len(data))
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        offset = tail_offset(file.fileno(), start, len(data), lines)
    wanted = data[start:].splitlines(keepends=True)[-lines:] if lines else []
    assert data[offset:] == b"".join(wanted)


@given(data=DATA)
def test_never_more_than_was_asked_for(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        found = last_lines(file.fileno(), 0, len(data), 3, 1000)
    assert len(found) <= 3
    assert sum(map(len, found)) <= 1000


def test_a_file_that_shrank_is_no_harm() -> None:
    with tempfile.TemporaryFile() as file:
        os.truncate(file.fileno(), 10)
        assert tail_offset(file.fileno(), 0, 1000, 3) <= 1000


def test_terminal_controls_are_left_out() -> None:
    assert printable("\x1b[1;31mred\x1b[0m\tback\x07\r") == "red\tback"
    assert printable("cut \x1b[3") == "cut "
    assert printable("caf\u00e9 \u0085\x9b") == "caf\u00e9 "
