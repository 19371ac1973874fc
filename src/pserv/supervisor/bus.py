"""Who hears of changes: listeners with a bounded queue; a slow one loses, and is told how much. Keeps no history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pserv.model.events import Change
from pserv.system.futures import Event

CAPACITY = 1000
"""Changes that wait for one listener; more are dropped, oldest first, and counted."""


class Listener:
    """One subscription; iterate it for changes, `int` for a number of changes that were dropped before the next."""

    __slots__ = ("_dropped", "_queue", "_wake")

    def __init__(self) -> None:
        self._queue: deque[Change] = deque()
        self._dropped = 0
        self._wake = Event()

    def put(self, change: Change) -> None:
        if len(self._queue) >= CAPACITY:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(change)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many changes wait to be taken."""
        return len(self._queue)

    async def get(self) -> Change | int:
        """The next change, or first the number that was lost before it."""
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()
        if self._dropped:
            lost, self._dropped = self._dropped, 0
            return lost
        return self._queue.popleft()


class Bus:
    """Tells changes to listeners, and calls to those in this process who must not miss one."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._calls: list[Callable[[Change], None]] = []

    def call(self, function: Callable[[Change], None]) -> None:
        """Have a function of this process called at each change; it must not fail nor wait."""
        self._calls.append(function)

    def listen(self) -> Listener:
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def tell(self, change: Change) -> None:
        for call in self._calls:
            call(change)
        for listener in self._listeners:
            listener.put(change)
