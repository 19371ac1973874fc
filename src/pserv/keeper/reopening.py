"""Who is still to open all files anew after somebody renamed them, and who waits for that. Nothing is opened here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pserv.keeper.loop import Loop

PATIENCE = 5.0
"""Seconds after which who waits is told that it is not done."""


class Reopening:
    """Each request waits for all workers of the logger that can answer: not for one that hangs in a write."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._last = 0
        self._requests: dict[int, tuple[set[int], Callable[[str | None], None]]] = {}

    def begin(self, workers: Iterable[int], done: Callable[[str | None], None]) -> int:
        """Call `done` when all these workers have answered this request, whose number is returned, or with an error."""
        self._last += 1
        number = self._last
        self._requests[number] = (set(workers), done)
        self._loop.at(("reopen", number), time.monotonic() + PATIENCE, lambda: self._end(number, "the logger is busy"))
        self._look(number)
        return number

    def answered(self, worker: int, number: int | None = None) -> None:
        """A worker has done it; or, without a number, it will answer no more, and who takes over opens all anew."""
        for each in list(self._requests) if number is None else [one for one in self._requests if one <= number]:
            self._requests[each][0].discard(worker)
            self._look(each)

    def _look(self, number: int) -> None:
        if not self._requests[number][0]:
            self._end(number, None)

    def _end(self, number: int, error: str | None) -> None:
        _, done = self._requests.pop(number)
        self._loop.cancel(("reopen", number))
        done(error)
