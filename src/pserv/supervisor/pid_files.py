"""Who waits for the pid files of services that went to the background: a fork of the keeper for each, while it is due.

What is to be waited for follows from specs and lives alone, as with probes: a new supervisor waits for the same.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pserv.keeper import quickjson
from pserv.model.errors import PservError
from pserv.model.events import Change, MainUnknown
from pserv.model.states import Phase
from pserv.system.streams import Reader
from pserv.system.tasks import Task

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

_PAUSE = 1.0
"""Seconds until it is asked again after it could not be."""


class PidFiles:
    """Keeps a task for each pid file that is waited for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: dict[str, tuple[int, str, Task[None]]] = {}
        session.supervisor.bus.call(self._changed)

    def look(self) -> None:
        """Compare all that is to be waited for with what is: after a resume."""
        for name in {*self._session.supervisor.lives, *self._waiting}:
            self._look_at(name)

    def stop(self) -> None:
        """Wait for nothing more until the next `look`."""
        for _, _, task in self._waiting.values():
            task.cancel()
        self._waiting.clear()

    def _changed(self, change: Change) -> None:
        if change.service:
            self._look_at(change.service)

    def _look_at(self, name: str) -> None:
        supervisor = self._session.supervisor
        spec, life = supervisor.specs.get(name), supervisor.lives.get(name)
        wanted = None
        if spec is not None and spec.pid_file and life is not None and life.forked and life.phase is Phase.STARTING:
            wanted = life.run, spec.pid_file
        known = self._waiting.get(name)
        if known is not None and known[:2] != wanted:
            known[2].cancel()
            del self._waiting[name]
            known = None
        if wanted is not None and known is None:
            self._waiting[name] = (*wanted, self._session.tasks.spawn(self._wait(name, *wanted)))

    async def _wait(self, name: str, run: int, path: str) -> None:
        """Until it is cancelled, since the run goes on or has ended."""
        session = self._session
        asked = quickjson.dumps({"path": path, "user": session.supervisor.specs[name].user})
        while True:
            try:
                _, fds = await session.keeper.request({"op": "fork", "role": "pid_file", "argument": asked})
                async with Reader(session.tasks, socket.socket(fileno=fds[0])) as reader:
                    while line := await reader.readline():
                        self._told(name, run, quickjson.loads(line.decode()))
                why = "who looked at it has ended, and looks again"
            except (PservError, OSError) as error:
                why = f"cannot look at it: {error}"
            session.supervisor.post(name, MainUnknown(run, why))
            await session.tasks.sleep(_PAUSE)

    def _told(self, name: str, run: int, found: dict[str, int | str]) -> None:
        if "pid" in found:
            command = {"do": "adopt", "run": run, "pid": found["pid"]}
            self._session.keeper.do(name, commands=(command,))
        else:
            self._session.supervisor.post(name, MainUnknown(run, str(found["why"])))
