"""What is told of the daemon itself: versions, pids, and all that is not as it should be. Changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pserv import __version__
from pserv.model.status import DaemonStatus
from pserv.supervisor import unloaded

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


async def daemon_status(session: Session) -> DaemonStatus:
    """A look at the session, a question to the keeper, and one stat for each file of the configuration."""
    reply, _ = await session.keeper.request({"op": "loggers"})
    loggers = reply["pids"]
    supervisor, boot = session.supervisor, session.boot
    return DaemonStatus(
        version=__version__,
        name=supervisor.document.name,
        keeper_pid=boot.keeper_pid,
        supervisor_pid=os.getpid(),
        logger_pid=loggers[0] if loggers else None,
        config=tuple(file.path for file in supervisor.document.files),
        uptime=session.clock.now() - boot.started,
        supervisor_restarts=session.orders.note.restarts,
        safe=session.orders.safe,
        ending=bool(session.orders.note.ending),
        trouble=tuple(_trouble(session)),
        dropped_notices=int(reply.get("dropped", 0)),
        last_traceback=session.last_bug or (session.deaths[-1].get("traceback", "") if session.deaths else ""),
    )


def _trouble(session: Session) -> list[str]:
    told = []
    if session.orders.safe:
        told.append(
            "safe mode: the supervisor died again and again; it serves status, logs and stop, and starts nothing"
        )
    if session.orders.note.ending:
        told.append(f"the daemon is ending: {session.orders.note.ending}")
    told += session.supervisor.document.notes
    told += [text for text in (session.reloading.trouble, session.reloading.unwatched) if text]
    told += unloaded.of_configuration(session.supervisor.document)
    told += unloaded.of_services(session.supervisor.records)
    if session.on_demand.tidying is not None:
        told += session.on_demand.tidying.trouble.values()
    if session.unowned:
        told.append("processes of no known run: " + ", ".join(session.unowned))
    if session.last_bug:
        told.append(f"a bug was met: {session.last_bug.splitlines()[0]}")
    told += [str(text) for text in session.capabilities.get("missing", ())]
    if session.on_demand.disk_trouble:
        told.append(session.on_demand.disk_trouble)
    return told
