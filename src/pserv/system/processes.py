"""The supervisor's side of the keeper: commands out, reports in, on the event loop. Decides nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

from pserv.keeper.channel import Channel
from pserv.keeper.loop import READ, WRITE
from pserv.keeper.protocol import Message
from pserv.model.errors import PservError
from pserv.system.futures import Cancelled, Future
from pserv.system.tasks import Tasks

Descriptors = tuple[int, ...]


class Keeper:
    """The channel to the keeper. `on_message` gets every message but replies; `on_lost` is called at its death."""

    def __init__(
        self,
        channel: Channel,
        tasks: Tasks,
        on_message: Callable[[Message, Descriptors], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._tasks = tasks
        self._on_message = on_message
        self._on_lost = on_lost
        self._seq = 0
        self._waiting: dict[int, Future[tuple[Message, Descriptors]]] = {}
        self._events = 0
        self._lost = False

    def open(self) -> None:
        """Begin to listen."""
        self._watch()
        self._readable()

    def do(
        self,
        key: str,
        note: str | None = None,
        ack: tuple[int, ...] = (),
        commands: tuple[Message, ...] = (),
        fds: Descriptors = (),
    ) -> None:
        """One transaction: note, acknowledgements and commands together or not at all."""
        message: Message = {"op": "do", "key": key, "ack": ack, "commands": commands}
        if note is not None:
            message["note"] = note
        self.send(message, fds)

    def finish(self, code: int) -> None:
        """All is stopped: the keeper ends the daemon with this exit code."""
        self.send({"op": "finish", "code": code})

    def settings(self, logs: dict[str, Message]) -> None:
        """Have the outputs of the live runs of these keys written so from now on (LOG)."""
        self.send({"op": "settings", "logs": logs})

    def send(self, message: Message, fds: Descriptors = ()) -> None:
        """Send one message; when the keeper is gone, what was said is lost with it."""
        if self._lost:
            return
        try:
            self._channel.send(message, fds)
        except OSError:
            self._gone()
            return
        self._watch()

    async def request(self, message: Message, fds: Descriptors = ()) -> tuple[Message, Descriptors]:
        """Send a message and wait for its reply; raises PservError with the keeper's words when it refuses."""
        self._seq += 1
        seq = self._seq
        future: Future[tuple[Message, Descriptors]] = Future()
        self._waiting[seq] = future
        try:
            self.send({**message, "seq": seq}, fds)
            reply, received = await future
        except Cancelled:
            if future.done():  # the reply came as its receiver went
                _discard(future)
            raise
        finally:
            del self._waiting[seq]
        if "error" in reply:
            for fd in received:
                os.close(fd)
            raise PservError(str(reply["error"]))
        return reply, received

    def _readable(self) -> None:
        messages, alive = self._channel.receive()
        for message, fds in messages:
            if message["op"] == "reply":
                self._answer(message, fds)
            else:
                self._on_message(message, fds)
        if not alive:
            self._gone()

    def _answer(self, reply: Message, fds: Descriptors) -> None:
        future = self._waiting.get(reply.get("seq", -1))
        if future is not None and not future.done():
            future.set_result((reply, fds))
            return
        for fd in fds:
            os.close(fd)

    def _watch(self) -> None:
        """Writing is watched only while something is queued."""
        events = READ | WRITE if self._channel.waiting else READ
        if events != self._events and not self._lost:
            self._events = events
            self._tasks.watch(self._channel.fileno(), events, self._came)

    def _came(self, events: int) -> None:
        if events & WRITE:
            try:
                self._channel.flush()
            except OSError:
                self._gone()
                return
            self._watch()
        if events & ~WRITE:
            self._readable()

    def _gone(self) -> None:
        if self._lost:
            return
        self._lost = True
        self._tasks.unwatch(self._channel.fileno())
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PservError("the keeper is gone"))
        self._on_lost()


def _discard(answer: Future[tuple[Message, Descriptors]]) -> None:
    """Close the descriptors of a reply that nobody takes."""
    try:
        _, fds = answer.result()
    except PservError:
        return
    for fd in fds:
        os.close(fd)
