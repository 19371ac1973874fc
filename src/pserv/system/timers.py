"""Callbacks that are due at a time, the soonest first. Who waits for them is in `tasks`."""

from __future__ import annotations

import heapq
from collections.abc import Callable

MOST_STALE = 64
"""Cancelled timers that may lie about; more are swept out once they are half of all."""


class Timer:
    """A callback that is due once."""

    __slots__ = ("_callback", "timers")

    def __init__(self, timers: Timers, callback: Callable[[], None]) -> None:
        self.timers: Timers | None = timers
        """Where it is kept until it is due."""
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """It does not ring any more. Harmless afterwards and twice."""
        if self._callback is not None:
            self._callback = None
            if self.timers is not None:
                self.timers.cancelled()

    def cancelled(self) -> bool:
        return self._callback is None

    def ring(self) -> None:
        """Call back, unless it was cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Timers:
    """A heap of timers. Setting and cancelling one takes O(log n), the soonest is at hand. Times are of one clock."""

    __slots__ = ("_count", "_heap", "_stale")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._stale = 0

    def __len__(self) -> int:
        """How many will ring."""
        return len(self._heap) - self._stale

    def add(self, when: float, callback: Callable[[], None]) -> Timer:
        """Those of the same time ring in the order of adding."""
        timer = Timer(self, callback)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        return timer

    def soonest(self) -> float | None:
        """When the next one is due."""
        while self._heap and self._heap[0][2].cancelled():
            heapq.heappop(self._heap)
            self._stale -= 1
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> list[Timer]:
        """Those whose time has come, to be rung one after the other."""
        due = []
        while (soonest := self.soonest()) is not None and soonest <= now:
            timer = heapq.heappop(self._heap)[2]
            timer.timers = None
            due.append(timer)
        return due

    def cancelled(self) -> None:
        """One of them was: the heap must not grow by what is often set and seldom rings."""
        self._stale += 1
        if self._stale > MOST_STALE and self._stale * 2 > len(self._heap):
            self._heap = [row for row in self._heap if not row[2].cancelled()]
            heapq.heapify(self._heap)
            self._stale = 0
