"""Secrets with a `refresh`, read again while their service runs, and what follows from another value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pserv.model.errors import Refused
from pserv.model.events import Change
from pserv.model.secrets import Values
from pserv.model.spec import ServiceSpec
from pserv.model.states import Phase
from pserv.model.units import parse_signal
from pserv.rules.decision import signal_name
from pserv.supervisor import given, sources
from pserv.supervisor.sources import Unread
from pserv.system.timers import Timer

if TYPE_CHECKING:
    from pserv.supervisor.main import Session
    from pserv.supervisor.resolving import Resolving

_RUNS = (Phase.STARTING, Phase.RUNNING)


class Refreshing:
    """A timer for each service that runs and has such a secret: nothing else wakes up for it."""

    def __init__(self, session: Session, resolving: Resolving) -> None:
        self._session = session
        self._supervisor = session.supervisor
        self._resolving = resolving
        self._due: dict[str, dict[str, float]] = {}
        """When each of its secrets is read again, by service, on the monotonic clock."""
        self._timers: dict[str, Timer] = {}
        self._busy: set[str] = set()
        self._supervisor.bus.call(self._changed)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def look(self) -> None:
        """What runs has all its time again: after a resume, and with a new configuration."""
        for name in {*self._supervisor.lives, *self._due}:
            self._look_at(name)

    def _changed(self, change: Change) -> None:
        if change.service and change.kind in ("state", "removed"):
            self._look_at(change.service)

    def _look_at(self, name: str) -> None:
        """Begin, go on or end, as its life and its spec say."""
        life, spec = self._supervisor.lives.get(name), self._supervisor.specs.get(name)
        every = {} if spec is None else {each: its.refresh for each, its in spec.secrets.items() if its.refresh}
        if life is None or life.phase not in _RUNS:
            every = {}
        now, known = self._session.tasks.time(), self._due.pop(name, {})
        due = {each: min(known.get(each, now + period), now + period) for each, period in every.items()}
        if due:
            self._due[name] = due
        self._arm(name)

    def _arm(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        due = self._due.get(name)
        if due and name not in self._busy:
            self._timers[name] = self._session.tasks.at(min(due.values()), partial(self._ring, name))

    def _ring(self, name: str) -> None:
        del self._timers[name]
        now = self._session.tasks.time()
        names = frozenset(each for each, at in self._due.get(name, {}).items() if at <= now)
        spec = self._supervisor.specs.get(name)
        if spec is None or not names:
            self._arm(name)
            return
        for each in names:
            self._due[name][each] = now + (spec.secrets[each].refresh or 0.0)
        self._busy.add(name)
        self._session.tasks.spawn(self._refresh(name, spec, names)).when_done(lambda: self._done(name))

    def _done(self, name: str) -> None:
        self._busy.discard(name)
        self._arm(name)

    async def _refresh(self, name: str, spec: ServiceSpec, names: frozenset[str]) -> None:
        own = self._supervisor.records[name]
        try:
            read = await sources.read(self._session, self._resolving.asked(name, spec, only=names))
            old = own.values or Values()
            values = replace(old, secrets={**old.secrets, **read.secrets})
            changed = sorted(each for each in names if old.secrets.get(each) != read.secrets[each])
            if changed:
                await self._resolving.delivering.deliver(name, spec, values)
        except Unread as unread:
            self._resolving.trouble(name, str(unread))
            return
        if self._supervisor.specs.get(name) is not spec:
            return  # a reload came between, which read all of it
        self._resolving.take(name, values)
        if changed:
            self._follow(name, spec, changed)

    def _follow(self, name: str, spec: ServiceSpec, changed: list[str]) -> None:
        """Restart it, or tell it, or do nothing; another value of the same secrets is then no reason for a restart."""
        supervisor, own = self._supervisor, self._supervisor.records[name]
        what = f"secret {', '.join(changed)} changed"
        wanted = {spec.secrets[each].on_change for each in changed}
        if "restart" in wanted and spec.schedule is None:
            own.prepared = True
            try:
                self._session.orders.restart([name], what)
            except Refused as refused:
                own.prepared = False
                supervisor.tell(name, "secret", f"{what}: {refused}")
            return
        own.launched = given.fingerprint(name, spec, own, supervisor.places)
        supervisor.told(name, (), keep=True)
        run = supervisor.lives[name].run
        told = []
        for number in sorted(parse_signal(word) for word in wanted - {"restart", "none"}):
            command = {"do": "signal", "run": run, "signal": number, "scope": "main"}
            self._session.keeper.do(name, commands=(command,))
            told.append(f"sent {signal_name(number)}")
        supervisor.tell(name, "secret", f"{what}: {', '.join(told) or 'its next run gets it'}")
