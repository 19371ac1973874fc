"""Waits until files or folders change: inotify(7) on Linux, else by looking four times a second. Reads no file."""

from __future__ import annotations

import os
import select
from typing import Final

from pserv.system.inotify import ATTRIB, CREATE, DELETE_SELF, MODIFY, MOVE_SELF, MOVED_TO, Inotify

LOOK: Final = 0.25
"""Seconds between looks where nothing tells of changes."""

_SPLICE_TOLD = (6, 5)
"""Since this version of Linux a splice(2) into a file, as the logger does it, is an event."""


class Changes:
    """What is watched, each by a number; a file or folder that is watched twice has the same number."""

    def __init__(self, inotify: bool = True) -> None:
        self._inotify: Inotify | None = None
        if inotify and _version() >= _SPLICE_TOLD:
            try:
                self._inotify = Inotify()
            except OSError:
                pass  # another system, or too many instances: it is looked for

    @property
    def told(self) -> bool:
        """Whether changes are told; if not, `wait` returns after a while without."""
        return self._inotify is not None

    def watch_file(self, path: str) -> int:
        """Tell when this file is written, cut or deleted; -1 when that cannot be told."""
        return self._watch(path, MODIFY | ATTRIB)

    def watch_folder(self, path: str) -> int:
        """Tell when a name appears in this folder, or it goes; -1 when that cannot be told (it is not there)."""
        return self._watch(path, CREATE | MOVED_TO | DELETE_SELF | MOVE_SELF)

    def forget(self, number: int) -> None:
        """Watch it no more."""
        if self._inotify is not None and number >= 0:
            self._inotify.remove(number)

    def wait(self, sock_fd: int, all_told: bool) -> tuple[set[int], bool]:
        """The numbers of what changed (-1: some were missed), and whether the socket was closed by its peer.

        With `all_told` false returns after `LOOK` seconds at the latest.
        """
        poll = select.poll()
        poll.register(sock_fd, select.POLLIN)
        if self._inotify is not None:
            poll.register(self._inotify.fd, select.POLLIN)
        ready = dict(poll.poll(None if all_told and self.told else LOOK * 1000))
        changed: set[int] = set()
        if self._inotify is not None and self._inotify.fd in ready:
            changed = {number for number, _, _ in self._inotify.read()}
        return changed, sock_fd in ready

    def _watch(self, path: str, mask: int) -> int:
        if self._inotify is None:
            return -1
        try:
            return self._inotify.add(path, mask)
        except OSError:
            return -1

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None


def _version() -> tuple[int, ...]:
    """The kernel's version, two numbers."""
    numbers = os.uname().release.split("-")[0].split(".")
    return tuple(int(number) if number.isdigit() else 0 for number in numbers[:2])
