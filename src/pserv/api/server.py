"""The API's server: who is connected and how many, within which limits. One connection is in `connection`."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping

import msgspec

from pserv.api.connection import Connection
from pserv.api.peer import ROOT, Access
from pserv.api.routing import Handler, Router
from pserv.keeper.loop import READ
from pserv.system.futures import Future
from pserv.system.tasks import Tasks

RETRY = 1.0
"""Seconds until clients are taken again after that failed."""

TRANSIENT = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
"""What was wrong with one client only: accept(2) says to go on as if it were EAGAIN."""


class Limits(msgspec.Struct, frozen=True):
    """What one client may take. Sizes are bytes, times seconds."""

    connections: int = 64
    head: int = 16 << 10
    body: int = 1 << 20
    ahead: int = 64 << 10
    """Of requests sent before the reply to the one under way; then reading stops."""
    unsent: int = 64 << 10
    """Of replies in memory for a client that does not read; then its stream is suspended."""
    receive: float = 30.0
    """From the first to the last byte of a request."""
    stall: float = 30.0
    """How long a client may take nothing of a reply."""


class Server:
    """HTTP/1.1 on listening stream sockets. Idle connections cost neither timers nor wake-ups."""

    def __init__(
        self,
        tasks: Tasks,
        handlers: Mapping[str, Handler],
        *,
        on_bug: Callable[[Exception], None],
        access: Access | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`on_bug` is told each exception that is no error of the model. Raises ValueError: see Router.

        Without `access`: this process's user, and root.
        """
        self.tasks = tasks
        self.router = Router(handlers)
        self.on_bug = on_bug
        self.access = access or Access(frozenset({os.geteuid(), ROOT}))
        self.limits = limits or Limits()
        self.buffer = memoryview(bytearray(self.limits.head))
        """Every connection receives here: it is emptied before the next one reads."""
        self.closing = False
        self._connections: dict[Connection, None] = {}
        self._listening: list[socket.socket] = []
        self._empty: Future[None] | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    def serve(self, listening: socket.socket) -> None:
        """Takes clients from now on. The socket is its own, but the path of it is left alone, also by `close`."""
        listening.setblocking(False)
        self._listening.append(listening)
        self._listen(listening)

    async def close(self, grace: float = 0.5) -> None:
        """Takes no more clients; requests under way have `grace` seconds, then streams end with an `Error`."""
        self.closing = True
        for listening in self._listening:
            self.tasks.unwatch(listening.fileno())
            listening.close()
        for connection in list(self._connections):
            connection.close_if_idle()
        await self._all_gone(grace)
        for connection in list(self._connections):
            connection.interrupt()
        await self._all_gone(grace)
        for connection in list(self._connections):
            connection.abort()
        await self._all_gone(None)

    def admit(self, connection: Connection) -> bool:
        """Counts a new client, if need be in the place of one that is idle; False when all are busy."""
        if len(self._connections) >= self.limits.connections:
            idle = next((other for other in self._connections if other.dispensable()), None)
            if idle is None:
                return False
            self.forget(idle)
            idle.abort()
        self._connections[connection] = None
        return True

    def used(self, connection: Connection) -> None:
        """This client was active last: others are dispensed with before it."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def forget(self, connection: Connection) -> None:
        """A client has gone."""
        self._connections.pop(connection, None)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def _all_gone(self, seconds: float | None) -> None:
        if not self._connections:
            return
        self._empty = Future()
        await self.tasks.wait(self._empty, seconds)

    def _listen(self, listening: socket.socket) -> None:
        if not self.closing:
            self.tasks.watch(listening.fileno(), READ, lambda events: self._accept(listening))

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self.limits.connections):
            try:
                sock, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in TRANSIENT:
                    # No descriptors, no memory: the client waits in the queue, and this would be tried without end.
                    self.on_bug(error)
                    self.tasks.unwatch(listening.fileno())
                    self.tasks.after(RETRY, lambda: self._listen(listening))
                    return
            else:
                Connection(self, sock)
