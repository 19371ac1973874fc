"""Waits until files or folders change: inotify(7) on Linux, else by looking four times a second. Reads no file."""

from __future__ import annotations

import os
import select
import struct
import sys
from collections.abc import Iterable
from typing import Final

LOOK: Final = 0.25
"""Seconds between looks where nothing tells of changes."""

_MODIFY, _ATTRIB, _MOVED_TO, _CREATE, _DELETE_SELF, _MOVE_SELF = 0x2, 0x4, 0x80, 0x100, 0x400, 0x800
_EVENT = struct.Struct("iIII")
_SPLICE_TOLD = (6, 5)
"""Since this version of Linux a splice(2) into a file, as the logger does it, is an event."""


class Changes:
    """What is watched, each by a number; a file or folder that is watched twice has the same number."""

    def __init__(self, inotify: bool = True) -> None:
        self._fd = -1
        if inotify and sys.platform == "linux" and _version() >= _SPLICE_TOLD:
            import ctypes  # not for the keeper, of which every reader is a fork

            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)

    @property
    def told(self) -> bool:
        """Whether changes are told; if not, `wait` returns after a while without."""
        return self._fd >= 0

    def watch_file(self, path: str) -> int:
        """Tell when this file is written, cut or deleted; -1 when that cannot be told."""
        return self._watch(path, _MODIFY | _ATTRIB)

    def watch_folder(self, path: str) -> int:
        """Tell when a name appears in this folder, or it goes; -1 when that cannot be told (it is not there)."""
        return self._watch(path, _CREATE | _MOVED_TO | _DELETE_SELF | _MOVE_SELF)

    def forget(self, number: int) -> None:
        """Watch it no more."""
        if number >= 0:
            self._libc.inotify_rm_watch(self._fd, number)

    def wait(self, sock_fd: int, all_told: bool) -> tuple[set[int], bool]:
        """The numbers of what changed (-1: some were missed), and whether the socket was closed by its peer.

        With `all_told` false returns after `LOOK` seconds at the latest.
        """
        poll = select.poll()
        poll.register(sock_fd, select.POLLIN)
        if self.told:
            poll.register(self._fd, select.POLLIN)
        ready = dict(poll.poll(None if all_told and self.told else LOOK * 1000))
        changed = set(self._events()) if self._fd in ready else set()
        return changed, sock_fd in ready

    def _watch(self, path: str, mask: int) -> int:
        if not self.told:
            return -1
        return int(self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask))

    def _events(self) -> Iterable[int]:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            number, _, _, length = _EVENT.unpack_from(data, offset)
            yield number
            offset += _EVENT.size + length

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _version() -> tuple[int, ...]:
    """The kernel's version, two numbers."""
    numbers = os.uname().release.split("-")[0].split(".")
    return tuple(int(number) if number.isdigit() else 0 for number in numbers[:2])
