"""One client of the server: one request at a time, its deadlines, back-pressure and end. HTTP itself is in `requests`.

A connection is idle (nothing of a request is here, no timer), receiving (a part is here, one deadline) or answering
(one task). Pipelined requests wait as bytes until the reply before them is written.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pserv.api import requests
from pserv.api.failures import BUG, Rejection, failure_of
from pserv.api.peer import peer_of
from pserv.api.requests import Head, Requests
from pserv.system.futures import Cancelled
from pserv.system.tasks import Task
from pserv.system.timers import Timer
from pserv.system.transport import Transport

if TYPE_CHECKING:
    from pserv.api.server import Server

BREATH = 32
"""Pieces of a stream after which the loop's others get their turn, if the client took all of them at once."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"

ENDING = Rejection(503, "cannot go on: the daemon ends or is being replaced", "pserv status", "unreachable")
BUSY = Rejection(503, "cannot serve one more client: too many are connected", "try again", "unreachable")


class Connection:
    """One client; `server` holds what clients share. It is the owner of its transport, which calls it."""

    __slots__ = (
        "_asked",
        "_deadline",
        "_ended",
        "_head",
        "_interrupted",
        "_peer",
        "_requests",
        "_server",
        "_since",
        "_streaming",
        "_task",
        "_transport",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        """Takes a connected socket, or turns its client away."""
        self._server = server
        self._requests = Requests(server.limits.head, server.limits.body)
        self._head: Head | None = None
        self._streaming = False
        self._ended = False
        self._deadline: Timer | None = None
        self._task: Task[None] | None = None
        self._interrupted = False
        self._asked = False
        self._since = server.tasks.time()
        self._peer = peer_of(sock)
        self._transport = Transport(server.tasks, sock, self, server.buffer, server.limits.unsent)
        if server.closing:
            self._turn_away(ENDING)
        elif not server.admit(self):
            self._turn_away(BUSY)

    # What the transport calls

    def received(self, data: bytes) -> None:
        self._requests.feed(data)
        if self._task is None:
            self._receive()
        elif self._requests.ahead > self._server.limits.ahead:
            self._transport.pause()

    def ended(self) -> None:
        """A client that only shut down its sending side (`printf … | socat -`) still gets its replies."""
        if self._transport.hung_up():
            self._transport.abort()
        elif self._task is None:
            self._close()
        else:
            self._ended = True

    def lost(self) -> None:
        self._disarm()
        self._server.forget(self)
        if self._task is not None:
            self._task.cancel()

    # What the server calls

    def dispensable(self) -> bool:
        """Idle since its last reply (HTTP lets either side end that), or connected long ago and silent."""
        if self._task is not None or self._head is not None or self._deadline is not None:
            return False
        return self._asked or self._server.tasks.time() - self._since > self._server.limits.receive

    def close_if_idle(self) -> None:
        if self._task is None:
            self._close()

    def interrupt(self) -> None:
        """Ends the request under way, a stream with an `Error` as its last line."""
        if self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def abort(self) -> None:
        """Ends at once; what is not sent yet is dropped."""
        self._transport.abort()

    # From bytes to a request

    def _receive(self) -> None:
        try:
            begins = self._head is None
            head = self._head or self._begin()
            body = self._requests.body() if head is not None else None
        except Rejection as rejection:
            self._turn_away(rejection)
            return
        if head is not None and body is not None:
            self._disarm()
            self._task = self._server.tasks.spawn(self._answer(head, body))
            return
        if head is not None and begins and head.expects and not self._requests.ahead:
            self._transport.write(requests.CONTINUE)
        if self._deadline is None and (head is not None or self._requests.ahead):
            self._deadline = self._server.tasks.after(self._server.limits.receive, self._too_late)

    def _begin(self) -> Head | None:
        """The one place where it is decided who may: before any path is looked at, and before a body is taken."""
        self._head = self._requests.head()
        reason = self._server.access.refusal(self._peer) if self._head is not None else ""
        if reason:
            raise Rejection(403, f"cannot use this daemon: {reason}", "use sudo, or the daemon's user", "unreachable")
        return self._head

    def _too_late(self) -> None:
        seconds = self._server.limits.receive
        self._turn_away(Rejection(408, f"cannot wait for the rest of the request: {seconds:g} s are over"))

    # From a request to its reply

    async def _answer(self, head: Head, body: bytes) -> None:
        """The life of one request, in a task of its own; cancelled when the client has gone."""
        try:
            try:
                await self._perform(head, body)
            except Cancelled:
                if not self._interrupted or self._transport.closing:
                    raise
                self._fail(head, ENDING)
            except Exception as error:
                self._fail(head, error)
            await self._drained()
        except Cancelled:
            self._transport.abort()
            raise
        except Exception as error:  # the reply itself could not be written: nothing can be told here any more
            self._server.on_bug(error)
            self._transport.abort()
            return
        self._task = None
        self._next()

    async def _perform(self, head: Head, body: bytes) -> None:
        call = self._server.router.resolve(head.method, head.target, body)
        if call.operation.stream:
            await self._stream(head, cast(AsyncIterator[Any], call.handler(call.request, self._peer)))
        else:
            reply = await cast(Awaitable[Any], call.handler(call.request, self._peer))
            self._reply(200, msgspec.json.encode(reply))

    async def _stream(self, head: Head, lines: AsyncIterator[Any]) -> None:
        """The head goes out with the first line, so an error before it still has its status."""
        pieces = 0
        encoder = msgspec.json.Encoder()
        try:
            async for item in lines:
                if isinstance(item, bytes):
                    data = item
                else:
                    data = encoder.encode_lines(item if isinstance(item, list) else [item])
                data = _framed(head, data)
                self._begin_stream(head)
                self._transport.write(data if head.old else requests.chunk(data))
                pieces += 1
                if not self._transport.room:
                    await self._drained()
                elif pieces % BREATH == 0 or self._transport.closing:
                    await self._server.tasks.sleep(0)
        finally:
            if isinstance(lines, AsyncGenerator):
                await lines.aclose()
        self._begin_stream(head)
        self._end_stream(head)

    def _begin_stream(self, head: Head) -> None:
        if not self._streaming:
            self._streaming = True
            kind = SSE if head.events else NDJSON
            self._transport.write(requests.stream_head(kind, close=not head.keep, chunked=not head.old))

    def _end_stream(self, head: Head, data: bytes = b"") -> None:
        self._transport.write(data if head.old else requests.chunk(data) + requests.LAST_CHUNK)

    def _fail(self, head: Head, error: Exception) -> None:
        """As a reply, or when a stream has begun, as its last line."""
        found = failure_of(error)
        if found is None:
            self._server.on_bug(error)
            found = 500, BUG
        status, body = found
        data = msgspec.json.encode(body)
        if self._streaming:
            self._end_stream(head, _framed(head, data + b"\n"))
        else:
            self._reply(status, data)

    def _reply(self, status: int, data: bytes, *, last: bool = False) -> None:
        head = self._head
        close = last or head is None or not head.keep
        without_body = head is not None and head.method == "HEAD"
        self._transport.write(requests.reply(status, JSON, data, close=close, without_body=without_body))

    async def _drained(self) -> None:
        await self._transport.drained(self._server.limits.stall)

    # The end of a request, and of the connection

    def _next(self) -> None:
        if self._server.closing or self._head is None or not self._head.keep:
            self._close()
            return
        self._asked, self._head, self._streaming = True, None, False
        self._server.used(self)
        self._transport.resume()
        self._receive()
        if self._ended and self._task is None:
            self._close()

    def _turn_away(self, rejection: Rejection) -> None:
        """The last reply on this connection."""
        self._reply(rejection.status, msgspec.json.encode(rejection.error), last=True)
        self._close()

    def _close(self) -> None:
        """Once all is sent, or nothing of it was taken for `stall` seconds."""
        self._disarm()
        self._transport.close(self._server.limits.stall)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _framed(head: Head, lines: bytes) -> bytes:
    """Lines of JSON as they stand in the stream: as they are, or each as a server-sent event."""
    if not head.events:
        return lines
    return b"data: " + lines[:-1].replace(b"\n", b"\n\ndata: ") + b"\n\n"
