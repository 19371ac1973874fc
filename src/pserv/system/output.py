"""The end of what a short-lived process prints, kept while it runs. Who it is, and what is made of it, is elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from pserv.keeper.loop import READ
from pserv.system.streams import Reader
from pserv.system.tasks import Tasks


class Output:
    """Takes what comes, so that the process is never blocked, up to a limit."""

    __slots__ = ("_end", "_kept", "_limit", "_on_much", "_reader", "_taken", "_tasks")

    def __init__(self, tasks: Tasks, reader: Reader, *, kept: int, limit: int, on_much: Callable[[], None]) -> None:
        """`kept` characters of the end; after `limit` bytes nothing more is taken, and `on_much` is called."""
        self._tasks = tasks
        self._reader = reader
        self._kept = kept
        self._limit = limit
        self._on_much = on_much
        self._end = b""
        self._taken = 0
        tasks.watch(reader.fileno(), READ, self._came)

    @property
    def too_much(self) -> bool:
        return self._taken > self._limit

    def line(self) -> str:
        """The end of all that is there by now, its lines in one."""
        while not self.too_much and (data := self._reader.take()):
            self._add(data)
        lines = self._end.decode(errors="replace").split("\n")
        text = " / ".join(line.strip() for line in lines if line.strip())
        return text if len(text) <= self._kept else f"…{text[-self._kept :]}"

    def close(self) -> None:
        """Take no more. Harmless twice."""
        self._tasks.unwatch(self._reader.fileno())

    def _came(self, _events: int) -> None:
        data = self._reader.take()
        if data is None:
            return
        self._add(data)
        if not data or self.too_much:
            self.close()
        if self.too_much:
            self._on_much()

    def _add(self, data: bytes) -> None:
        self._taken += len(data)
        self._end = (self._end + data)[-4 * self._kept :]  # a character has four bytes at most
