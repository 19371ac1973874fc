"""One client of the server: HTTP/1.1 by h11, one request at a time, its deadlines, back-pressure and end.

A connection is idle (nothing of a request is here, no timer), receiving (a part is here, one deadline) or answering
(one task). Pipelined requests wait in h11's buffer until the reply before them is written.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, cast

import h11
import msgspec

from pserv.api.failures import BUG, Rejection, failure_of
from pserv.api.peer import peer_of
from pserv.system.futures import Cancelled
from pserv.system.tasks import Task
from pserv.system.timers import Timer
from pserv.system.transport import Transport

if TYPE_CHECKING:
    from pserv.api.server import Server

BREATH = 32
"""Pieces of a stream after which the loop's others get their turn, if the client took all of them at once."""

ENDING = Rejection(503, "cannot go on: the daemon ends or is being replaced", "pserv status", "unreachable")
BUSY = Rejection(503, "cannot serve one more client: too many are connected", "try again", "unreachable")


class Connection:
    """One client; `server` holds what clients share. It is the owner of its transport, which calls it."""

    __slots__ = (
        "_asked",
        "_body",
        "_deadline",
        "_head",
        "_http",
        "_interrupted",
        "_peer",
        "_server",
        "_since",
        "_task",
        "_transport",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        """Takes a connected socket, or turns its client away."""
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.head)
        self._head: h11.Request | None = None
        self._body = bytearray()
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
        self._http.receive_data(data)
        if self._task is None:
            self._receive()
        elif len(self._http.trailing_data[0]) > self._server.limits.ahead:
            self._transport.pause()

    def ended(self) -> None:
        """A client that only shut down its sending side (`printf … | socat -`) still gets its replies."""
        if self._transport.hung_up():
            self._transport.abort()
        elif self._task is None:
            self._close()
        else:
            self._http.receive_data(b"")

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
            while self._task is None:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._begin(event)
                elif isinstance(event, h11.Data):
                    self._take(event.data)
                elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                    self._disarm()
                    self._task = self._server.tasks.spawn(self._answer(self._head))
                elif event is h11.NEED_DATA:
                    self._expect_more()
                    return
                else:
                    self._close()
                    return
        except h11.RemoteProtocolError as error:
            self._turn_away(Rejection(error.error_status_hint, f"cannot read this as HTTP/1.1: {error}"))
        except Rejection as rejection:
            self._turn_away(rejection)

    def _begin(self, head: h11.Request) -> None:
        """The one place where it is decided who may: before any path is looked at, and before a body is taken."""
        self._head = head
        reason = self._server.access.refusal(self._peer)
        if reason:
            raise Rejection(403, f"cannot use this daemon: {reason}", "use sudo, or the daemon's user", "unreachable")
        length = next((int(value) for name, value in head.headers if name == b"content-length"), 0)
        self._check_length(length)

    def _take(self, data: bytes) -> None:
        self._check_length(len(self._body) + len(data))
        self._body += data

    def _check_length(self, length: int) -> None:
        if length > self._server.limits.body:
            raise Rejection(413, f"cannot take a body of {length} bytes: at most {self._server.limits.body}")

    def _expect_more(self) -> None:
        """Starts the deadline once a part of a request is here."""
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
        partial = self._head is not None or self._http.trailing_data[0]
        if partial and self._deadline is None:
            self._deadline = self._server.tasks.after(self._server.limits.receive, self._too_late)

    def _too_late(self) -> None:
        seconds = self._server.limits.receive
        self._turn_away(Rejection(408, f"cannot wait for the rest of the request: {seconds:g} s are over"))

    # From a request to its reply

    async def _answer(self, head: h11.Request) -> None:
        """The life of one request, in a task of its own; cancelled when the client has gone."""
        try:
            try:
                await self._perform(head)
            except Cancelled:
                if not self._interrupted or self._transport.closing:
                    raise
                self._fail(ENDING)
            except Exception as error:
                self._fail(error)
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

    async def _perform(self, head: h11.Request) -> None:
        call = self._server.router.resolve(head.method.decode("latin-1"), head.target, bytes(self._body))
        if call.operation.stream:
            await self._stream(cast(AsyncIterator[Any], call.handler(call.request, self._peer)))
        else:
            reply = await cast(Awaitable[Any], call.handler(call.request, self._peer))
            self._reply(200, msgspec.json.encode(reply))

    async def _stream(self, lines: AsyncIterator[Any]) -> None:
        """The head goes out with the first line, so an error before it still has its status."""
        pieces = 0
        encoder = msgspec.json.Encoder()
        try:
            async for item in lines:
                data = encoder.encode_lines(item if isinstance(item, list) else [item])
                self._write(*self._stream_head(), h11.Data(data=data))
                pieces += 1
                if not self._transport.room:
                    await self._drained()
                elif pieces % BREATH == 0 or self._transport.closing:
                    await self._server.tasks.sleep(0)
        finally:
            if isinstance(lines, AsyncGenerator):
                await lines.aclose()
        self._write(*self._stream_head(), h11.EndOfMessage())

    def _stream_head(self) -> list[h11.Response]:
        if self._http.our_state is not h11.SEND_RESPONSE:
            return []
        return [h11.Response(status_code=200, headers=[("content-type", "application/x-ndjson")])]

    def _fail(self, error: Exception) -> None:
        """As a reply, or when a stream has begun, as its last line."""
        found = failure_of(error)
        if found is None:
            self._server.on_bug(error)
            found = 500, BUG
        status, body = found
        data = msgspec.json.encode(body)
        if self._http.our_state is h11.SEND_BODY:
            self._write(h11.Data(data=data + b"\n"), h11.EndOfMessage())
        else:
            self._reply(status, data)

    def _reply(self, status: int, data: bytes, *headers: tuple[str, str]) -> None:
        fields = [("content-type", "application/json"), ("content-length", str(len(data))), *headers]
        body = [] if self._head is not None and self._head.method == b"HEAD" else [h11.Data(data=data)]
        self._write(h11.Response(status_code=status, headers=fields), *body, h11.EndOfMessage())

    def _write(self, *events: h11.Event) -> None:
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))

    async def _drained(self) -> None:
        await self._transport.drained(self._server.limits.stall)

    # The end of a request, and of the connection

    def _next(self) -> None:
        both = (self._http.our_state, self._http.their_state)
        if self._server.closing or both != (h11.DONE, h11.DONE):
            self._close()
            return
        self._http.start_next_cycle()
        self._asked, self._head, self._body = True, None, bytearray()
        self._server.used(self)
        self._transport.resume()
        self._receive()

    def _turn_away(self, rejection: Rejection) -> None:
        """The last reply on this connection, unless one is half sent."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._reply(rejection.status, msgspec.json.encode(rejection.error), ("connection", "close"))
        self._close()

    def _close(self) -> None:
        """Once all is sent, or nothing of it was taken for `stall` seconds."""
        self._disarm()
        self._transport.close(self._server.limits.stall)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
