"""A real server with callables of the test's own, in a loop and thread of its own, on a socket in a short folder."""

from __future__ import annotations

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
from pserv.system.futures import Event
from tests.threaded import PATIENCE, Threaded

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
            await Event().wait()
        finally:
            self.ended.release()


class Serving:
    """`with Serving(status=...) as serving`: every operation that is not given is refused, but `version`."""

    def __init__(self, *, limits: Limits | None = None, access: Access | None = None, **handlers: Handler) -> None:
        defaults: dict[str, Handler] = {row.name: refuse_stream if row.stream else refuse for row in OPERATIONS}
        self.folder = tempfile.mkdtemp(prefix="pserv-api-")
        self.path = os.path.join(self.folder, "s")
        self.loop = Threaded()
        self.server = Server(
            self.loop.tasks,
            {**defaults, "version": version, **handlers},
            on_bug=self.loop.bugs.append,
            limits=limits,
            access=access,
        )

    def __enter__(self) -> Self:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen(128)
        self.loop.__enter__()
        self.loop.do(lambda: self.server.serve(listening))
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.server.close(grace=0.05))
        self.loop.__exit__()
        shutil.rmtree(self.folder)

    @property
    def bugs(self) -> list[Exception]:
        """What the server was told, and what nobody caught."""
        return self.loop.bugs

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """In the server's loop."""
        return self.loop.run(coroutine)

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
