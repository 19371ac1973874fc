"""The real time and the real chance, and the one alarm that is set by them. What is due is known elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from pserv.system.tasks import Tasks
from pserv.system.timers import Timer


class SystemClock:
    """The real time and the real chance."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def chance(self) -> float:
        return (int.from_bytes(os.urandom(7)) >> 3) * 2.0**-53  # all the bits that a float below 1 has


class Alarm:
    """Rings at the next deadline. `due`: when that is, None for never; `ring`: what to do then.

    While it is `paused` it is not set.
    """

    def __init__(self, tasks: Tasks, due: Callable[[], float | None], ring: Callable[[], None]) -> None:
        self.paused = False
        self._tasks = tasks
        self._due = due
        self._ring = ring
        self._timer: Timer | None = None
        self._at = 0.0

    def set(self) -> None:
        """Deadlines have changed."""
        due = self._due()
        if self._timer is not None:
            if due == self._at and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if due is not None and not self.paused:
            self._at = due
            self._timer = self._tasks.at(due, self._rings)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _rings(self) -> None:
        self._timer = None
        self._ring()
        self.set()
