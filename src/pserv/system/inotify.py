"""inotify(7) without a library, for processes that end: ctypes costs memory that the supervisor must not have."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from typing import Any, Final

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, OVERFLOW, GONE, IS_FOLDER = 0x400, 0x800, 0x4000, 0x8000, 0x40000000

_HEAD: Final = struct.Struct("iIII")


class Inotify:
    """One instance. `fd` is readable when something has happened."""

    def __init__(self) -> None:
        """Raises OSError where there is none: another system, too many instances (EMFILE)."""
        if sys.platform != "linux":
            raise OSError("no inotify here")
        try:
            import ctypes

            self._library: Any = ctypes.CDLL(None, use_errno=True)
            self._errno = ctypes.get_errno
            self.fd = int(self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except (ImportError, AttributeError) as error:
            raise OSError(str(error)) from None
        if self.fd < 0:
            self._fail()

    def add(self, path: str, mask: int) -> int:
        """The number by which events name this file or folder; the same for the same inode. Raises OSError."""
        number: int = self._library.inotify_add_watch(self.fd, os.fsencode(path), mask)
        if number < 0:
            self._fail()
        return number

    def remove(self, number: int) -> None:
        """Harmless where it is gone already."""
        self._library.inotify_rm_watch(self.fd, number)

    def read(self) -> Iterator[tuple[int, int, str]]:
        """What has happened: number, mask, name within the folder; (-1, OVERFLOW, "") where some of it is lost."""
        while True:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size + length
                yield number, mask, os.fsdecode(data[at - length : at].rstrip(b"\0"))

    def close(self) -> None:
        os.close(self.fd)

    def _fail(self) -> None:
        number = self._errno()
        raise OSError(number, os.strerror(number))
