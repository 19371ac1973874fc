"""The last lines of a file, read backwards in blocks. Nothing is followed here."""

from __future__ import annotations

import os

_BLOCK = 1 << 16
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0)])
"""For str.translate: every control character but the tab goes."""


def tail_offset(fd: int, start: int, end: int, lines: int) -> int:
    """Where the last `lines` lines of the bytes `start` to `end` begin; an unfinished last line counts as one.

    Reads backwards and only as far as needed. Raises OSError.
    """
    if lines <= 0 or end <= start:
        return end
    missing = lines + 1  # the newline before the first line that is wanted
    if os.pread(fd, 1, end - 1) != b"\n":
        missing -= 1
    position = end
    while position > start:
        size = min(_BLOCK, position - start)
        block = os.pread(fd, size, position - size)
        found = len(block)
        while (found := block.rfind(b"\n", 0, found)) >= 0:
            missing -= 1
            if missing == 0:
                return position - size + found + 1
        position -= size
    return start


def last_lines(fd: int, start: int, end: int, lines: int, size: int) -> list[str]:
    """At most `lines` last lines of the bytes `start` to `end`, and at most `size` bytes, fit for a terminal.

    Bytes that are no UTF-8 are replaced; control characters and ANSI sequences are left out. Raises OSError.
    """
    begin = max(start, end - size)
    offset = tail_offset(fd, begin, end, lines)
    pieces = os.pread(fd, end - offset, offset).split(b"\n")
    if pieces and not pieces[-1]:
        pieces.pop()
    return [printable(piece.decode(errors="replace")) for piece in pieces]


def printable(text: str) -> str:
    """The text without control characters and without `ESC [ ... letter` sequences."""
    head, *sequences = text.split("\x1b[")
    for sequence in sequences:
        final = 0
        while final < len(sequence) and not "@" <= sequence[final] <= "~":
            final += 1
        head += sequence[final + 1 :]
    return head.translate(_CONTROLS)
