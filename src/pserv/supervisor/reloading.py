"""From files to what runs: load, compare, tell the plan, apply. What differs is decided in `rules.reload`."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from pserv import __version__
from pserv.keeper import memory, quickjson
from pserv.model import spec
from pserv.model.errors import PservError, Refused
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document
from pserv.model.status import ReloadStep
from pserv.rules import references, reload
from pserv.supervisor.errands import read_all
from pserv.system import launches, store
from pserv.system.futures import Lock
from pserv.system.streams import Reader, send_all

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

LOAD_TIMEOUT = 60.0
"""Seconds that reading the files may take (a dead network mount)."""


class Reloading:
    """Brings a changed configuration in; one at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()

    async def plan(
        self, *, previous: bool, profiles: tuple[str, ...] | None = None
    ) -> tuple[Document, tuple[ReloadStep, ...]]:
        """The configuration that would be applied, and what it would do. Raises InvalidConfig with all mistakes."""
        session = self._session
        document = await (self._previous() if previous else self._load(profiles))
        old, new = session.orders.expanded(session.supervisor.document), session.orders.expanded(document)
        steps = tuple(reload.diff(old, new))
        if any(references.needed(spec) for spec in new.services.values()):
            steps = await session.resolving.compare(document, new.services, steps)
        return document, steps

    async def apply(self, document: Document, by: str) -> None:
        """Make it the accepted configuration and start what follows from it. Raises Refused while the daemon ends."""
        session = self._session
        if session.orders.note.ending:
            raise Refused(f"cannot reload: the daemon is ending ({session.orders.note.ending})")
        async with self._lock:
            expanded = session.orders.expanded(document).services
            referring = any(references.needed(spec) for spec in expanded.values())
            values = await session.resolving.deliver_planned(document, expanded) if referring else {}
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
            session.orders.declare(document)
            if values:
                session.resolving.adopt_planned(values)
            supervisor.tell("", "reload", f"configuration applied ({by})")
            session.orders.align(by)
            session.watch_clock()
            session.tidy_up()
            session.prober.look()
            session.watch_files()
            session.resolve_all()
            await self._keep(data)

    async def by_signal(self) -> None:
        """SIGHUP: as `pserv reload`, with the mistakes in events and log."""
        try:
            document, _ = await self.plan(previous=False)
            await self.apply(document, "reload by SIGHUP")
        except PservError as error:
            self._session.log(f"{error.message}; the running configuration stays")
            self._session.supervisor.tell("", "reload", f"refused: {error.message}")
        except Exception as error:
            self._session.bug("reload by SIGHUP", error)

    async def _load(self, profiles: tuple[str, ...] | None) -> Document:
        session = self._session
        files = list(session.boot.files)
        launch = {
            "argv": [sys.executable, "-P", "-m", "pserv.config.loader"],
            "env": {},
            "inherit": True,
            "cwd": session.boot.cwd,
            "stdin": "passed",
            "stdout": {"kind": "passed"},
            "stderr": {"kind": "passed"},
        }
        wanted = session.supervisor.document.profiles if profiles is None else profiles
        request = quickjson.dumps({"files": files, "profiles": wanted}).encode()
        output, ended = await session.errands.collect("loader", launch, request, LOAD_TIMEOUT)
        return _accepted(output, ended)

    async def _previous(self) -> Document:
        data = await self.exchange({"folder": self._session.boot.state_dir, "read": store.PREVIOUS}, b"")
        if not data:
            raise Refused("cannot go back: there was no configuration before this one")
        try:
            return spec.decode(data)
        except msgspec.MsgspecError as error:
            raise Refused(f"cannot go back: the previous configuration is of another version ({error})") from None

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


def _accepted(output: bytes, ended: dict[str, object]) -> Document:
    try:
        answer = quickjson.loads(output.decode())
    except ValueError:
        how = ended.get("code") if ended.get("code") is not None else ended.get("detail") or ended.get("signal")
        raise PservError(
            f"cannot load the configuration: the loader gave no answer (it ended with {how})",
            "`pserv check` shows what it would say",
        ) from None
    if answer.get("mistakes"):
        raise InvalidConfig(msgspec.convert(tuple(answer["mistakes"]), tuple[Mistake, ...]))
    if answer.get("pserv") != __version__:
        raise Refused(
            f"cannot reload: pserv {answer.get('pserv')} is installed, the daemon runs {__version__}", "pserv upgrade"
        )
    return msgspec.convert(answer["document"], Document)
