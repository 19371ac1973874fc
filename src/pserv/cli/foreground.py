"""`pserv up` with a daemon of its own: its output is followed, and it ends with us."""

from __future__ import annotations

import os
import signal

from pserv.api.client import Client
from pserv.cli import stream, terminal
from pserv.cli.following import Follower, until_ended
from pserv.cli.joining import declared
from pserv.model.errors import NoSuchService, PservError, Unreachable
from pserv.model.names import is_pattern, no_such, service_of

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from pserv.cli.launching import Started
    from pserv.cli.parse import Arguments


class Ordered(BaseException):
    """A signal asked for the end; like KeyboardInterrupt no Exception, so that nothing on the way takes it for one."""


class Foreground:
    """A daemon of our own, which ends with us."""

    def __init__(self, arguments: Arguments, started: Started) -> None:
        self._arguments = arguments
        self._started = started
        self._code: int | None = None

    def run(self) -> int:
        """Until all has ended; the daemon's exit code, or that of --exit-code-from."""
        started = self._started
        try:
            services = declared(started.socket)
            self._check(services)
            follower = Follower(started.socket, services, as_json=self._arguments.flag("json"))
        except BaseException:
            started.release()
            raise
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, and a shell's background
                signal.signal(number, _order)
        try:
            follower.start(nothing_runs=True)
            self._start(started.socket, services)
            code = started.wait()
        except Ordered:
            code = self._end(started)
        finally:
            started.release()
        follower.finish()
        return self._code if self._code is not None else code if code >= 0 else 128 - code

    def _check(self, services: dict[str, Any]) -> None:
        known_names = {*services, *map(service_of, services)}
        for name in self._arguments.words:
            if name not in known_names and not is_pattern(name):
                raise no_such(name, services, verb="start")
        named = self._arguments.text("exit-code-from")
        if named and named not in services:
            known = ", ".join(sorted(services)[:8])
            raise NoSuchService(
                f"cannot take the exit code of {named!r}: there is no such service", f"there are: {known}"
            )

    def _start(self, socket: str, services: dict[str, Any]) -> None:
        """Starts what is wanted, now that the output is followed, and tells how it went."""
        names = self._arguments.words
        watched = self._arguments.text("exit-code-from")
        request = {"names": names, "timeout": self._arguments.seconds("timeout")}
        told = stream.Followed()
        try:
            if names or any(service.get("autostart", True) for service in services.values()):
                stream.follow(Client(socket).stream_raw("start", request), told, None)
        except Unreachable:
            return  # It ended by itself, or its supervisor is being replaced: the start goes on.
        if told.done is not None:
            screen = terminal.err()
            stream.outcomes(screen, told.done["outcomes"])
            screen.stream.flush()
        if watched:
            until_ended(socket, watched, self._ended)

    def _ended(self, code: int) -> None:
        self._code = code
        os.kill(os.getpid(), signal.SIGTERM)

    def _end(self, started: Started) -> int:
        """Stops in order; a second signal shortens every wait, a third leaves it to the lease."""
        hurry = False
        terminal.tell("stopping; once more, and nothing is waited for")
        while True:
            try:
                told = stream.Followed()
                request = {"hurry": hurry}
                stream.follow(Client(started.socket).stream_raw("down", request), told, None)
                self._tell_trouble(told.done)
                started.release()
                return started.wait()
            except PservError:
                started.release()
                return started.wait()
            except Ordered:
                if hurry:
                    started.release()
                hurry = True
                terminal.tell("not waiting any longer")

    def _tell_trouble(self, done: dict[str, Any] | None) -> None:
        screen = terminal.err()
        stream.outcomes(screen, [outcome for outcome in (done or {}).get("outcomes", ()) if not outcome["ok"]])
        screen.stream.flush()


def _order(_number: int, _frame: FrameType | None) -> None:
    raise Ordered
