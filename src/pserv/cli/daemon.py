"""`pserv daemon`: this process becomes the daemon. So little is imported here that it costs the daemon nothing."""

from __future__ import annotations

import os

from pserv.cli import target

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from pserv.cli.parse import Arguments


def daemon(arguments: Arguments) -> int:
    """Runs until it is told to end; the daemon's exit code."""
    from pserv import boot

    if socket := arguments.text("socket"):
        os.environ["PSERV_SOCKET"] = os.path.abspath(socket)
    start = [] if arguments.flag("no-start") else arguments.texts("start") or None
    return boot.daemon(
        target.files(arguments),
        lease_fd=arguments.count("lease-fd", -1),
        ready_fd=arguments.count("ready-fd", -1),
        exit_when=arguments.text("exit-when"),
        start=start,
    )
