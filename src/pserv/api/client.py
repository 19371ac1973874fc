"""The API's blocking client: a call or a stream by the operation's name. What a reply means is for others to say.

The `_raw` face takes and gives plain dicts and imports next to nothing, for commands that live for 30 ms; `call` and
`stream` take and give the table's types. Nothing here imports msgspec or the table before it is needed.
"""

from __future__ import annotations

from pserv.api import query
from pserv.api.connect import connect
from pserv.api.replies import Closed, ProtocolError, Reply, request_bytes
from pserv.api.routes import ROUTES
from pserv.keeper import quickjson

TYPE_CHECKING = False  # `typing` itself is too slow to import here
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    import msgspec

    from pserv.model.errors import PservError

CONNECT_TIMEOUT = 5.0
REPLY_TIMEOUT = 60.0
"""Seconds without a byte of the reply: clients wait in the queue while a supervisor is being replaced."""


class Client:
    """Talks to the daemon at a socket. Not for several threads at once.

    Everything raises Unreachable, or the exception of the model that the daemon's `Error` stands for.
    """

    __slots__ = ("_connect_timeout", "_kept", "_path")

    def __init__(self, path: str, *, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        """Connects when first used."""
        self._path = path
        self._connect_timeout = connect_timeout
        self._kept: socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Drops the connection that is kept for the next call; streams have their own."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def call_raw(self, name: str, values: Mapping[str, object] | None = None, timeout: float = REPLY_TIMEOUT) -> Any:
        """The decoded reply of an operation that is no stream; `timeout` bounds each wait for a part of it."""
        return self._call(name, values or {}, timeout, _decode)

    def call(self, name: str, request: msgspec.Struct | None = None, timeout: float = REPLY_TIMEOUT) -> Any:
        """As `call_raw`, with the table's types."""
        return self._call(name, _plain(request), timeout, _typed_decode(name))

    def stream_raw(self, name: str, values: Mapping[str, object] | None = None, timeout: float | None = None) -> Stream:
        """The lines of an operation that is a stream, as dicts; `timeout` bounds the wait for each, in seconds."""
        return self._stream(name, values or {}, timeout, _decode)

    def stream(self, name: str, request: msgspec.Struct | None = None, timeout: float | None = None) -> Stream:
        """As `stream_raw`, with the table's types."""
        return self._stream(name, _plain(request), timeout, _typed_decode(name))

    def _call(self, name: str, values: Mapping[str, object], timeout: float, decode: Callable[[bytes], Any]) -> Any:
        """What may be asked twice is: on a kept connection that the server ended meanwhile, or when it ended a new one
        without a word, as a supervisor in its last moment does; its successor answers then.
        """
        idempotent, message = _message(name, values)
        chances = (self._take_kept, self._connect, self._connect) if idempotent else (self._connect,)
        for chance in chances:
            sock = chance()
            if sock is None:
                continue
            try:
                return self._exchange(sock, message, timeout, decode)
            except Closed as end:
                gone = end
                if not end.early:
                    break
        raise _gone(gone) from gone

    def _take_kept(self) -> socket | None:
        sock, self._kept = self._kept, None
        return sock

    def _connect(self) -> socket | None:
        return connect(self._path, self._connect_timeout)

    def _exchange(self, sock: socket, message: bytes, timeout: float, decode: Callable[[bytes], Any]) -> Any:
        """One request and its reply; keeps the socket if it can be used again, else closes it. Raises Closed, too."""
        keep = False
        try:
            _send(sock, message, timeout)
            reply = Reply(sock)
            body = reply.body()
            keep = reply.reusable()
            if reply.status == 200:
                return decode(body)
        except (ProtocolError, OSError, ValueError) as error:
            raise _unusable(self._path, error, timeout) from error
        finally:
            if keep:
                self.close()
                self._kept = sock
            else:
                sock.close()
        raise _told(body)

    def _stream(
        self, name: str, values: Mapping[str, object], timeout: float | None, decode: Callable[[bytes], Any]
    ) -> Stream:
        _idempotent, message = _message(name, values)
        sock = connect(self._path, self._connect_timeout)
        try:
            _send(sock, message, timeout)
        except OSError as error:
            sock.close()
            raise _unusable(self._path, error, timeout) from error
        except BaseException:
            sock.close()
            raise
        return Stream(sock, self._path, timeout, decode)


class Stream:
    """Iterates over the lines of a stream; an `Error` line is raised. Ends its connection when it ends or is closed."""

    __slots__ = ("_decode", "_path", "_pending", "_reply", "_sock", "_timeout")

    def __init__(self, sock: socket, path: str, timeout: float | None, decode: Callable[[bytes], Any]) -> None:
        self._sock = sock
        self._path = path
        self._timeout = timeout
        self._decode = decode
        self._reply: Reply | None = None
        self._pending: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while not self._pending:
            self._pending = self._read()
            self._pending.reverse()
        line = self._pending.pop()
        if line.startswith(b'{"type":"error"'):
            self.close()
            raise _told(line)
        try:
            return self._decode(line)
        except ValueError as error:
            self.close()
            raise _unusable(self._path, error, self._timeout) from error

    def fileno(self) -> int:
        """For poll(2). Lines may be at hand without it being readable, so iterate until it would block."""
        return self._sock.fileno()

    def close(self) -> None:
        """Tells the server that nobody listens any more."""
        self._pending = []
        self._sock.close()

    def _read(self) -> list[bytes]:
        """The lines of the next chunk: the server never spreads a line over two."""
        if self._sock.fileno() < 0:
            raise StopIteration
        piece = b""
        try:
            if self._reply is None:
                self._reply = Reply(self._sock)
                if self._reply.status != 200:
                    raise _told(self._reply.body())
            piece = self._reply.piece()
            if piece and not piece.endswith(b"\n"):
                raise ProtocolError("a line without an end")
        except Closed as end:
            raise _gone(end) from end
        except (ProtocolError, OSError) as error:
            raise _unusable(self._path, error, self._timeout) from error
        finally:
            if not piece:
                self.close()
        if not piece:
            raise StopIteration
        return piece[:-1].split(b"\n")


def _message(name: str, values: Mapping[str, object]) -> tuple[bool, bytes]:
    """Whether it may be sent twice, and the bytes. Raises KeyError for a name that is no operation."""
    method, path = ROUTES[name]
    if method == "GET":
        text = query.encode(values)
        return True, request_bytes(method, f"{path}?{text}" if text else path)
    return False, request_bytes(method, path, quickjson.dumps(values).encode())


def _send(sock: socket, message: bytes, timeout: float | None) -> None:
    sock.settimeout(timeout)
    try:
        sock.sendall(message)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have answered before it closed: refused, too long, too many clients


def _decode(data: bytes) -> Any:
    return quickjson.loads(data.decode())


def _typed_decode(name: str) -> Callable[[bytes], Any]:
    import msgspec

    from pserv.api.operations import OPERATIONS

    operation = next(row for row in OPERATIONS if row.name == name)
    return msgspec.json.Decoder(operation.reply).decode


def _plain(request: msgspec.Struct | None) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = {} if request is None else msgspec.to_builtins(request)
    return plain


def _told(body: bytes) -> PservError:
    """The exception that the daemon's `Error` stands for."""
    from pserv.api.failures import exception_of

    try:
        return exception_of(_decode(body))
    except ValueError:
        return exception_of(None)


def _gone(end: Closed) -> PservError:
    from pserv.model.errors import Unreachable

    if end.early:
        return Unreachable("cannot reach the daemon: it closed the connection without an answer", "pserv status")
    return Unreachable("cannot go on: the daemon went away in the middle of its answer", "pserv status")


def _unusable(path: str, error: Exception, timeout: float | None) -> PservError:
    from pserv.model.errors import Unreachable

    if isinstance(error, (TimeoutError, BlockingIOError)):  # the latter: SO_SNDTIMEO, see connect
        return Unreachable(
            f"cannot go on: the daemon said nothing for {timeout or CONNECT_TIMEOUT:g} s", "pserv status"
        )
    return Unreachable(f"cannot understand what answers at {path}: {error}", "is this the socket of something else?")
