"""From files to what runs: load, compare, tell the plan, apply. What differs is decided in `rules.reload`."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from pserv.keeper import memory, quickjson
from pserv.model import spec
from pserv.model.errors import PservError, Refused
from pserv.model.mistakes import InvalidConfig
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import Goal, Phase
from pserv.model.status import KeptConfiguration, OptionChange, ReloadStep
from pserv.rules import references, reload
from pserv.supervisor import given, loader
from pserv.supervisor.errands import read_all
from pserv.supervisor.record import Record
from pserv.supervisor.supervisor import WITHOUT_A_RUN
from pserv.system import launches, store
from pserv.system.futures import Lock
from pserv.system.streams import Reader, send_all

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

LOAD_TIMEOUT = 60.0
"""Seconds that reading the files may take (a dead network mount)."""


class NotNeeded(Exception):
    """What was to be read was read meanwhile."""


class Plan(msgspec.Struct, frozen=True):
    """A configuration that is accepted but not applied, and what it would do. `services`: a spec for each instance."""

    before: Document
    document: Document
    services: dict[str, ServiceSpec]
    steps: tuple[ReloadStep, ...]
    daemon: tuple[OptionChange, ...]
    notes: tuple[str, ...] = ()

    @property
    def touched(self) -> list[str]:
        """Services that are started or restarted."""
        return [step.service for step in self.steps if step.action in ("add", "restart") and not step.later]

    @property
    def text(self) -> str:
        """What it does in a line: "web restart, worker live, 3 unchanged"."""
        told = [
            f"{step.service} {'changed' if step.later else step.action}"
            for step in self.steps
            if step.action != "unchanged"
        ]
        told += ["daemon live"] if self.daemon else []
        if not told:
            return "nothing changed"
        more = [f"{len(told) - _TOLD} more"] if len(told) > _TOLD else []
        return ", ".join([*told[:_TOLD], *more])


_TOLD = 10
"""So many services stand in an event."""


class Reloading:
    """Brings a changed configuration in; one at a time, from the first look at the files to the end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self.trouble = ""
        """Why the files were refused when nobody was there to be told, until some are accepted."""
        self.private: dict[str, tuple[str, ...]] = {}
        """Options that were made with what looks secret in a configuration before: a run that lives may have got it."""
        self.unwatched = ""
        """What is wrong with watching the files."""

    async def bring(
        self,
        by: str,
        *,
        back: int = 0,
        profiles: tuple[str, ...] | None = None,
        dry_run: bool = False,
        allowed: Callable[[Plan], None] = lambda plan: None,
        begins: Callable[[], None] = lambda: None,
    ) -> Plan:
        """Make the files, or the configuration `back` before, the accepted one, and start what follows from it.

        All is read and checked before the first change, also by `allowed`, which may raise. Raises InvalidConfig with
        all mistakes, and Refused; then nothing has changed. `begins` is called when it is its turn, and may raise.
        """
        async with self._lock:
            begins()
            plan = await self._plan(back=back, profiles=profiles)
            allowed(plan)
            if not dry_run:
                await self._apply(plan, by)
            return plan

    async def restore(self, document: Document, by: str) -> Plan:
        """Make a configuration that was accepted before the accepted one again."""
        async with self._lock:
            plan = await self._compared(document, {})
            await self._apply(plan, by)
            return plan

    async def _plan(self, *, back: int, profiles: tuple[str, ...] | None) -> Plan:
        if back:
            document, note = await self.earlier(back)
            return await self._compared(document, {}, note)
        return await self._compared(*await loader.load(self._session, profiles))

    async def _compared(self, document: Document, origins: reload.Origins, *notes: str) -> Plan:
        session = self._session
        running, services = session.supervisor.document, session.orders.declared.expanded(document)
        old = msgspec.structs.replace(running, services=session.orders.declared.specs)
        new = msgspec.structs.replace(document, services=services)
        daemon = reload.daemon_changes(running, document, origins)
        steps = reload.diff(old, new, origins)
        if any(references.needed(each) for each in services.values()):
            steps, unread = await session.on_demand.resolving.rereading.compare(document, services, steps)
            notes = (*notes, *unread)
        steps = tuple(self._told(self._timed(step)) for step in steps)
        return Plan(running, document, services, steps, daemon, (*notes, *document.notes))

    def _timed(self, step: ReloadStep) -> ReloadStep:
        """With whether it is for the next start alone, as nothing of it runs now."""
        life = self._session.supervisor.lives.get(step.service)
        if step.action != "restart" or life is None:
            return step
        failing = life.goal is Goal.UP and life.phase in (Phase.BACKOFF, Phase.FAILED)
        return step if failing or life.phase not in WITHOUT_A_RUN else msgspec.structs.replace(step, later=True)

    def _told(self, step: ReloadStep) -> ReloadStep:
        """Without what was read of secrets and env files, should it be written literally now, or have been."""
        own = self._session.supervisor.records.get(step.service)
        if own is None or not own.known or not step.details:
            return step
        private = frozenset(f"env.{name}" for values in own.known for name, _, _ in values.files)
        details = tuple(
            msgspec.structs.replace(each, old=_without(own, each.old), new=_without(own, each.new))
            for each in (reload.hidden(each, private) for each in step.details)
        )
        changes = tuple(given.hidden(own, text) for text in step.changes)
        return msgspec.structs.replace(step, details=details, changes=changes)

    async def _apply(self, plan: Plan, by: str) -> None:
        """Raises Refused while the daemon ends."""
        session, document = self._session, plan.document
        if session.orders.note.ending:
            raise Refused(f"cannot reload: the daemon is ending ({session.orders.note.ending})")
        referring = any(references.needed(each) for each in plan.services.values())
        values = await session.on_demand.resolving.rereading.deliver(document, plan.services) if referring else {}
        data = spec.encode(document)
        fd = memory.holding(data)
        try:
            session.keeper.send({"op": "configure", "shutdown_timeout": document.daemon.shutdown_timeout}, (fd,))
        finally:
            os.close(fd)
        supervisor = session.supervisor
        supervisor.places = launches.places(
            document,
            session.boot.state_dir,
            container=session.boot.keeper_pid == 1,
            cookie=session.boot.cookie,
            run_dir=session.boot.run_dir,
        )
        self.trouble = ""
        self.private |= plan.before.private
        session.orders.try_out(())
        session.orders.declare(document)
        if values:
            session.on_demand.resolving.rereading.adopt(values)
        supervisor.tell("", "reload", f"configuration applied ({by}): {plan.text}")
        session.orders.align(by)
        session.on_demand.watch_clock()
        session.on_demand.tidy_up()
        session.prober.look()
        session.on_demand.watch_files()
        session.on_demand.resolve_all()
        await self._keep(data)

    async def by_itself(self, by: str, *, begins: Callable[[], None] = lambda: None) -> None:
        """As `pserv reload` for nobody who waits, with the mistakes in events, status and log."""
        try:
            await self.bring(by, begins=begins)
        except NotNeeded:
            pass
        except PservError as error:
            self.trouble = f"{by}: refused, the running configuration stays: {_first(error)}"
            self._session.log(f"{by}: {error.message}; the running configuration stays")
            self._session.supervisor.tell("", "reload", f"refused ({by}): {error.message}")
        except Exception as error:
            self._session.bug(by, error)

    async def earlier(self, back: int) -> tuple[Document, str]:
        """The configuration that was accepted so many before this one, and which that is. Raises Refused."""
        kept = await self.kept()
        if not kept:
            raise Refused("cannot go back: there was no configuration before this one")
        if back > len(kept):
            raise Refused(
                f"cannot go back by {back}: {len(kept)} earlier configurations are kept", "pserv reload --list"
            )
        found = kept[back - 1]
        names = {"folder": self._session.boot.state_dir, "read": store.previous(found.number)}
        try:
            document = spec.decode(await self.exchange(names, b""))
        except msgspec.MsgspecError as error:
            raise Refused(f"cannot go back: that configuration is of another version ({error})") from None
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.at))
        return document, f"back to the configuration that was accepted at {at}"

    async def kept(self) -> list[KeptConfiguration]:
        """Earlier configurations, the last one first."""
        asked = {"folder": self._session.boot.state_dir, "kept": "all"}
        return msgspec.json.decode(await self.exchange(asked, b""), type=list[KeptConfiguration])

    async def _keep(self, data: bytes) -> None:
        try:
            answer = await self.exchange({"folder": self._session.boot.state_dir}, data)
        except (PservError, OSError, TimeoutError) as error:
            answer = f"cannot keep the configuration: {error}".encode()
        if answer:
            self._session.log(answer.decode())
            self._session.supervisor.tell("", "reload", answer.decode())

    async def exchange(self, asked: dict[str, str], data: bytes) -> bytes:
        """Read or write a file of the state folder, in a fork of the keeper. The text of an error, or what was read."""
        _, fds = await self._session.keeper.request({"op": "fork", "role": "store", "argument": quickjson.dumps(asked)})
        sock = socket.socket(fileno=fds[0])
        async with Reader(self._session.tasks, sock) as reader, self._session.tasks.timeout(LOAD_TIMEOUT):
            await send_all(self._session.tasks, sock, data)
            sock.shutdown(socket.SHUT_WR)
            return await read_all(reader)


def _without(own: Record, text: str | None) -> str | None:
    return None if text is None else given.hidden(own, text)


def _first(error: PservError) -> str:
    """The error in a line: the first mistake, and how many more there are."""
    if not isinstance(error, InvalidConfig):
        return error.message
    first = str(error.mistakes[0]).partition("\n")[0]
    more = len(error.mistakes) - 1
    return f"{first} (and {more} more; `pserv check` shows them)" if more else first
