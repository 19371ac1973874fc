"""Bytes to lines: the same however they were cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pserv.system.lines import MAX_LINE, Lines

TEXT = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"\xff", b"\xe2\x82", "€".encode(), b"a", b"b\x00c", b"x" * MAX_LINE, b"y" * 7]
    )
).map(b"".join)


def lines(chunks: list[bytes]) -> list[str]:
    splitter = Lines()
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    return found + splitter.flush()


@given(data=TEXT, cuts=st.lists(st.integers(0, 1 << 18), max_size=8))
def test_any_chunking_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert lines(chunks) == lines([data])


@given(data=TEXT)
def test_nothing_but_line_ends_is_lost(data: bytes) -> None:
    found = lines([data])
    ends = data.replace(b"\r\n", b"\n")
    assert len("".join(found)) >= len(ends.decode(errors="replace").replace("\n", "").removesuffix("\r")) - found.count(
        ""
    )
    assert all(len(line.encode()) <= 3 * MAX_LINE for line in found)


@given(words=st.lists(st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=50)))
def test_short_lines_come_out_as_they_are(words: list[str]) -> None:
    assert lines([("\n".join(words) + "\n").encode()]) == (words or [""])


def test_a_long_line_is_cut_between_characters() -> None:
    line = "a" + "€" * (MAX_LINE // 2)
    pieces = lines([line.encode() + b"\n"])
    assert "".join(pieces) == line
    assert len(pieces) == 2


def test_ten_megabytes_without_a_line_end_come_in_pieces_at_once() -> None:
    splitter = Lines()
    sizes = [len(piece) for _ in range(160) for piece in splitter.feed(b"x" * MAX_LINE)]
    assert sizes == [MAX_LINE] * 159
    assert [len(piece) for piece in splitter.flush()] == [MAX_LINE]
