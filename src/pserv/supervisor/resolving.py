"""When env files and secrets are read, and where the values live: here, and with the keeper for who comes after us.

An operator's start reads them anew, as a step of the service's life; before a restart and a reload they are read
first, so that a source that fails takes nothing down. What runs by itself gets what was read last. No value is in a
document, a note, an event or a file, but in what is delivered as one. How they are read is in `sources`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pserv.keeper import quickjson
from pserv.keeper.protocol import Message
from pserv.model.errors import Refused
from pserv.model.events import Change, Resolved, Unresolved
from pserv.model.names import service_of
from pserv.model.secrets import Values
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import Phase
from pserv.rules import references
from pserv.supervisor import record, sources
from pserv.supervisor.delivering import Delivering
from pserv.supervisor.refreshing import Refreshing
from pserv.supervisor.rereading import Rereading
from pserv.supervisor.sharing import Sharing
from pserv.supervisor.sources import Asked, Unread
from pserv.system.tasks import Task

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


class Resolving:
    """Reads for one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._supervisor = session.supervisor
        self._open: dict[str, Task[None]] = {}
        self._supervisor.bus.call(self._changed)
        self.delivering = Delivering(session)
        self.sharing = Sharing(session.tasks, session.clock.now)
        self.refreshing = Refreshing(session, self)
        self.rereading = Rereading(session, self)

    # A step of a life

    def begin(self, name: str) -> None:
        """Read those of this service, unless that is under way; `Resolved` or `Unresolved` is posted."""
        if name not in self._open:
            task = self._open[name] = self._session.tasks.spawn(self._step(name))
            task.when_done(lambda: self._over(name, task))

    def stop(self) -> None:
        """Read nothing more until the next `look`."""
        for task in list(self._open.values()):
            task.cancel()
        self._open.clear()
        self.refreshing.stop()

    def look(self) -> None:
        """Go on where `stop` was called, or another supervisor died; or as a new configuration says."""
        self.delivering.known(self._supervisor.specs)
        self.refreshing.look()
        for name, life in self._supervisor.lives.items():
            if life.phase is Phase.WAITING and life.anew and not life.resting:
                self.begin(name)

    def _over(self, name: str, task: Task[None]) -> None:
        if self._open.get(name) is task:
            del self._open[name]
        waiting = (life.phase is Phase.WAITING and life.anew for life in self._supervisor.lives.values())
        if not self._open and not any(waiting):
            self.sharing.forget()

    async def _step(self, name: str) -> None:
        why = ""
        while name in self._supervisor.specs:
            spec = self._supervisor.specs[name]
            try:
                values = await self._read(name, spec, self._supervisor.lives[name].since)
                why = ""
            except Unread as unread:
                why = str(unread)
            if self._supervisor.specs.get(name) is spec or why:
                break  # else a reload came between
        self._open.pop(name, None)
        if name not in self._supervisor.specs:
            return
        if why:
            self._supervisor.post(name, Unresolved(why))
        else:
            self.take(name, values)
            self._supervisor.post(name, Resolved())

    def asked(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        since: float | None = None,
        document: Document | None = None,
        only: frozenset[str] | None = None,
    ) -> Asked:
        """What is to be read of a service; by default from now on, and as the configuration is now."""
        private = (document or self._supervisor.document).private.get(service_of(name), ())
        return Asked(spec, self._session.clock.now() if since is None else since, private, only)

    async def _read(self, name: str, spec: ServiceSpec, since: float | None = None) -> Values:
        """Read all of a service, and write what is delivered as files. Raises Unread.

        `since`: services that were told to start together, and wait for others meanwhile, get the same.
        """
        values = await sources.read(self._session, self.asked(name, spec, since=since))
        await self.delivering.deliver(name, spec, values)
        return values

    # Before a restart or a reload

    async def prepare(self, names: Iterable[str]) -> dict[str, str]:
        """Read those of these services for the restart that follows at once; why not, by name."""
        specs = self._supervisor.specs
        read = {name: specs[name] for name in names if name in specs and references.needed(specs[name])}
        failed: dict[str, str] = {}
        for name, outcome in (await self.side_by_side(read)).items():
            try:
                if isinstance(outcome, str):
                    raise Unread(outcome)
                await self.delivering.deliver(name, read[name], outcome)
            except Unread as unread:
                failed[name] = str(unread)
                continue
            if self._supervisor.specs.get(name) is read[name]:
                self.take(name, outcome)
                self._supervisor.records[name].prepared = True
        return failed

    def keep_last(self, name: str, why: str) -> None:
        """Restart it with what was read before."""
        self.trouble(name, why)
        self._supervisor.records[name].prepared = True

    async def first(self, name: str) -> None:
        """Read those of a service that has not been started yet, for a command in its environment. Raises Refused."""
        spec = self._supervisor.specs[name]
        try:
            values = await self._read(name, spec)
        except Unread as unread:
            raise Refused(f"cannot run a command in {name}: {unread}") from None
        if self._supervisor.specs.get(name) is spec:
            self.take(name, values)

    async def side_by_side(
        self, specs: Mapping[str, ServiceSpec], document: Document | None = None
    ) -> dict[str, Values | str]:
        """What was read of each, or why it was not."""
        now = self._session.clock.now()
        asked = {name: self.asked(name, spec, since=now, document=document) for name, spec in specs.items()}
        tasks = {name: self._session.tasks.spawn(self._outcome(each)) for name, each in asked.items()}
        try:
            return {name: await task for name, task in tasks.items()}
        finally:
            for task in tasks.values():
                task.cancel()

    async def _outcome(self, asked: Asked) -> Values | str:
        try:
            return await sources.read(self._session, asked)
        except Unread as unread:
            return str(unread)

    def _changed(self, change: Change) -> None:
        """What is wanted no more is not read on; of a service that is no longer there nothing stays."""
        life = self._supervisor.lives.get(change.service)
        if change.service in self._open and (life is None or life.phase is not Phase.WAITING):
            self._open.pop(change.service).cancel()
        if change.kind == "removed":
            self._session.tasks.spawn(self.delivering.remove(change.service))

    # What is known

    def take(self, name: str, values: Values) -> None:
        """What was read now is what its next run gets."""
        own = self._supervisor.records[name]
        known = own.values, own.unread
        own.take(values)
        if known != (own.values, own.unread):
            self._keep(name)

    def trouble(self, name: str, why: str) -> None:
        """What could not be read anew: the values of the last time serve."""
        own = self._supervisor.records.get(name)
        if own is None or own.unread == why:
            return
        own.unread = why
        self._supervisor.tell(name, "secret", f"{why}; what was read before serves")
        self._keep(name)

    def _keep(self, name: str) -> None:
        own = self._supervisor.records[name]
        values = own.values or Values()
        kept = {"files": values.files, "secrets": values.secrets, "read": values.read, "unread": own.unread}
        note = quickjson.dumps(kept)
        self._session.keeper.do(record.VALUES + name, note)

    def resume(self, rows: Iterable[Message]) -> None:
        """Take what an earlier supervisor had read, and the keeper kept."""
        for row in rows:
            name = str(row["key"]).removeprefix(record.VALUES)
            own = self._supervisor.records.get(name)
            if own is None:
                self._session.keeper.do(str(row["key"]), commands=({"do": "forget"},))
                continue
            try:
                kept = quickjson.loads(row["note"])
                files = tuple((a, b, c) for a, b, c in kept["files"])
                own.values = Values(files, dict(kept["secrets"]), dict(kept.get("read", {})))
                own.unread = kept["unread"]
            except (ValueError, TypeError, KeyError) as error:  # its next run has them read anew
                self._session.bug(f"reading what is kept of the values of {name}", error)
