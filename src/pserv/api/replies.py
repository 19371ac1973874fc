"""The client's side of HTTP/1.1: one request out, one reply in, strictly as our server writes them. No JSON, no types.

A reply has Content-Length or is chunked; anything else is a ProtocolError. Far smaller and six times quicker to import
than an HTTP library, which matters to a command that lives for 30 ms; the server's side is `requests`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

VERSION = b"HTTP/1.1 "
HEAD_LIMIT = 16 << 10
LINE_LIMIT = 64
"""Of a chunk's size line, in bytes."""
LIMIT = 1 << 30
"""Of one body or chunk, in bytes: more is nonsense."""
DIGITS = b"0123456789"
HEX_DIGITS = b"0123456789abcdefABCDEF"


class ProtocolError(Exception):
    """What came is no reply of ours."""


class Closed(Exception):
    """The connection ended before the reply did; `early` when not a byte of it had come."""

    def __init__(self, early: bool) -> None:
        super().__init__("the connection ended before the reply did")
        self.early = early


def request_bytes(method: str, target: str, body: bytes = b"") -> bytes:
    """The bytes of a request; the server wants no Host, HTTP/1.1 does."""
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if method != "GET" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: pserv\r\n{length}\r\n".encode("ascii") + body


class Reply:
    """Reads one reply from a connected socket. Raises Closed, ProtocolError, TimeoutError."""

    __slots__ = ("_began", "_data", "_ended", "_keep", "_left", "_sock", "chunked", "status")

    def __init__(self, sock: socket) -> None:
        """Reads the head."""
        self._sock = sock
        self._data = b""
        self._began = False
        self._ended = False
        self.status, fields = self._head(self._until(b"\r\n\r\n", HEAD_LIMIT, VERSION))
        self._keep = fields.get(b"connection", b"").lower() != b"close"
        self.chunked = b"transfer-encoding" in fields
        self._left = 0
        if self.chunked:
            if fields[b"transfer-encoding"].lower() != b"chunked" or b"content-length" in fields:
                raise ProtocolError("its length is unclear")
        else:
            self._left = _number(fields.get(b"content-length", b""), DIGITS, 10)

    def body(self) -> bytes:
        """All that is left of it."""
        if not self.chunked:
            return self._exactly(self._left)
        parts = []
        while piece := self.piece():
            parts.append(piece)
        return b"".join(parts)

    def piece(self) -> bytes:
        """The next chunk, empty after the last one (or the whole body, if it has a length)."""
        if self._ended:
            return b""
        if not self.chunked:
            self._ended = True
            return self._exactly(self._left)
        size = _number(self._until(b"\r\n", LINE_LIMIT), HEX_DIGITS, 16)
        data = self._exactly(size)
        if self._exactly(2) != b"\r\n":
            raise ProtocolError("a chunk does not end where it should")
        self._ended = size == 0
        return data

    def reusable(self) -> bool:
        """Whether the connection may carry one more request, after all of this reply was read."""
        return self._keep and not self._data

    def _head(self, head: bytes) -> tuple[int, dict[bytes, bytes]]:
        status, *lines = head.split(b"\r\n")
        if not (status.startswith(VERSION) and status[9:12].isdigit() and status[12:13] in (b" ", b"")):
            raise ProtocolError("no HTTP/1.1 status line")
        fields: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name or name.strip() != name or name.lower() in fields:
                raise ProtocolError("a bad header")
            fields[name.lower()] = value.strip(b" \t")
        return int(status[9:12]), fields

    def _until(self, end: bytes, limit: int, beginning: bytes = b"") -> bytes:
        """What comes before `end`. Something else that talks first is told by its `beginning`, without waiting."""
        while (at := self._data.find(end)) < 0:
            if len(self._data) > limit:
                raise ProtocolError("a line or head that is too long")
            self._data += self._receive(4096)
            if not self._data.startswith(beginning[: len(self._data)]):
                raise ProtocolError("no HTTP/1.1 status line")
        found, self._data = self._data[:at], self._data[at + len(end) :]
        return found

    def _exactly(self, size: int) -> bytes:
        if len(self._data) >= size:
            found, self._data = self._data[:size], self._data[size:]
            return found
        parts = [self._data]
        missing = size - len(self._data)
        self._data = b""
        while missing:
            parts.append(self._receive(min(missing, 1 << 16)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _receive(self, size: int) -> bytes:
        try:
            data = self._sock.recv(size)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(early=not self._began)
        self._began = True
        return data


def _number(text: bytes, digits: bytes, base: int) -> int:
    """int() alone takes blanks, signs and underscores."""
    if not text or text.strip(digits) or len(text) > 12:
        raise ProtocolError("a bad length")
    number = int(text, base)
    if number > LIMIT:
        raise ProtocolError("a length beyond all reason")
    return number
