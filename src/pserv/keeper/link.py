"""A channel on the loop: reads when there is something, writes when there is room, tells once when the peer is gone."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable

from pserv.keeper.channel import Channel, ProtocolError
from pserv.keeper.loop import READ, WRITE, Loop
from pserv.keeper.protocol import Message

Trace = Callable[[str, Message], None]
"""`trace("sent supervisor" | "received logger/1" | ..., message)`: for tests that stop at a message boundary."""

A_TURN = 1 << 16
"""Bytes that are heard at once: a thousand orders are neither all in memory nor carried out before anything else."""

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Link:
    """One peer. `lost` is called once, from the loop or from `send`; nothing is sent or received afterwards."""

    __slots__ = ("_channel", "_loop", "_lost", "_receive", "_trace", "alive", "name")

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        loop: Loop,
        receive: Callable[[Message, tuple[int, ...]], None],
        lost: Callable[[], None],
        trace: Trace | None,
    ) -> None:
        self.name = name
        self.alive = True
        self._channel = Channel(sock)
        self._loop = loop
        self._receive = receive
        self._lost = lost
        self._trace = trace
        loop.watch(self._channel.fileno(), READ, self._ready)

    def fileno(self) -> int:
        return self._channel.fileno()

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not taken."""
        return self._channel.backlog

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Queue and try. Raises OSError only for want of descriptors to copy `fds`; then nothing was queued."""
        if not self.alive:
            return
        if self._trace is not None:
            self._trace(f"sent {self.name}", message)
        try:
            self._channel.send(message, fds)
        except OSError as error:
            if error.errno in OUT_OF_DESCRIPTORS:
                raise
            self._gone()
        except ProtocolError:
            self._gone()
        else:
            self._watch()

    def close(self) -> None:
        """Hang up without a word."""
        if self._channel.socket.fileno() >= 0:
            self._loop.unwatch(self._channel.fileno())
            self._channel.close()
        self.alive = False

    def drain_and_close(self) -> None:
        """The peer is dead: hear what it said before."""
        if self._channel.socket.fileno() >= 0:
            self._hear(sys.maxsize)
        self.close()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            try:
                self._channel.flush()
            except OSError:
                self._gone()
                return
            self._watch()
        if events & ~WRITE:
            self._hear()

    def _hear(self, most: int = A_TURN) -> None:
        try:
            messages, alive = self._channel.receive(most)
        except (ProtocolError, ValueError):
            messages, alive = [], False
        for message, fds in messages:
            if self._trace is not None:
                self._trace(f"received {self.name}", message)
            if self._channel.socket.fileno() < 0:
                for fd in fds:
                    os.close(fd)
                continue
            try:
                self._receive(message, fds)
            except Exception as error:
                sys.excepthook(*sys.exc_info())
                # Of another shape than agreed: its sender is replaced. What the system refused is not its fault.
                alive = alive and isinstance(error, OSError)
        if not alive:
            self._gone()

    def _watch(self) -> None:
        events = READ | WRITE if self._channel.waiting else READ
        self._loop.watch(self._channel.fileno(), events, self._ready)

    def _gone(self) -> None:
        if self.alive:
            self.alive = False
            self._loop.unwatch(self._channel.fileno())
            self._lost()
