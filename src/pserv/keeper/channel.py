"""What carries messages and descriptors between two processes. What they mean is in `protocol`."""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import sys
from collections import deque

from pserv.keeper import quickjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.protocol import Message

MAX_FRAME = 64 << 20
MAX_FDS = 250
"""Linux allows 253 descriptors a message (SCM_MAX_FD); the sender splits, the receiver need not know."""

_HEADER = struct.Struct("!II")  # length of the body, number of descriptors
_CHUNK = 1 << 16


class ProtocolError(Exception):
    """The peer sent what is no message."""


class Channel:
    """Messages over a non-blocking stream socket. Never blocks: what the peer does not take is queued.

    Descriptors given to `send` are duplicated at once, so the caller keeps its own.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._out: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._in = bytearray()
        self._fds: deque[int] = deque()
        self.backlog = 0
        """Bytes queued that the peer has not taken."""

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether something is queued: poll for writing, then `flush`."""
        return bool(self._out)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Queue one message and send what the socket takes.

        Raises OSError when the peer is gone; EMFILE and ENFILE when `fds` cannot be copied, then nothing is queued.
        """
        body = quickjson.dumps(message).encode()
        if len(body) > MAX_FRAME:
            raise ProtocolError(f"message of {len(body)} bytes")
        copies = _copies(fds)
        self.backlog += _HEADER.size + len(body)
        frame = _HEADER.pack(len(body), len(copies)) + body
        # Each block of descriptors travels with at least one byte; the frame is cut so that every block has its own.
        for start in range(0, len(copies), MAX_FDS):
            last = start + MAX_FDS >= len(copies)
            part, frame = (frame, b"") if last else (frame[:1], frame[1:])
            self._out.append((memoryview(part), copies[start : start + MAX_FDS]))
        if not copies:
            self._out.append((memoryview(frame), ()))
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes now. Raises OSError when the peer is gone."""
        while self._out:
            data, fds = self._out[0]
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self.socket.sendmsg([data], ancillary)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:  # too many descriptors in flight for an ordinary user
                    return
                raise
            for fd in fds:
                os.close(fd)
            self.backlog -= sent
            self._out.popleft()
            if sent < len(data):
                self._out.appendleft((data[sent:], ()))

    def receive(self, most: int = sys.maxsize) -> tuple[list[tuple[Message, tuple[int, ...]]], bool]:
        """All whole messages that have arrived, and whether the peer is still there.

        With `most` no more is read after so many bytes; as a poll tells, there is more.
        """
        alive = True
        taken = 0
        while taken < most:
            try:
                data, ancillary, flags, _ = self.socket.recvmsg(_CHUNK, socket.CMSG_SPACE(4 * MAX_FDS))
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                alive = False
                break
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array("i")
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                    for fd in fds:
                        os.set_inheritable(fd, False)
                    self._fds.extend(fds)
            if flags & socket.MSG_CTRUNC:  # the kernel dropped descriptors: this process may open no more
                raise ProtocolError("descriptors were lost: too many open files")
            if not data:
                alive = False
                break
            self._in += data
            taken += len(data)
        return list(self._frames()), alive

    def _frames(self) -> list[tuple[Message, tuple[int, ...]]]:
        found: list[tuple[Message, tuple[int, ...]]] = []
        start = 0
        while len(self._in) - start >= _HEADER.size:
            size, count = _HEADER.unpack_from(self._in, start)
            if size > MAX_FRAME:
                raise ProtocolError(f"frame of {size} bytes")
            end = start + _HEADER.size + size
            if len(self._in) < end or len(self._fds) < count:
                break
            message = quickjson.loads(self._in[start + _HEADER.size : end].decode())
            found.append((message, tuple(self._fds.popleft() for _ in range(count))))
            start = end
        del self._in[:start]
        return found

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took."""
        for _, fds in self._out:
            for fd in fds:
                os.close(fd)
        self._out.clear()
        while self._fds:
            os.close(self._fds.popleft())
        self.socket.close()


def _copies(fds: tuple[int, ...]) -> tuple[int, ...]:
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))
    except OSError:
        for fd in copies:
            os.close(fd)
        raise
    return tuple(copies)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected stream sockets, closed on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
