"""The event journal: the last changes of all services, in memory, with their reasons."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from pserv.model.events import Change

CAPACITY = 2000
PER_SERVICE = 50
"""Shown of one service in its story."""


class History:
    """A bounded row of changes; `dropped` counts those that fell out of it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._rows: deque[Change] = deque(maxlen=capacity)
        self.dropped = 0
        self.seq = 0

    def add(self, change: Change) -> None:
        if len(self._rows) == self._rows.maxlen:
            self.dropped += 1
        self._rows.append(change)
        self.seq = change.seq

    def last(self, count: int, services: Collection[str] | None = None) -> tuple[Change, ...]:
        """The last `count` changes, oldest first; of these services (and of the daemon, service ""), or of all."""
        rows = [row for row in self._rows if services is None or row.service in services]
        return tuple(rows[len(rows) - min(count, len(rows)) :])
