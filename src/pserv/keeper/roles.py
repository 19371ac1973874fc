"""Processes of the daemon's own code: forked from the keeper with one channel, or exec'd for an upgrade."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

from pserv.keeper import child, host
from pserv.keeper.protocol import pair

Role = Callable[[socket.socket, str], int]
"""`role(channel socket, argument) -> exit code`, run in a fork of the keeper."""

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The order to end is the keeper's: a Ctrl-C or a TERM to the whole cgroup must not end these before the services."""


class Roles:
    """Starts our own processes and knows which children they are. `own`: what to do when one ended, by pid."""

    def __init__(self, roles: Mapping[str, Role], original: host.Original) -> None:
        self._roles = roles
        self._original = original
        self.own: dict[int, Callable[[int], None]] = {}

    def has(self, role: str) -> bool:
        return role in self._roles

    def start(self, role: str, argument: str, ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        """Fork; the pid and our end of the channel. `ended` gets the wait status. Raises OSError."""
        return self._fork(lambda end: self._run(role, argument, end), ended)

    def execute(self, argv: list[str], ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        """The same by exec of another program, which gets the number of its channel's descriptor as last argument."""
        return self._fork(lambda end: self._exec(argv, end), ended)

    def serve(self, role: str, argument: str, end: socket.socket, ended: Callable[[int], None]) -> int:
        """The same on a socket of the caller's, which it still has to close; `ended` gets the pid."""
        pid = self._fork_on(lambda sock: self._run(role, argument, sock), end)
        self.own[pid] = lambda status: ended(pid)
        return pid

    def ended(self, pid: int, status: int) -> None:
        """Tell who started it; a child we do not know was an orphan that we adopted."""
        callback = self.own.pop(pid, None)
        if callback is not None:
            callback(status)

    def _fork(self, body: Callable[[socket.socket], int], ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        ours, theirs = pair()
        try:
            pid = self._fork_on(body, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.own[pid] = ended
        return pid, ours

    def _fork_on(self, body: Callable[[socket.socket], int], end: socket.socket) -> int:
        # No signal may reach the child before it has left the wake-up pipe, which it shares until then.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._in_child(body, end)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid

    def _in_child(self, body: Callable[[socket.socket], int], end: socket.socket) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            os.setsid()
            child.reset_signals(IGNORED)
            host.close_all_but({0, 1, 2, end.fileno()})
            code = body(end)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _run(self, role: str, argument: str, end: socket.socket) -> int:
        gc.enable()
        return self._roles[role](end, argument)

    def _exec(self, argv: list[str], end: socket.socket) -> int:
        end.set_inheritable(True)
        os.execvpe(argv[0], [*argv, str(end.fileno())], self._original.environment)


def described(status: int) -> dict[str, int | None]:
    """A wait status as `code` and `signal`, one of them null."""
    code = os.waitstatus_to_exitcode(status)
    return {"code": code if code >= 0 else None, "signal": -code if code < 0 else None}
