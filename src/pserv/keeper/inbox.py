"""What a run speaks to its keeper through: its notify socket, and the pipe of `ready: {fd: N}`. Nothing is heard."""

from __future__ import annotations

import os
import socket

from pserv.keeper import datagram

_LONGEST_PATH = 107
"""Bytes of a socket's path (unix(7)); macOS has 103."""


class Inbox:
    """One run's; -1 and None where it has none. `waiting`: notices told and not acknowledged."""

    __slots__ = ("address", "ready", "socket", "waiting")

    def __init__(self, address: str = "", sock: socket.socket | None = None, ready: int = -1) -> None:
        self.address = address
        self.socket = sock
        self.ready = ready
        self.waiting = 0

    def close(self) -> None:
        """For good: what waits unread is dropped with the socket. Both must not be watched any more."""
        if self.ready >= 0:
            os.close(self.ready)
            self.ready = -1
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            if not self.address.startswith("@"):
                try:
                    os.unlink(self.address)
                except OSError:
                    pass


class Addresses:
    """Where the sockets of the runs are: in a folder, or by abstract names where that cannot be reached."""

    def __init__(self, folder: str, cookie: str) -> None:
        self._folder = os.path.join(folder, "notify")
        self._cookie = cookie
        self._made = False

    def open(self, name: str, other_user: bool) -> Inbox:
        """Bound and ready to be heard. `other_user`: whose processes may not enter our folder. Raises OSError."""
        path = os.path.join(self._folder, name)
        if datagram.TELLS_SENDERS and (other_user or len(os.fsencode(path)) > _LONGEST_PATH):
            path = f"@pserv/{self._cookie}/{name}"
        elif not self._made:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._made = True
        return Inbox(path, datagram.listen(path))

    def clean(self) -> None:
        """Remove the folder, and what a killed keeper left there; nobody else has it while we hold the lock."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return
        for name in names:
            try:
                os.unlink(os.path.join(self._folder, name))
            except OSError:
                continue
        try:
            os.rmdir(self._folder)
        except OSError:
            return
