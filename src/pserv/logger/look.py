"""What is in a pipe, looked at without taking it out, by tee(2). Nothing is moved here."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from pserv.logger.pipes import resize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_BLOCK: Final = 1 << 16
_NOTHING: Final = (errno.EAGAIN, errno.EINTR)
_NONBLOCK: int = getattr(os, "SPLICE_F_NONBLOCK", 0)


class Look:
    """A pipe of our own into which the kernel puts references to what another pipe has."""

    __slots__ = ("_read", "_size", "_tee", "_write")

    def __init__(self, size: int) -> None:
        """`size`: at most so many bytes are seen at once. Opens nothing before the first look."""
        self._size = size
        self._tee: Callable[[int, int, int], int] | None = None
        self._read = self._write = -1

    def pieces(self, fd: int, limit: int) -> Iterator[bytes]:
        """The next bytes of a pipe, at most `limit`, in blocks; none when it is empty or at its end.

        To be consumed whole. Raises OSError for what is no pipe (EINVAL), and where the system has no tee(2) (ENOSYS).
        """
        left = self._refer(fd, limit)
        while left > 0:
            block = os.read(self._read, min(left, _BLOCK))
            left -= len(block)
            yield block

    def whole(self, fd: int, limit: int) -> bytes:
        """The same in one piece."""
        seen = self._refer(fd, limit)
        return os.read(self._read, seen) if seen else b""

    def _refer(self, fd: int, limit: int) -> int:
        if self._tee is None:
            self._open()
        assert self._tee is not None
        return self._tee(fd, self._write, min(limit, self._size))

    def newlines(self, fd: int, limit: int, room: int) -> tuple[int, int, int]:
        """Of the next bytes of a pipe: how many were seen, where the last line that ends within the first `room` bytes
        ends, and where the first line ends; 0 where none does. Raises as `pieces` does."""
        seen = last = first = 0
        for block in self.pieces(fd, limit):
            if not first:
                first = seen + block.find(b"\n") + 1 if b"\n" in block else 0
            if seen < room:
                found = block.rfind(b"\n", 0, room - seen)
                last = seen + found + 1 if found >= 0 else last
            seen += len(block)
        return seen, last, first

    def _open(self) -> None:
        self._tee = _tee()
        self._read, self._write = os.pipe()
        self._size = min(self._size, resize(self._write, self._size))

    def close(self) -> None:
        if self._read >= 0:
            os.close(self._read)
            os.close(self._write)
            self._read = self._write = -1
            self._tee = None


def _tee() -> Callable[[int, int, int], int]:
    """tee(2), which Python does not have, without waiting. Raises OSError where there is none."""
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).tee
    except (ImportError, AttributeError):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    call.restype = ctypes.c_ssize_t
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)

    def tee(source: int, target: int, limit: int) -> int:
        count: int = call(source, target, limit, _NONBLOCK)
        if count < 0:
            number = ctypes.get_errno()
            if number in _NOTHING:
                return 0
            raise OSError(number, os.strerror(number))
        return count

    return tee
