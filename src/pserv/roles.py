"""The processes that the keeper forks of itself, put together here: the only place that knows both ends of each."""

from __future__ import annotations

import gc
import select
import socket
import sys
from collections.abc import Awaitable, Callable

from pserv import sparing
from pserv.bundle import Bundle
from pserv.system.asking import asker
from pserv.system.store import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.roles import Role
    from pserv.supervisor.main import Session

HELD = ("pserv.model", "pserv.rules", "pserv.supervisor", "pserv.system", "pserv.logger", "pserv.api", "msgspec")
HELD_MODULES = (
    *("pserv.fetching", "pserv.config", "pserv.config.env_files", "pserv.config.files", "pserv.config.findings"),
    *("pserv.config.interpolate", "pserv.config.nodes", "pserv.config.places", "pserv.config.variables"),
)
"""Packages of which a fork imports what the keeper has not. With all of it in the keeper a fork would take half as long
again, and the pages that both then write to would be there twice. Of the code that reads configurations only what
reads env files."""


class Roles:
    """What a fork of the keeper can be, by name. The asker is loaded now, other code is held."""

    def __init__(self) -> None:
        self._bundle = Bundle(HELD, HELD_MODULES)
        self.table: dict[str, Role] = {
            "supervisor": self.supervisor,
            "logger": self.logger,
            "reader": self.reader,
            "store": store,
            "asker": self.asker,
            "tidy": self.tidy,
            "pid_file": self.pid_file,
            "watcher": self.watcher,
            "fetcher": self.fetcher,
        }

    @property
    def descriptors(self) -> set[int]:
        """What a fork needs of its parent's."""
        return self._bundle.descriptors

    def logger(self, channel: socket.socket, argument: str) -> int:
        """A worker of the logger."""
        self._use_held()
        from pserv.logger.main import logger

        return logger(channel, argument)

    def reader(self, channel: socket.socket, argument: str) -> int:
        """A reader of logs, for one who asked."""
        self._use_held()
        from pserv.system import logs

        return logs.reader(channel, argument)

    def tidy(self, channel: socket.socket, argument: str) -> int:
        """The housekeeping of rotated logs."""
        sys.meta_path.insert(0, self._bundle)
        from pserv.system import tidying

        return tidying.tidy(channel, argument)

    def asker(self, channel: socket.socket, argument: str) -> int:
        """One question of a probe; most of what it needs is here already."""
        self._use_held()
        return asker(channel, argument)

    def pid_file(self, channel: socket.socket, argument: str) -> int:
        """Who waits for a pid file."""
        sys.meta_path.insert(0, self._bundle)
        from pserv.system import pid_files

        return pid_files.waiter(channel, argument)

    def watcher(self, channel: socket.socket, argument: str) -> int:
        """Who watches files for all services."""
        sys.meta_path.insert(0, self._bundle)
        from pserv.system import watching

        return watching.watcher(channel, argument)

    def fetcher(self, channel: socket.socket, argument: str) -> int:
        """Who reads env files and secrets."""
        sys.meta_path.insert(0, self._bundle)
        from pserv import fetching

        return fetching.fetcher(channel, argument)

    def supervisor(self, channel: socket.socket, argument: str) -> int:
        """The supervisor, on this channel to the keeper."""
        gc.disable()  # until all is loaded and declared, of which nearly all is kept
        self._use_held()
        sparing.load_msgspec()
        from pserv.supervisor import main

        _use_time(channel)
        return main.supervise(channel, _serve)

    def _use_held(self) -> None:
        sys.meta_path.insert(0, self._bundle)


def _use_time(channel: socket.socket) -> None:
    """At a daemon's start the loader may take longer than we did: what will be needed is got ready until it is done."""
    for prepare in (_types, _api):
        if select.select([channel], [], [], 0)[0]:
            return
        prepare()


def _types() -> None:
    from pserv.model import spec

    spec.prepare()


def _api() -> None:
    from pserv.api import handlers, server  # noqa: F401


def _serve(session: Session, sockets: list[socket.socket]) -> Callable[[], Awaitable[None]]:
    from pserv.api import handlers
    from pserv.api.server import Server

    server = Server(session.tasks, handlers.table(session), on_bug=lambda error: session.bug("an API request", error))
    for listening in sockets:
        server.serve(listening)
    return server.close
