"""Bytes to lines of text, however the bytes were cut on the way. No file is read here."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 1 << 16
"""Bytes of a line; what is longer is given in pieces."""


class Lines:
    """Collects bytes until a line is whole. Line ends are LF or CR LF; bytes that are no UTF-8 are replaced."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        found: list[str] = []
        for line in whole:
            _cut(line, found)
            found[-1] = found[-1].removesuffix("\r")
        if len(self._rest) > MAX_LINE:
            pieces: list[str] = []
            self._rest = _cut(self._rest, pieces)
            found += pieces[:-1]
        return found

    @property
    def pending(self) -> int:
        """Bytes that are no whole line yet."""
        return len(self._rest)

    def flush(self) -> list[str]:
        """What has no end yet, as a line: nothing will follow."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace").removesuffix("\r")] if rest else []


def _cut(line: bytes, found: list[str]) -> bytes:
    """Add the line to `found`, in pieces if it is too long; the bytes of the last piece."""
    start = 0
    while len(line) - start > MAX_LINE:
        end = start + MAX_LINE
        while end > start + MAX_LINE - 4 and line[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        found.append(line[start:end].decode(errors="replace"))
        start = end
    found.append(line[start:].decode(errors="replace"))
    return line[start:]
