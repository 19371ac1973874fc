"""Runs that were missed while no daemon ran: the next times of `missed: run` are kept on disk. Loaded when one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pserv.model.events import Change, Run
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal
from pserv.system import store

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


class Kept(msgspec.Struct, frozen=True):
    """When a service was to run next, and the schedule that says so."""

    at: float
    text: str
    of: str


class Missed:
    """Keeps the times of one session, one write at a time, and makes up for what an earlier daemon could not do."""

    def __init__(self, session: Session, *, resumed: bool) -> None:
        """`resumed`: services are as they were; the times on disk are those of this daemon."""
        self._session = session
        self._kept: dict[str, Kept] = {}
        self._begin = {name for name, spec in session.supervisor.specs.items() if _counts(spec)}
        self._resumed = resumed
        self._writing = False
        self._dirty = False
        self._loaded = False
        session.supervisor.bus.call(self._changed)
        session.tasks.spawn(self._load())

    def _changed(self, change: Change) -> None:
        supervisor = self._session.supervisor
        spec, life = supervisor.specs.get(change.service), supervisor.lives.get(change.service)
        if spec is None or life is None or not _counts(spec):
            if self._kept.pop(change.service, None) is not None:
                self._keep()
            return
        if life.due is not None:
            kept = Kept(life.due.at, life.due.text, life.due.of)
            if self._loaded and self._kept.get(change.service) != kept:
                self._kept[change.service] = kept
                self._keep()
        elif life.goal is Goal.DOWN and not self._session.orders.note.ending and change.service in self._kept:
            del self._kept[change.service]  # an operator stopped its schedule
            self._keep()

    async def _load(self) -> None:
        session = self._session
        asked = {"folder": session.boot.state_dir, "read": store.TIMES}
        data = await session.reloading.exchange(asked, b"")
        try:
            self._kept = msgspec.json.decode(data or b"{}", type=dict[str, Kept])
        except msgspec.MsgspecError as error:
            session.log(f"cannot read the times of missed runs: {error}")
        self._loaded = True
        found = dict(self._kept)
        for name, life in list(session.supervisor.lives.items()):
            if life.due is not None and name in self._begin:
                self._kept[name] = Kept(life.due.at, life.due.text, life.due.of)
        for name in self._begin if not self._resumed else ():
            kept, life = found.get(name), session.supervisor.lives[name]
            same = kept is not None and life.due is not None and life.due.of == kept.of
            if kept is not None and same and life.resting and kept.at <= session.clock.wall():
                by = f"its schedule: the run due at {kept.text} was missed while no daemon ran"
                session.supervisor.post(name, Run(by))
        if self._kept != found:
            self._keep()

    def _keep(self) -> None:
        self._dirty = True
        if not self._writing and self._loaded:
            self._writing = True
            self._session.tasks.spawn(self._write())

    async def _write(self) -> None:
        try:
            while self._dirty:
                self._dirty = False
                asked = {"folder": self._session.boot.state_dir, "write": store.TIMES}
                answer = await self._session.reloading.exchange(asked, msgspec.json.encode(self._kept))
                if answer:
                    self._session.log(answer.decode())
        finally:
            self._writing = False


def _counts(spec: ServiceSpec) -> bool:
    """Whether its missed runs are made up for; `@every` has no time of day that could be missed."""
    return spec.schedule is not None and spec.missed == "run" and not spec.schedule.lower().startswith("@every")


def wanted(specs: dict[str, ServiceSpec]) -> bool:
    return any(_counts(spec) for spec in specs.values())
