"""How many lines may be written, and what is known of those that were not. Nothing is written here."""

from __future__ import annotations

import time
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MARK: Final = 1.0
"""Seconds from the first line that was dropped to the line that tells how many were."""


class Bucket:
    """Room for `burst` lines, and `rate` more each second: of one run, whatever it prints on."""

    __slots__ = ("_at", "_burst", "_rate", "_room")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._room = float(burst)
        self._at = time.monotonic()

    def change(self, rate: float, burst: int) -> None:
        """From now on."""
        self._rate, self._burst = rate, burst

    def take(self, lines: int) -> int:
        """How many of so many lines may be written."""
        now = time.monotonic()
        self._room = min(self._room + (now - self._at) * self._rate, float(self._burst))
        self._at = now
        allowed = min(lines, int(self._room))
        self._room -= allowed
        return allowed

    def give_back(self, lines: int) -> None:
        """So many are not written now."""
        self._room += lines


class Dropped(namedtuple("Dropped", "lines bytes all_lines all_bytes", defaults=(0, 0, 0, 0))):
    """Of one stream, in lines and bytes: what the file does not tell yet, and all there was."""

    __slots__ = ()

    lines: int
    bytes: int
    all_lines: int
    all_bytes: int

    def more(self, lines: int, size: int) -> Dropped:
        return Dropped(self.lines + lines, self.bytes + size, self.all_lines + lines, self.all_bytes + size)

    def told(self) -> Dropped:
        """The file tells it now."""
        return self._replace(lines=0, bytes=0)


NOTHING: Final = Dropped()


class Limit:
    """One stream's. `due`: when the file is to tell what was dropped; `untold`: the keeper is to hear of it."""

    __slots__ = ("bucket", "dropped", "due", "untold")

    def __init__(self, bucket: Bucket | None, dropped: Dropped) -> None:
        self.bucket = bucket
        self.dropped = dropped
        self.due = 0.0
        self.untold = dropped.all_lines > 0

    def take(self, data: bytes) -> tuple[int, Dropped]:
        """How many of the bytes may be written, and what is dropped then; they are whole lines, or pieces of one."""
        lines = count(data)
        allowed = lines if self.bucket is None else self.bucket.take(lines)
        if allowed == lines:
            return len(data), self.dropped
        kept = len(data) - len(data.split(b"\n", allowed)[allowed]) if allowed else 0
        return kept, self.dropped.more(lines - allowed, len(data) - kept)

    def give_back(self, data: bytes) -> None:
        """These are not written now."""
        if self.bucket is not None:
            self.bucket.give_back(count(data))

    def apply(self, dropped: Dropped) -> None:
        """It is so now."""
        if dropped.lines and not self.dropped.lines:
            self.due = time.monotonic() + MARK
        self.untold = self.untold or dropped.all_lines != self.dropped.all_lines
        self.dropped = dropped


def count(data: bytes) -> int:
    """Lines, of which the last may have no end."""
    return data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
