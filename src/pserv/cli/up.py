"""`pserv up`: apply the file, start what is down, follow the output; or with -d leave it running."""

from __future__ import annotations

import os

from pserv.cli import launching, target
from pserv.model.errors import NoSuchService, PservError, Unreachable, UsageError

# A new daemon is a fork of this process: what talks to one is imported after that.

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from pserv.cli.launching import Started
    from pserv.cli.parse import Arguments


def up(arguments: Arguments) -> int:
    """Every mistake of the files is told before anything is touched: by the daemon, as only it reads them."""
    if arguments.text("exit-code-from") and arguments.flag("detach"):
        raise UsageError("cannot use --exit-code-from with -d: nobody would wait for the code", "pserv up without -d")
    paths = target.files(arguments)
    socket = target.socket(arguments)
    if _running(socket, paths):
        return _join(arguments, socket)
    if arguments.flag("detach"):
        return _detached(arguments, paths)
    return Foreground(arguments).run(paths)


def _running(socket: str, paths: list[str]) -> bool:
    """Whether a daemon answers there; raises PservError if it serves another file."""
    if not os.path.lexists(socket):
        return False
    from pserv.api.client import Client

    try:
        daemon = Client(socket).call_raw("status", {})["daemon"]
    except Unreachable:
        return False
    served, ours = daemon["config"], os.path.realpath(paths[0])
    if served and not any(os.path.realpath(path) == ours or path.startswith(ours + os.sep) for path in served):
        raise PservError(
            f"cannot use {socket}: that daemon serves {served[0]}", "give this file another `name`, or name a --socket"
        )
    return True


def _join(arguments: Arguments, socket: str) -> int:
    """A daemon runs already: what the file says now is applied; Ctrl-C then only detaches."""
    from pserv.api.client import Client
    from pserv.cli import reload, stream, terminal

    client = Client(socket)
    timeout = arguments.seconds("timeout")
    as_json = arguments.flag("json")
    request = {
        "start": True,
        "names": arguments.words,
        "wait": not arguments.flag("no-wait"),
        "timeout": timeout,
        "profiles": arguments.texts("profile") or None,
    }
    told = stream.act(lambda: client.stream_raw("reload", request), "reload")
    if not as_json:
        reload.tell_plan(terminal.out(), told.plan)
    code = stream.finish(told, as_json, waited=not arguments.flag("no-wait"))
    if arguments.flag("detach"):
        return code
    from pserv.cli.following import Follower

    follower = Follower(socket, _declared(socket), as_json=as_json)
    try:
        terminal.tell("following; Ctrl-C leaves the daemon running")
        follower.start()
        follower.join()
    except KeyboardInterrupt:
        terminal.tell("detached; the daemon goes on", "pserv down stops it")
        return code
    terminal.tell("the daemon has ended")
    return code


def _declared(socket: str) -> dict[str, dict[str, Any]]:
    """The services of the daemon and their instances, by name, with what is declared of each."""
    from pserv.api.client import Client

    services: dict[str, dict[str, Any]] = Client(socket).call_raw("config", {})["services"]
    found = {}
    for name, spec in services.items():
        count = spec.get("instances")
        found.update(dict.fromkeys([name] if count is None else [f"{name}:{n}" for n in range(1, count + 1)], spec))
    return found


def _detached(arguments: Arguments, paths: list[str]) -> int:
    started = launching.start(
        paths,
        socket=arguments.text("socket") or "",
        attached=False,
        exit_when=arguments.text("exit-when"),
        names=arguments.words or None,
    )
    from pserv.api.client import Client
    from pserv.cli import stream, terminal

    if not started.starting:
        terminal.tell("the daemon runs; no service is declared to start with it", "pserv start NAME")
        return 0
    if arguments.flag("no-wait"):
        number = len(started.starting)
        terminal.tell(f"the daemon starts {number} {'service' if number == 1 else 'services'}", "pserv status")
        return 0
    request = {"names": started.starting, "for": "settled", "timeout": arguments.seconds("timeout")}
    told = stream.act(lambda: Client(started.socket).stream_raw("wait", request), "start")
    return stream.finish(told, arguments.flag("json"))


class Ordered(BaseException):
    """A signal asked for the end; like KeyboardInterrupt no Exception, so that nothing on the way takes it for one."""


class Foreground:
    """A daemon of our own, which ends with us."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._code: int | None = None

    def run(self, paths: list[str]) -> int:
        """Until all has ended; the daemon's exit code, or that of --exit-code-from."""
        started = launching.start(
            paths,
            socket=self._arguments.text("socket") or "",
            attached=True,
            exit_when=self._arguments.text("exit-when"),
            names=[],
        )
        try:
            services = _declared(started.socket)
            self._check(services)
            from pserv.cli.following import Follower

            follower = Follower(started.socket, services, as_json=self._arguments.flag("json"))
        except BaseException:
            started.release()
            raise
        import signal  # late: what leaves the daemon running has no use for it

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
        from pserv.model.names import is_pattern, no_such, service_of

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
        from pserv.api.client import Client
        from pserv.cli import stream, terminal

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
            from pserv.cli.following import until_ended

            until_ended(socket, watched, self._ended)

    def _ended(self, code: int) -> None:
        import signal

        self._code = code
        os.kill(os.getpid(), signal.SIGTERM)

    def _end(self, started: Started) -> int:
        """Stops in order; a second signal shortens every wait, a third leaves it to the lease."""
        from pserv.api.client import Client
        from pserv.cli import stream, terminal

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
        from pserv.cli import stream, terminal

        screen = terminal.err()
        stream.outcomes(screen, [outcome for outcome in (done or {}).get("outcomes", ()) if not outcome["ok"]])
        screen.stream.flush()


def _order(_number: int, _frame: FrameType | None) -> None:
    raise Ordered
