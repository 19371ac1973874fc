"""The server's side of HTTP/1.1 (RFC 9112): bytes to requests, replies to bytes. Strict and bounded; no I/O here.

What is ambiguous is refused where the RFC leaves the choice: a bare LF, folded lines, a repeated length, a length
beside chunks. The client's side is in `replies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pserv.api.failures import Rejection

CONTINUE: Final = b"HTTP/1.1 100 \r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""What a method and a field's name are made of (RFC 9110, 5.6.2)."""
VISIBLE: Final = bytes(range(0x21, 0x7F))
NOT_IN_VALUES: Final = bytes(byte for byte in range(0x20) if byte != 0x09) + b"\x7f"
SPACES: Final = b" \t"
DIGITS: Final = b"0123456789"
HEX_DIGITS: Final = b"0123456789abcdefABCDEF"
SIZE_LINE: Final = 256
"""Bytes of a chunk's size with its extensions."""
NO_SIZE: Final = "a chunk without a size"


class Head(msgspec.Struct, frozen=True):
    """The head of a request."""

    method: str
    target: bytes
    old: bool
    """HTTP/1.0: it knows neither chunks nor a second request."""
    keep: bool
    """The connection may carry one more request after this one."""
    length: int | None
    """Bytes of the body; None when it comes in chunks."""
    expects: bool
    """It may wait to be told to go on with the body."""
    events: bool = False
    """It takes server-sent events, as a browser's EventSource does."""


