"""When a file is to be rotated: by its size, by the calendar, between two lines. What is done then is in `rotating`."""

from __future__ import annotations

import os
import time
from collections import namedtuple
from collections.abc import Callable

from pserv.logger import periods
from pserv.logger.pipes import available, is_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.look import Look
    from pserv.logger.rotating import Family

PAUSE: Final = 30.0
"""Seconds from one rotation by the calendar to the next of the same file, however the clock jumps."""
RETRY: Final = 60.0
"""Seconds until a rotation that failed is tried again; until then the file just grows."""
_SUMMER: Final = 7200.0
"""More than any change of the offset from UTC."""
_NO_LIMIT: Final = 1 << 62


class Rules(namedtuple("Rules", "size every keep max_age max_total", defaults=(0, 0.0, None, 0.0, 0))):
    """What is declared: bytes, seconds and numbers of files; 0 or None where there is no such limit."""

    __slots__ = ()

    size: int
    every: float
    keep: int | None
    max_age: float
    max_total: int

    @classmethod
    def of(cls, message: dict[str, Any] | None) -> Rules | None:
        """The rules in `rotate` of a LOG; None where nothing is to be rotated."""
        if message is None:
            return None
        return cls(
            message.get("size") or 0, message.get("every") or 0.0, message.get("keep"),
            message.get("max_age") or 0.0, message.get("max_total") or 0,
        )  # fmt: skip


DEFAULT: Final = Rules(size=10 << 20, keep=5)
"""Of a file of which nothing else is declared."""


class Rotation:
    """The state of one file. `due`: nothing is written before it is rotated; the file ends with a whole line.

    `began` is the moment of the file's first byte, 0 where it is not known. `trouble`: why it could not be rotated.
    """

    __slots__ = ("_clock", "_ends", "_not_before", "_retry_at", "_waits", "began", "due", "family", "rules", "trouble")

    def __init__(self, rules: Rules, family: Family, clock: Callable[[], float] = time.time) -> None:
        """`clock` is that of the wall."""
        self.rules = rules
        self.family = family
        self.due = False
        self.began = 0.0
        self.trouble = ""
        self._clock = clock
        self._ends = 0.0
        self._waits = False
        self._not_before = 0.0
        self._retry_at = 0.0

    def opened(self, size: int, written: float) -> None:
        """The file is another one now: its size, and the moment of its last byte if it has one."""
        self.due = self._waits = False
        self.began = 0.0
        self._end_after(written if size else self._clock())

    def change(self, rules: Rules) -> None:
        """Go by other rules from now on."""
        every, self.rules = self.rules.every, rules
        if rules.every != every:
            self._end_after(self._clock())

    def done(self) -> None:
        """It was rotated just now."""
        self.trouble = ""
        self._not_before = time.monotonic() + PAUSE

    def postpone(self, trouble: str) -> None:
        """It could not be rotated."""
        self.due, self.trouble = False, trouble
        self._retry_at = time.monotonic() + RETRY

    def due_in(self) -> float | None:
        """Seconds until the file's period is over; None where no time will change anything."""
        if not self._ends or self._waits:
            return None
        now = time.monotonic()
        return max(self._ends - self._clock(), self._not_before - now, self._retry_at - now, 0.0)

    def ring(self, file: int, end: int) -> None:
        """Look whether the period of a file of `end` bytes is over that nobody writes to: it may be `due` now."""
        if not end:
            self._end_after(self._clock())
        elif self._is_over(end):
            self.due = self.is_whole(file, end)
            self._waits = not self.due

    def _end_after(self, at: float) -> None:
        self._ends = periods.end(self.rules.every, at) if self.rules.every else 0.0

    def allows(self, source: int, file: int, end: int, limit: int, look: Look) -> int:
        """How many of the next `limit` bytes of a pipe may go to the file, which is `end` bytes long.

        0 when it is `due` first, or when nothing is there yet. A line is never cut: it ends the file, or begins the
        next. One that is longer than what the pipe holds may make the file so much larger.
        """
        rules = self.rules
        over = self._is_over(end)
        room = 0 if over else rules.size - end if rules.size else _NO_LIMIT
        if limit <= room or self._retry_at > time.monotonic():
            return limit
        ready = available(source)
        if not ready and is_over(source):  # the end of file is seen by reading only
            return 1
        if 0 < ready <= room:
            return ready
        return self._whole_lines(source, file, end, limit, room, look)

    def room(self, end: int) -> int:
        """Bytes that lines may have which are to be written at `end` of the file; 0 where its period is over."""
        over = self._is_over(end)
        if self._retry_at > time.monotonic():
            return _NO_LIMIT
        return 0 if over else max(0, self.rules.size - end) if self.rules.size else _NO_LIMIT

    def begin_with_next(self, file: int, end: int) -> bool:
        """Lines do not fit at `end` of the file: whether it is `due`, which an empty one or half a line never is."""
        self.due = end > 0 and self.is_whole(file, end)
        return self.due

    def is_whole(self, file: int, end: int) -> bool:
        """Whether the file ends with a whole line."""
        try:
            return end == 0 or os.pread(file, 1, end - 1) == b"\n"
        except OSError:  # writable only: what was written before ended so, if that could be seen
            return True

    def _whole_lines(self, source: int, file: int, end: int, limit: int, room: int, look: Look) -> int:
        begins = end > 0 and self.is_whole(file, end)
        try:
            seen, last, first = look.newlines(source, limit, room)
        except OSError:  # a terminal, or a system without tee(2)
            if begins and room <= 0:
                self.due = True
                return 0
            return min(limit, room) if room > 0 else 1
        if not seen:
            return 0
        if room > 0 and (last or seen <= room):
            return last or seen
        if begins:
            self.due = True
            return 0
        return first or seen

    def _is_over(self, end: int) -> bool:
        """Whether the file's period is over; an empty one begins with what is written now."""
        every = self.rules.every
        if not end:
            self.began = self._clock()
            self._end_after(self.began)
            return False
        if not self._ends:
            return False
        now = self._clock()
        if self._ends - now > every + _SUMMER:  # the clock was put back
            self._end_after(now)
        return now >= self._ends and time.monotonic() >= self._not_before
