"""Targets that no path can be opened for: the daemon's own stdout and stderr, and sockets such as syslog's.

None of them is ever waited for: what they do not take is tried again when they do.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

STANDARD: Final = {
    "/dev/stdout": 1, "/dev/fd/1": 1, "/proc/self/fd/1": 1,
    "/dev/stderr": 2, "/dev/fd/2": 2, "/proc/self/fd/2": 2,
}  # fmt: skip
"""Paths that mean what the daemon was started with. (Opened by its path a socket would be refused.)"""

Write = Callable[[bytes], int]
"""Writes what can be written now; the number of bytes. Raises BlockingIOError for none, OSError."""

_FLAGS: Final = os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
_DONT_WAIT: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


def open_standard(number: int) -> tuple[int, Write | None]:
    """A descriptor for it, and how to write where write(2) would not do. Raises OSError.

    A pipe or terminal is opened anew, so that it can be written without blocking and nobody else finds it so.
    """
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return os.dup(number), None  # with the offset that others who write to it have
    if stat.S_ISSOCK(mode):
        return _by_send(socket.socket(fileno=os.dup(number)), datagrams=False)
    try:
        return os.open(f"/dev/fd/{number}", os.O_WRONLY | _FLAGS), None
    except OSError:  # another user's, as after su
        fd = os.dup(number)
        return fd, lambda data: _write_a_little(fd, data)


def open_socket(path: str) -> tuple[int, Write]:
    """A connection to a unix socket: of datagrams, one a line, or else a stream. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.connect(path)
        return _by_send(sock, datagrams=True)
    except OSError as error:
        sock.close()
        if error.errno != errno.EPROTOTYPE:
            raise
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return _by_send(sock, datagrams=False)


def _by_send(sock: socket.socket, *, datagrams: bool) -> tuple[int, Write]:
    fd = sock.detach()

    def send(data: bytes) -> int:
        size = data.find(b"\n") + 1 or len(data) if datagrams else len(data)
        part = data[: size - 1] if datagrams and data[size - 1 : size] == b"\n" else data[:size]
        borrowed = socket.socket(fileno=fd)
        try:
            sent = borrowed.send(part, _DONT_WAIT)
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # as BSD says that the receiver's queue is full
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            if error.errno != errno.EMSGSIZE:
                raise
            sent = borrowed.send(part[:_LONGEST], _DONT_WAIT)
        finally:
            borrowed.detach()
        return size if datagrams else sent

    return fd, send


_LONGEST: Final = 1 << 13
"""Bytes of a datagram that every syslog takes."""


def _write_a_little(fd: int, data: bytes) -> int:
    """A pipe that poll(2) calls writable takes so much without blocking (pipe(7))."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(fd, data[: select.PIPE_BUF])
