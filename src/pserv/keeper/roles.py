"""Processes of the daemon's own code: forked from the keeper with one channel, or exec'd for an upgrade."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping

from pserv.keeper import child, host
from pserv.keeper.channel import pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Role = Callable[[socket.socket, str], int]
"""`role(channel socket, argument) -> exit code`, run in a fork of the keeper."""

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE)
"""The order to end is the keeper's: a Ctrl-C or a TERM to the whole cgroup must not end these before the services.
And as in every Python: a peer that has gone is an error of send(2)."""


class Roles:
    """Starts our own processes and knows which children they are. `own`: what to do when one ended, by pid."""

    def __init__(self, roles: Mapping[str, Role], original: host.Original, kept: Iterable[int] = ()) -> None:
        """`kept`: descriptors that a fork needs besides its channel."""
        self._roles = roles
        self._kept = tuple(kept)
        self._original = original
        self.own: dict[int, Callable[[int], None]] = {}

    def has(self, role: str) -> bool:
        return role in self._roles

    def start(self, role: str, argument: str, ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        """Fork; the pid and our end of the channel. `ended` gets the wait status. Raises OSError."""
        return self._fork(lambda fd: self._run(role, argument, fd), ended)

    def execute(self, argv: list[str], ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        """The same by exec of another program, which gets the number of its channel's descriptor as last argument."""
        return self._fork(lambda fd: self._exec([*argv, str(fd)], fd), ended)

    def serve(self, role: str, argument: str, end: socket.socket, ended: Callable[[int], None]) -> int:
        """The same on a socket of the caller's, which it still has to close; `ended` gets the pid."""
        pid = self._fork_on(lambda fd: self._run(role, argument, fd), end.fileno())
        self.own[pid] = lambda status: ended(pid)
        return pid

    def check(self, argv: list[str], ended: Callable[[int], None]) -> int:
        """Execute a program that gets no channel; its pid. `ended` gets the wait status."""
        with open(os.devnull, "rb") as nothing:
            pid = self._fork_on(lambda fd: self._exec(argv), nothing.fileno())
        self.own[pid] = ended
        return pid

    def ended(self, pid: int, status: int) -> None:
        """Tell who started it; a child we do not know was an orphan that we adopted."""
        callback = self.own.pop(pid, None)
        if callback is not None:
            callback(status)

    def _fork(self, body: Callable[[int], int], ended: Callable[[int], None]) -> tuple[int, socket.socket]:
        ours, theirs = pair()
        try:
            pid = self._fork_on(body, theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.own[pid] = ended
        return pid, ours

    def _fork_on(self, body: Callable[[int], int], fd: int) -> int:
        # No signal may reach the child before it has left the wake-up pipe, which it shares until then.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._in_child(body, fd)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid

    def _in_child(self, body: Callable[[int], int], fd: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            os.setsid()
            child.reset_signals(child.changed_signals(), IGNORED)
            host.close_all_but({0, 1, 2, fd, *self._kept})
            code = body(fd)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _run(self, role: str, argument: str, fd: int) -> int:
        return self._roles[role](socket.socket(fileno=fd), argument)

    def _exec(self, argv: list[str], fd: int = -1) -> int:
        if fd >= 0:
            os.set_inheritable(fd, True)
        os.execvpe(argv[0], argv, self._original.environment)


def described(status: int) -> dict[str, int | None]:
    """A wait status as `code` and `signal`, one of them null."""
    code = os.waitstatus_to_exitcode(status)
    return {"code": code if code >= 0 else None, "signal": -code if code < 0 else None}
