"""Whole lines of a file, in blocks, forward or backward, with where they stand. What they say is not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pserv.system.archive import File
from pserv.system.lines import MAX_LINE

BLOCK: Final = 1 << 16
LONGEST: Final = 1 << 20
"""Bytes of a line that is taken in one piece when reading backward."""

Lines = tuple[int, list[bytes]]
"""The offset of the first of these lines, and they, without their ends."""


def forward(file: File, start: int, end: int) -> Iterator[Lines]:
    """The lines of the bytes `start` to `end`; what is longer than MAX_LINE comes in pieces, each by itself.

    Raises as File.read does.
    """
    position, rest = start, b""
    while position < end:
        data = file.read(position, min(BLOCK, end - position))
        if not data:
            break
        position += len(data)
        rest += data
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield position - len(rest), rest[: cut - 1].split(b"\n")
            rest = rest[cut:]
        while len(rest) > MAX_LINE:
            size = piece_of(rest, MAX_LINE)
            yield position - len(rest), [rest[:size]]
            rest = rest[size:]
    if rest:
        yield position - len(rest), [rest]


def backward(file: File, start: int, end: int) -> Iterator[Lines]:
    """The same from the end on: the last first, but those of one block in their order. Raises as File.read does."""
    position, rest = end, b""
    while position > start:
        size = min(BLOCK, position - start)
        rest = file.read(position - size, size) + rest
        position -= size
        cut = rest.find(b"\n", 0, len(rest) - 1) + 1 if position > start else 0
        if position > start and not cut and len(rest) <= LONGEST:
            continue
        if cut < len(rest):
            yield position + cut, rest[cut:].removesuffix(b"\n").split(b"\n")
        rest = rest[:cut]


def line_start(file: File, at: int, limit: int) -> int:
    """Where the first line begins at `at` or after it, and before `limit`; else `limit`. Raises as File.read does."""
    if at <= 0:
        return 0
    position = at - 1
    while position < limit:
        data = file.read(position, min(BLOCK, limit - position))
        if not data:
            break
        found = data.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(data)
    return limit


def piece_of(data: bytes, size: int) -> int:
    """At most so many bytes, and no character cut in two."""
    end = size
    while end > size - 4 and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