class Requests:
    """Requests of one client, one after the other: `feed` it, take a `head`, then its `body`.

    Both are None as long as a part is missing, and raise Rejection for what is no HTTP/1.1 or too much of it; then
    nothing more can be read.
    """

    __slots__ = ("_chunk", "_data", "_head", "_max_body", "_max_head", "_taken")

    def __init__(self, max_head: int, max_body: int) -> None:
        """Limits in bytes."""
        self._max_head = max_head
        self._max_body = max_body
        self._data = bytearray()
        self._head: Head | None = None
        self._taken = bytearray()
        self._chunk: int | None = None
        """Bytes that are missing of the present chunk with its line end; None before its size is known."""

    @property
    def ahead(self) -> int:
        """Bytes that are here and belong to no request that was taken."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def head(self) -> Head | None:
        """Take the head of the next request."""
        data = self._data
        if data and data[0] not in TOKEN:
            raise _malformed("it begins with no method")
        end = data.find(b"\r\n\r\n")
        if (len(data) if end < 0 else end) > self._max_head:
            raise Rejection(431, f"cannot read a head that is too long: at most {self._max_head} bytes")
        _check_line_ends(data if end < 0 else data[:end])
        if end < 0:
            return None
        first, *rows = bytes(data[:end]).split(b"\r\n")
        del data[: end + 4]
        method, target, old = _request_line(first)
        self._head = _head(method, target, old, _fields(rows))
        return self._head

    def body(self) -> bytes | None:
        """Take the body of the request whose head was taken last."""
        assert self._head is not None
        length = self._head.length
        if length is None:
            return self._dechunked()
        self._check_size(length)
        if len(self._data) < length:
            return None
        found = bytes(self._data[:length])
        del self._data[:length]
        return found

    def _dechunked(self) -> bytes | None:
        while self._chunk != 0:
            if not (self._size() if self._chunk is None else self._piece(self._chunk)):
                return None
        if not self._trailers():
            return None
        found, self._taken, self._chunk = bytes(self._taken), bytearray(), None
        return found

    def _size(self) -> bool:
        """Take the line that a chunk begins with; whether it is here."""
        end = self._data.find(b"\r\n", 0, SIZE_LINE)
        if end < 0:
            if len(self._data) >= SIZE_LINE:
                raise _malformed(NO_SIZE)
            return False
        size = _number(bytes(self._data[:end]).partition(b";")[0].rstrip(SPACES), HEX_DIGITS, 16, NO_SIZE)
        self._check_size(len(self._taken) + size)
        del self._data[: end + 2]
        self._chunk = size + 2 if size else 0
        return True

    def _piece(self, size: int) -> bool:
        """Take the rest of a chunk; whether it is here."""
        data = self._data
        if len(data) < size:
            return False
        if data[size - 2 : size] != b"\r\n":
            raise _malformed("a chunk does not end where it should")
        self._taken += data[: size - 2]
        del data[:size]
        self._chunk = None
        return True

    def _trailers(self) -> bool:
        """Whether all that may follow the last chunk is here; its fields are dropped."""
        data = self._data
        if data[:2] == b"\r\n":
            del data[:2]
            return True
        end = data.find(b"\r\n\r\n", 0, self._max_head)
        if end < 0:
            if len(data) >= self._max_head:
                raise Rejection(431, f"cannot read a trailer that is too long: at most {self._max_head} bytes")
            return False
        _fields(bytes(data[:end]).split(b"\r\n"))
        del data[: end + 4]
        return True

    def _check_size(self, size: int) -> None:
        if size > self._max_body:
            raise Rejection(413, f"cannot take a body of {size} bytes: at most {self._max_body}")


def _malformed(what: str) -> Rejection:
    return Rejection(400, f"cannot read this as HTTP/1.1: {what}")


def _check_line_ends(data: bytearray) -> None:
    """A client that ends its lines with LF alone would wait for ever."""
    if data.count(b"\n") != data.count(b"\r\n"):
        raise _malformed("a line does not end with CR LF")


def _request_line(line: bytes) -> tuple[str, bytes, bool]:
    words = line.split(b" ")
    if len(words) != 3 or not all(words) or words[0].strip(TOKEN) or words[1].strip(VISIBLE):
        raise _malformed("no request line")
    method, target, version = words
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if version.startswith(b"HTTP/"):
            raise Rejection(505, "cannot speak this version of HTTP: 1.1 and 1.0 are known")
        raise _malformed("no request line")
    return method.decode("ascii"), target, version == b"HTTP/1.0"


def _fields(rows: list[bytes]) -> dict[bytes, bytes]:
    """Values by names in lower case; those of a repeated field are joined as RFC 9110 (5.3) has it."""
    fields: dict[bytes, bytes] = {}
    for row in rows:
        name, colon, value = row.partition(b":")
        if not colon or not name or name.strip(TOKEN):
            raise _malformed("a header field without a name")
        if len(value.translate(None, NOT_IN_VALUES)) != len(value):
            raise _malformed("a control character in a header field")
        name, value = name.lower(), value.strip(SPACES)
        if name in fields:
            if name in (b"host", b"content-length", b"transfer-encoding"):
                raise _malformed(f"{name.decode('ascii').title()} is given twice")
            value = fields[name] + b", " + value
        fields[name] = value
    return fields


def _head(method: str, target: bytes, old: bool, fields: Mapping[bytes, bytes]) -> Head:
    if b"host" not in fields and not old:
        raise _malformed("there is no Host")
    length: int | None = 0
    if b"transfer-encoding" in fields:
        if fields[b"transfer-encoding"].lower() != b"chunked":
            raise Rejection(501, "cannot read this Transfer-Encoding: chunked is known")
        if old or b"content-length" in fields:
            raise _malformed("its length is unclear")
        length = None
    elif b"content-length" in fields:
        length = _number(fields[b"content-length"], DIGITS, 10, "a bad Content-Length")
    options = {option.strip(SPACES) for option in fields.get(b"connection", b"").lower().split(b",")}
    expects = not old and fields.get(b"expect", b"").lower() == b"100-continue"
    events = b"text/event-stream" in fields.get(b"accept", b"").lower()
    return Head(method, target, old, not old and b"close" not in options, length, expects, events)


def _number(text: bytes, digits: bytes, base: int, trouble: str) -> int:
    """int() alone takes blanks, signs and underscores, and any number of digits."""
    if not text or text.strip(digits) or len(text) > 16:
        raise _malformed(trouble)
    return int(text, base)


def reply(status: int, kind: str, data: bytes, *, close: bool, without_body: bool = False) -> bytes:
    """A whole reply with a body of this media type; `without_body`: it answers HEAD."""
    head = f"HTTP/1.1 {status} \r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{_closing(close)}\r\n"
    return head.encode("ascii") + (b"" if without_body else data)


def stream_head(kind: str, *, close: bool, chunked: bool) -> bytes:
    """The head of a reply without a length: its pieces are chunks, or for an old client end with the connection."""
    coding = "Transfer-Encoding: chunked\r\n" if chunked else ""
    return f"HTTP/1.1 200 \r\nContent-Type: {kind}\r\n{coding}{_closing(close)}\r\n".encode("ascii")


def chunk(data: bytes) -> bytes:
    """One piece of a stream; empty for none, since an empty chunk would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _closing(close: bool) -> str:
    return "Connection: close\r\n" if close else ""
