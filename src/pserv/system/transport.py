"""Bytes both ways over a socket for one who is called: what comes is pushed, what goes is queued and counted."""

from __future__ import annotations

import select
import socket
from typing import Protocol

from pserv.keeper.loop import READ, WRITE
from pserv.system.futures import Future
from pserv.system.tasks import Tasks
from pserv.system.timers import Timer

GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Owner(Protocol):
    """Who is called about a transport."""

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The peer sends no more; it may still read."""

    def lost(self) -> None:
        """The last call: the socket is closed."""


class Transport:
    """A connected stream socket, which is its own. Nothing of it blocks, and without `unsent` bytes it has no timer.

    States: open → closing (what is queued is still sent, nothing is read) → over. `lost` is told in a round of its own,
    so no descriptor is closed, and its number used again, while others of the same turn are looked at.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_events",
        "_high",
        "_out",
        "_over",
        "_owner",
        "_paused",
        "_room",
        "_stall",
        "_tasks",
        "closing",
        "sock",
    )

    def __init__(self, tasks: Tasks, sock: socket.socket, owner: Owner, buffer: memoryview, high: int) -> None:
        """Begins to read. `buffer` may be shared: it is emptied at once. `high`: see `room`, in bytes."""
        sock.setblocking(False)
        self.sock = sock
        self.closing = False
        self._tasks = tasks
        self._owner = owner
        self._buffer = buffer
        self._high = high
        self._out = bytearray()
        self._room: Future[None] | None = None
        self._stall: Timer | None = None
        self._events = -1
        self._paused = self._ended = self._over = False
        self._watch()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer."""
        return len(self._out)

    @property
    def room(self) -> bool:
        """False from the high-water mark on, until a quarter of it is reached."""
        return self._room is None

    def write(self, data: bytes) -> None:
        """Send it, or what the peer does not take queue."""
        if self._over:
            return
        if not self._out:
            data = data[self._sent(data) :]
        if data and not self._over:
            self._out += data
            if self._room is None and len(self._out) > self._high:
                self._room = Future()
        self._watch()

    async def drained(self, stall: float) -> None:
        """Wait for room; a peer that takes nothing for `stall` seconds is dropped, which makes room too."""
        while self._room is not None:
            before = self.unsent
            if not await self._tasks.wait(self._room, stall) and self.unsent >= before:
                self.abort()

    def pause(self) -> None:
        """Read no more for now; a peer that goes away altogether is seen all the same."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        self._paused = False
        self._watch()

    def hung_up(self) -> bool:
        """Whether the other end is closed altogether, not only for sending."""
        poll = select.poll()
        poll.register(self.sock.fileno(), 0)
        return bool(poll.poll(0))

    def close(self, stall: float) -> None:
        """End once all is sent, or nothing of it was taken for `stall` seconds."""
        if self.closing:
            return
        self.closing = True
        if self._out:
            self._watch()
            self._await_progress(stall)
        else:
            self.abort()

    def abort(self) -> None:
        """End now; what is not sent is dropped."""
        if self._over:
            return
        self.closing = self._over = True
        self._out.clear()
        self._make_room()
        self._tasks.unwatch(self.sock.fileno())
        if self._stall is not None:
            self._stall.cancel()
        self._tasks.soon(self._tell_lost)

    def _tell_lost(self) -> None:
        self.sock.close()
        self._owner.lost()

    def _await_progress(self, stall: float) -> None:
        before = self.unsent

        def look() -> None:
            if self.unsent >= before:
                self.abort()
            else:
                self._await_progress(stall)

        self._stall = self._tasks.after(stall, look)

    # The descriptor

    @property
    def _reading(self) -> bool:
        return not (self._paused or self._ended or self.closing)

    def _watch(self) -> None:
        events = (READ if self._reading else 0) | (WRITE if self._out else 0)
        if events != self._events and not self._over:
            self._events = events
            self._tasks.watch(self.sock.fileno(), events, self._came)

    def _came(self, events: int) -> None:
        if events & WRITE and self._out:
            self._flush()
        if self._over:
            return
        if self._reading and events & ~WRITE:
            self._read()
        elif events & GONE:
            self.abort()

    def _read(self) -> None:
        try:
            size = self.sock.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        try:
            if size:
                self._owner.received(bytes(self._buffer[:size]))
            else:
                self._ended = True
                self._watch()
                self._owner.ended()
        except BaseException:
            self.abort()
            raise

    def _flush(self) -> None:
        del self._out[: self._sent(self._out)]
        if len(self._out) <= self._high // 4:
            self._make_room()
        if self.closing and not self._out:
            self.abort()
        self._watch()

    def _sent(self, data: bytes | bytearray) -> int:
        """How much of it the peer took."""
        try:
            return self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.abort()
            return 0

    def _make_room(self) -> None:
        if self._room is not None:
            room, self._room = self._room, None
            room.set_result(None)
