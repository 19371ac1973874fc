"""The processes that the keeper forks of itself, put together here: the only place that knows both ends of each."""

from __future__ import annotations

import socket
import sys

# ssl brings 5 MB of libcrypto that nothing here uses; asyncio does without it when it is not there.
_ssl = sys.modules.get("ssl")
sys.modules["ssl"] = None  # type: ignore[assignment]
try:
    import asyncio  # noqa: F401
finally:
    if _ssl is None:
        del sys.modules["ssl"]
    else:
        sys.modules["ssl"] = _ssl

from pserv.api import handlers  # noqa: E402
from pserv.api.server import Server  # noqa: E402
from pserv.logger.main import logger  # noqa: E402
from pserv.supervisor import main  # noqa: E402
from pserv.system.logs import reader  # noqa: E402
from pserv.system.store import store  # noqa: E402


async def _serve(session: main.Session, sockets: list[socket.socket]) -> Server:
    server = Server(handlers.table(session), on_bug=lambda error: session.bug("an API request", error))
    for listening in sockets:
        await server.serve(listening)
    return server


def supervisor(channel: socket.socket, argument: str) -> int:
    """The supervisor, on this channel to the keeper."""
    return main.supervise(channel, _serve)


ROLES = {"supervisor": supervisor, "logger": logger, "reader": reader, "store": store}
