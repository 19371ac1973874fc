"""Bytes from and to descriptors without blocking: read when somebody asks for more. Pushed bytes are in `transport`."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from pserv.keeper.loop import READ, WRITE
from pserv.system.tasks import Tasks

PIECE = 1 << 16
"""Bytes asked for at once."""


class Source(Protocol):
    """An unbuffered pipe (io.FileIO), or a connected stream socket."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Reader:
    """The bytes of one source, for one task at a time. They are taken when it asks: nothing piles up here.

    `async with` it, or `close` it: the source is its own.
    """

    __slots__ = ("_ahead", "_limit", "_source", "_tasks")

    def __init__(self, tasks: Tasks, source: Source, limit: int = PIECE) -> None:
        """`limit`: of a line, in bytes."""
        os.set_blocking(source.fileno(), False)
        self._tasks = tasks
        self._source = source
        self._limit = limit
        self._ahead = bytearray()

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._source.fileno()

    def take(self, size: int = PIECE) -> bytes | None:
        """What is there now: None for nothing yet, empty at the end."""
        return self._cut(size) if self._ahead else self._fresh(size)

    async def read(self, size: int = PIECE) -> bytes:
        """At least one byte; empty at the end."""
        return self._cut(size) if self._ahead else await self._more(size)

    async def readline(self) -> bytes:
        """With its newline, which only the last one may lack; empty at the end. ValueError when it is too long."""
        start = 0
        while (end := self._ahead.find(b"\n", start)) < 0:
            start = len(self._ahead)
            if start > self._limit:
                raise ValueError(f"a line of more than {self._limit} bytes")
            data = await self._more(PIECE)
            if not data:
                return self._cut(start)
            self._ahead += data
        return self._cut(end + 1)

    async def _more(self, size: int) -> bytes:
        while (data := self._fresh(size)) is None:
            await self._tasks.ready(READ, self._source.fileno())
        return data

    def _fresh(self, size: int) -> bytes | None:
        try:
            return os.read(self._source.fileno(), size)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    def _cut(self, size: int) -> bytes:
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def close(self) -> None:
        self._source.close()


async def send_all(tasks: Tasks, sock: socket.socket, data: bytes) -> None:
    """Raises OSError when the peer does not take it."""
    sock.setblocking(False)
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            await tasks.ready(WRITE, sock.fileno())
