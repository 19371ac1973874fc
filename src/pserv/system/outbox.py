"""What a reader of logs says: NDJSON on a socket, at the pace of the receiver. What is said is not known here."""

from __future__ import annotations

import socket
from typing import Final

from pserv.keeper import quickjson

_MUCH: Final = 1 << 16
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""A receiver that is gone is an error of send, not SIGPIPE."""

END: Final = b'{"type":"end"}\n'
"""The last word of a reader that came to its end; one that was killed does not say it."""


class Gone(Exception):
    """The receiver has closed its end."""


class Outbox:
    """Lines to a socket; blocks while the receiver does not take them."""

    __slots__ = ("_parts", "_size", "_socket")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parts: list[bytes] = []
        self._size = 0

    def put(self, part: bytes) -> None:
        """Queue whole lines; sends when there is much. Raises Gone."""
        self._parts.append(part)
        self._size += len(part)
        if self._size >= _MUCH:
            self.flush()

    def tell(self, what: str, /, **fields: object) -> None:
        """Queue one object. Raises Gone."""
        self.put(quickjson.dumps({"type": what, **fields}).encode() + b"\n")

    def flush(self) -> None:
        """Send all. Raises Gone."""
        data, self._parts, self._size = b"".join(self._parts), [], 0
        try:
            self._socket.sendall(data, _NO_SIGNAL)
        except OSError:
            raise Gone from None
