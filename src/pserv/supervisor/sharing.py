"""What several services want read at once is read once, and few things at a time. What is read is in `sources`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pserv.system.futures import Lock
from pserv.system.tasks import Task, Tasks

T = TypeVar("T")

SIDE_BY_SIDE = 8
"""Processes at a time that read or write: a thousand services that start must not be a thousand `vault kv get`."""


class _Reading:
    __slots__ = ("begun", "readers", "task")

    def __init__(self, begun: float, task: Task[Any]) -> None:
        self.begun = begun
        self.task = task
        self.readers = 0
        """Who waits for it."""


class Sharing:
    """For one session. Forgets what was read once nobody can want it any more, by `forget`."""

    def __init__(self, tasks: Tasks, now: Callable[[], float]) -> None:
        self.turn = Lock(SIDE_BY_SIDE)
        """To be held by whatever has a process started."""
        self._tasks = tasks
        self._now = now
        self._readings: dict[str, _Reading] = {}

    async def read(self, what: str, since: float, how: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `how` answers, or raises, for this; asked anew unless that was begun at `since` or later."""
        reading = self._readings.get(what)
        if reading is None or reading.begun < since:
            reading = self._readings[what] = _Reading(self._now(), self._tasks.spawn(how()))
        reading.readers += 1
        try:
            result: T = await reading.task
            return result
        finally:
            reading.readers -= 1
            if not reading.readers and not reading.task.done():  # nobody wants it any more
                reading.task.cancel()
                if self._readings.get(what) is reading:
                    del self._readings[what]

    def forget(self) -> None:
        """What has been read is not given again."""
        self._readings = {what: each for what, each in self._readings.items() if not each.task.done()}
