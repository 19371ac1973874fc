"""When rotated logs are to be compressed or removed, and what came of it. It is done by `system.tidying`, elsewhere."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

from pserv.keeper import quickjson
from pserv.model.errors import PservError
from pserv.supervisor.errands import read_all
from pserv.system import launches
from pserv.system.store import OWN_LOG
from pserv.system.streams import Reader

if TYPE_CHECKING:
    from pserv.supervisor.main import Session
    from pserv.supervisor.supervisor import Supervisor
    from pserv.system.timers import Timer

LONGEST: Final = 3600.0
"""Seconds after which ages are looked at again, in case the clock was set, while anything has an age limit."""
SHORTEST: Final = 1.0
"""Seconds from the end of one round to the next."""


class Tidying:
    """One round at a time; what is rotated meanwhile is for the next. `trouble` by path: what could not be done."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._changed: set[str] | None = set()
        """Logs to look at; None: all."""
        self._busy = False
        self._alarm: Timer | None = None
        self.trouble: dict[str, str] = {}

    def look(self) -> None:
        """Look at all logs: at a start, when others are declared, and when something gets too old."""
        self._changed = None
        self._begin()

    def rotated(self, path: str) -> None:
        """One was rotated."""
        if self._changed is not None:
            self._changed.add(path)
        self._begin()

    def _begin(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._busy:
            self._busy = True
            self._session.tasks.spawn(self._rounds())

    async def _rounds(self) -> None:
        following: float | None = None
        try:
            while self._changed is None or self._changed:
                changed, self._changed = self._changed, set()
                following = await self._round(changed)
                if self._changed is None or self._changed:
                    await self._session.tasks.sleep(SHORTEST)
        except (PservError, OSError, ValueError) as error:
            self._session.log(f"cannot tidy up rotated logs: {error}")
            following = LONGEST
        finally:
            self._busy = False
        if following is not None:
            self._alarm = self._session.tasks.after(min(max(following, SHORTEST), LONGEST), self.look)

    async def _round(self, changed: set[str] | None) -> float | None:
        """Have it done; seconds until something is too old."""
        logs, together = wanted(self._session.supervisor)
        if changed is not None:
            logs = [log for log in logs if log["path"] in changed or log["rotate"].get("max_age")]
            together = [group for group in together if not changed.isdisjoint(group["paths"])]
        if not logs and not together:
            self.trouble = {} if changed is None else self.trouble
            return None
        argument = quickjson.dumps({"logs": logs, "together": together})
        _, fds = await self._session.keeper.request({"op": "fork", "role": "tidy", "argument": argument})
        async with Reader(self._session.tasks, socket.socket(fileno=fds[0])) as reader:
            answer = quickjson.loads((await read_all(reader)).decode())
        looked_at = {log["path"] for log in logs}.union(*(group["paths"] for group in together))
        kept = {} if changed is None else {path: t for path, t in self.trouble.items() if path not in looked_at}
        for path, text in answer["trouble"].items():
            if self.trouble.get(path) != text:
                self._session.supervisor.tell("", "log", text)
        self.trouble = {**kept, **answer["trouble"]}
        following = answer["next"]
        return None if following is None else float(following)


def wanted(supervisor: Supervisor) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each log that somebody must tidy up, with how; and each group of logs that may only be so large together.

    What is only kept by number and size its writer removes itself, and one file alone it keeps below its total.
    """
    logs: dict[str, dict[str, Any]] = {}
    together: list[dict[str, Any]] = []
    everything = [os.path.join(os.path.dirname(supervisor.places.logs), OWN_LOG)]
    for name, spec in supervisor.specs.items():
        rotate, message = spec.log.rotate, spec.log.rotate.message()
        paths = [path for _, path in launches.log_files(name, spec, supervisor.places)]
        everything += paths
        if message is None:
            continue
        if rotate.max_total and len(paths) > 1:
            together.append({"paths": paths, "most": rotate.max_total, "active": rotate.size})
        if rotate.compress != "none" or rotate.max_age is not None:
            compress = {} if rotate.compress == "none" else {"compress": rotate.compress}
            logs |= {path: {"path": path, "rotate": message, **compress} for path in paths}
    if supervisor.document.daemon.log_total:
        paths = list(dict.fromkeys(everything))
        together.append({"paths": paths, "most": supervisor.document.daemon.log_total, "active": 0})
    return list(logs.values()), together
