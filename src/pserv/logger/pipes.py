"""What a pipe holds and how large it is. No byte is moved here."""

from __future__ import annotations

import array
import fcntl
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SIZE_UNKNOWN: Final = 1 << 16
"""What is taken for the size of a pipe where the system cannot tell."""
_F_SETPIPE_SZ: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)
_F_GETPIPE_SZ: int | None = getattr(fcntl, "F_GETPIPE_SZ", None)


def available(fd: int) -> int:
    """Bytes that can be read from a pipe or terminal now; 0 where the system cannot tell."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(fd, termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


def is_over(fd: int) -> bool:
    """Whether it is empty and nobody can write to it any more."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return [events for _, events in poll.poll(0)] == [select.POLLHUP]


def resize(fd: int, size: int) -> int:
    """Ask for a pipe of `size` bytes; the size it has then."""
    if _F_SETPIPE_SZ is None:
        return SIZE_UNKNOWN
    try:
        return fcntl.fcntl(fd, _F_SETPIPE_SZ, size)
    except OSError:
        return size_of(fd)


def size_of(fd: int) -> int:
    """The size of a pipe in bytes."""
    try:
        return SIZE_UNKNOWN if _F_GETPIPE_SZ is None else fcntl.fcntl(fd, _F_GETPIPE_SZ)
    except OSError:
        return SIZE_UNKNOWN
