"""What each operation of the table does, by asking one supervisor session. Shapes and paths are in `operations`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import msgspec

from pserv import __version__
from pserv.api import command, own_reloads, reading, reloads, restarting, running, settling, signals
from pserv.api import operations as op
from pserv.api.peer import Peer
from pserv.api.routing import Handler
from pserv.keeper.protocol import PROTOCOL
from pserv.model.errors import NoSuchService, Refused, UsageError
from pserv.model.graph import Graph
from pserv.model.names import service_of
from pserv.model.status import Environment, KeptConfiguration, Launch, Status, Story
from pserv.rules.secrecy import hide, mask
from pserv.rules.selection import select
from pserv.supervisor import waiting
from pserv.supervisor.daemon_status import daemon_status
from pserv.supervisor.main import Session
from pserv.supervisor.placing import placed
from pserv.supervisor.showing import show

STORY_LINES = 10
"""Last lines shown in a story."""


def table(session: Session) -> dict[str, Handler]:
    """The callables of one session, by the name of the operation."""
    handlers = Handlers(session)
    return {operation.name: getattr(handlers, f"do_{operation.name}") for operation in op.OPERATIONS}


class Handlers:
    """One method an operation; a stream is an async generator, or a function that returns one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._supervisor = session.supervisor
        self._orders = session.orders
        self._answers = session.answers

    # -- looking ------------------------------------------------------------------------------------------------

    async def do_status(self, request: op.Names, peer: Peer) -> Status:
        about = await daemon_status(self._session)  # while it is asked, a reload may take services away
        return Status(about, self._answers.rows(self._select(request.names), probes=bool(request.names)))

    async def do_story(self, request: op.Names, peer: Peer) -> list[Story]:
        stories = []
        for name in self._select(request.names):
            if name not in self._supervisor.lives:  # gone since, by a reload
                continue
            story = self._answers.story(name, self._orders.turns.pending(name))
            last = [line async for line in reading.lines(self._session, [name], op.Logs(lines=STORY_LINES))]
            lines = tuple(self._supervisor.hidden(name, line.text) for line in last)
            stories.append(msgspec.structs.replace(story, lines=lines))
        return stories

    async def do_graph(self, request: op.Names, peer: Peer) -> Graph:
        from pserv.supervisor.graph import graph  # only for who asks: the daemon's memory is a promise

        supervisor = self._supervisor
        return graph(self._select(request.names), supervisor.specs, supervisor.lives)

    async def do_show(self, request: op.Names, peer: Peer) -> dict[str, Launch]:
        supervisor = self._supervisor

        def private(name: str) -> tuple[str, ...]:
            return supervisor.document.private.get(service_of(name), ())

        return {
            name: show(name, supervisor.specs[name], supervisor.records[name], supervisor.places, private(name))
            for name in self._select(request.names)
        }

    async def do_environment(self, request: op.Names, peer: Peer) -> dict[str, Environment]:
        from pserv.supervisor.variables import environments  # only for who asks: the daemon's memory is a promise

        return await environments(self._session, self._select(request.names))

    async def do_config(self, request: op.Config, peer: Peer) -> dict[str, object]:
        plain: dict[str, object] = msgspec.to_builtins(self._supervisor.document)
        scales = self._orders.note.scales
        for name, spec in plain.get("services", {}).items():  # type: ignore[attr-defined]
            mask(spec)
            hide(spec, self._supervisor.document.private.get(name, ()))
            if name in scales:
                spec["instances"] = scales[name].count
        if request.origins:
            plain["origins"], plain["trouble"] = await placed(self._session)
        return plain

    async def do_version(self, request: op.Empty, peer: Peer) -> op.Version:
        python = ".".join(map(str, sys.version_info[:3]))
        return op.Version(__version__, python, PROTOCOL, self._session.keeper_version)

    async def do_events(self, request: op.Events, peer: Peer) -> AsyncIterator[op.Progress | op.Dropped]:
        names = set(self._select(request.names)) if request.names else None
        listener = self._supervisor.bus.listen()
        try:
            for change in self._supervisor.history.last(request.lines, names):
                yield op.Progress(change)
            while request.follow:
                item = await listener.get()
                if isinstance(item, int):
                    yield op.Dropped(item)
                elif names is None or item.service in names:
                    yield op.Progress(item)
        finally:
            self._supervisor.bus.leave(listener)

    def do_logs(self, request: op.Logs, peer: Peer) -> AsyncIterator[bytes]:
        return reading.pieces(self._session, self._select(request.names), request)

    # -- acting -------------------------------------------------------------------------------------------------

    def do_start(self, request: op.Act, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        if request.names or request.all:
            names = self._select(request.names)
        else:
            names = [name for name, spec in self._supervisor.specs.items() if spec.autostart]
        self._orders.start(names)
        return settling.settle(self._session, names, request)

    def do_stop(self, request: op.Act, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        names = self._named("stop", request)
        left = self._orders.left_behind(names)
        self._orders.stop(names)
        return settling.settle(self._session, names, request, left)

    def do_restart(self, request: op.Act, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        return restarting.restart(self._session, self._named("restart", request), request)

    async def do_scale(self, request: op.ScaleTo, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        services = self._supervisor.document.services
        for name in request.counts:
            if name not in services:
                select((name,), services)
                raise NoSuchService(f"cannot scale {name}: it is no service", f"pserv scale {service_of(name)}=2")
        fresh, surplus = self._orders.scale(request.counts)
        act = op.Act((), wait=request.wait, timeout=request.timeout)
        message = "" if fresh or surplus else "nothing changed"
        async with aclosing(settling.settle(self._session, [*fresh, *surplus], act, message)) as changes:
            async for item in changes:
                yield item

    async def do_run(self, request: op.RunNow, peer: Peer) -> AsyncIterator[op.Progress | op.Ended]:
        async with aclosing(running.run(self._session, self._only(request.name), request)) as items:
            async for item in items:
                yield item

    def do_wait(self, request: op.Wait, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        names = self._select(request.names)
        if request.until == "rolled":
            return restarting.rolled(self._session, names, request.timeout)
        return settling.wait(self._session, names, waiting.CONDITIONS[request.until], request.timeout)

    async def do_reload(self, request: op.Reload, peer: Peer) -> AsyncIterator[op.Plan | op.Progress | op.Done]:
        async with aclosing(reloads.reload(self._session, request)) as items:
            async for item in items:
                yield item

    async def do_configurations(self, request: op.Empty, peer: Peer) -> list[KeptConfiguration]:
        return await self._session.reloading.kept()

    async def do_reload_service(self, request: op.ReloadService, peer: Peer) -> op.Done:
        return await own_reloads.reload_services(self._session, self._named("reload", op.Act(request.names)))

    async def do_reopen(self, request: op.Empty, peer: Peer) -> op.Done:
        """Once this is answered, nothing is written any more to files that somebody renamed."""
        await self._session.keeper.request({"op": "reopen"})
        self._supervisor.tell("", "log", "log files were opened anew by operator")
        return op.Done(True, ())

    async def do_signal(self, request: op.SendSignal, peer: Peer) -> op.Done:
        names = self._named("signal", op.Act(request.names, request.all))
        return await signals.signal(self._session, names, request)

    def do_down(self, request: op.Down, peer: Peer) -> AsyncIterator[op.Progress | op.Done]:
        names = list(self._supervisor.lives)
        self._orders.shutdown("down by operator")
        if request.hurry:
            self._orders.hurry()
        return settling.wait(self._session, names, waiting.stopped, None)

    async def do_upgrade(self, request: op.Upgrade, peer: Peer) -> op.Done:
        argv = [sys.executable, "-P", "-m", "pserv.boot"]
        await self._session.keeper.request({"op": "upgrade", "keeper": request.keeper, "argv": argv})
        return op.Done(True, message="handing over")

    def do_exec(self, request: op.Execute, peer: Peer) -> AsyncIterator[op.Output | op.Ended]:
        name = next(iter(self._select((request.name,))), "")
        if not name:
            raise Refused(
                f"cannot run a command in {request.name}: it has no instance", f"pserv scale {request.name}=1"
            )
        return command.execute(self._session, name, request)

    # -- what they share ----------------------------------------------------------------------------------------

    def _named(self, verb: str, request: op.Act) -> list[str]:
        if not request.names and not request.all:
            raise UsageError(f"cannot {verb}: no service is named", f"pserv {verb} NAME, or pserv {verb} --all")
        return self._select(request.names)

    def _select(self, names: Iterable[str]) -> list[str]:
        document = self._supervisor.document
        return select(names, self._supervisor.specs, document.services, document.left_out)

    def _only(self, pattern: str) -> str:
        """The one service that is meant. Raises Refused where that are several, or none."""
        names = self._select((pattern,))
        if len(names) != 1:
            meant = f"it means {', '.join(names[:5])}" if names else "it has no instance"
            hint = f"pserv run {names[0]}" if names else f"pserv scale {pattern}=1"
            raise Refused(f"cannot run {pattern}: {meant}", hint)
        return names[0]
