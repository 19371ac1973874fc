"""`pserv up`: apply the file, start what is down, follow the output; or with -d leave it running."""

from __future__ import annotations

import os

from pserv.cli import launching, target
from pserv.model.errors import PservError, Unreachable, UsageError

# A new daemon is a fork of this process: what talks to one is imported after that.

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from pserv.cli.launching import Started
    from pserv.cli.parse import Arguments


def up(arguments: Arguments) -> int:
    """Every mistake of the files is told before anything is touched: by the daemon, as only it reads them."""
    if arguments.text("exit-code-from") and arguments.flag("detach"):
        raise UsageError("cannot use --exit-code-from with -d: nobody would wait for the code", "pserv up without -d")
    paths = target.files(arguments)
    socket = target.socket(arguments)
    if _running(socket, paths):
        from pserv.cli.joining import join

        return join(arguments, socket)
    detach = arguments.flag("detach")
    started = launching.start(
        paths,
        socket=arguments.text("socket") or "",
        attached=not detach,
        exit_when=arguments.text("exit-when"),
        names=(arguments.words or None) if detach else [],
    )
    if detach:
        return _detached(arguments, started)
    from pserv.cli.foreground import Foreground

    return Foreground(arguments, started).run()


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


def _detached(arguments: Arguments, started: Started) -> int:
    """Waits until what it starts by itself has settled."""
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
