"""Forks of the keeper that do one errand for the supervisor on a socket of their own, such as to read a log."""

from __future__ import annotations

import errno
import os
import signal
import socket

from pserv.keeper.roles import Roles

MOST = 1000
"""So many may live at once."""


class Readers:
    """Those that live; they serve one supervisor and do not outlive it."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._pids: set[int] = set()

    def fork(self, role: str, argument: str) -> socket.socket:
        """Start one; the supervisor's end of its socket, to be closed by the caller. Raises OSError.

        One that hangs in the kernel stays until its disk answers: EAGAIN when too many do.
        """
        if len(self._pids) >= MOST:
            raise OSError(errno.EAGAIN, f"{MOST} others have not ended")
        ours, theirs = socket.socketpair()
        try:
            self._pids.add(self._roles.serve(role, argument, theirs, self._pids.discard))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def kill_all(self) -> None:
        """They serve a supervisor that is no more."""
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
