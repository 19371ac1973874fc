"""A real server with callables of the test's own, in a loop and thread of its own, on a socket in a short folder."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Self

from pserv.api.operations import OPERATIONS, Line, Version
from pserv.api.peer import Access, Peer
from pserv.api.routing import Handler
from pserv.api.server import Limits, Server
from pserv.model.errors import Refused

PATIENCE = 20.0
"""Seconds after which a test that waits has failed."""

VERSION = Version("1", "3", 1, "1")


async def version(_request: Any, _peer: Peer) -> Version:
    return VERSION


async def refuse(_request: Any, _peer: Peer) -> Any:
    raise Refused("cannot do this: a test")


async def refuse_stream(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
    for _ in ():
        yield Line("", "")
    raise Refused("cannot do this: a test")


class Follow:
    """A stream that gives one line and then waits for its end; tells both."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

    async def __call__(self, request: Any, _peer: Peer) -> AsyncIterator[Line]:
        try:
            self.begun.release()
            yield Line("web", "first")
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended.release()


class CountingLoop(asyncio.SelectorEventLoop):
    """Keeps every timer that was ever set."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, callback: Any, *args: Any, **context: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = super().call_at(when, callback, *args, **context)
        self.timers.append(timer)
        return timer


class Serving:
    """`with Serving(status=...) as serving`: every operation that is not given is refused, but `version`."""

    def __init__(self, *, limits: Limits | None = None, access: Access | None = None, **handlers: Handler) -> None:
        defaults: dict[str, Handler] = {row.name: refuse_stream if row.stream else refuse for row in OPERATIONS}
        self.folder = tempfile.mkdtemp(prefix="pserv-api-")
        self.path = os.path.join(self.folder, "s")
        self.bugs: list[Exception] = []
        self.loop = CountingLoop()
        self.server = Server(
            {**defaults, "version": version, **handlers}, on_bug=self.bugs.append, limits=limits, access=access
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen(128)
        self._thread.start()
        self.run(self.server.serve(listening))
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.server.close(grace=0.05))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()
        shutil.rmtree(self.folder)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """In the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, data: bytes) -> bytes:
        """All that comes back on a connection of its own until the server ends it."""
        with self.connect() as sock:
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return everything(sock)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


def everything(sock: socket.socket) -> bytes:
    parts = []
    try:
        while data := sock.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_reply(sock: socket.socket) -> tuple[int, Any]:
    """Status and body of one reply with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += take(sock, 1)
    head = data.lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(data[9:12]), json.loads(take(sock, length))


def take(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"the server closed after {data!r}"
        data += piece
    return data


def status_of(reply: bytes) -> int:
    return int(reply[9:12])


def error_of(reply: bytes) -> dict[str, Any]:
    body = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert body["type"] == "error"
    assert isinstance(body, dict)
    return body


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes = b"{}", *headers: str) -> bytes:
    fields = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(fields).encode() + body
