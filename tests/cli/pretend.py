"""A daemon that is none: the API's own server with answers from a test, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from pserv.api.operations import OPERATIONS, Operation
from pserv.api.peer import Peer
from pserv.api.routing import Handler
from pserv.api.server import Server
from pserv.model.states import Goal, State
from pserv.model.status import DaemonStatus, Outcome, ServiceStatus, Status, Story
from pserv.system.futures import Event
from tests.threaded import Threaded

Answer = Callable[[Any], Any]
"""From a request to a reply, for a stream to its lines; what it raises is the reply's error."""
HANG = object()
"""Among the lines of a stream: nothing more comes."""
CUT = object()
"""Among the lines of a stream: the daemon goes away in the middle of it."""


class Daemon:
    """Answers at `path` while the context lasts; remembers `requests` as (operation, request)."""

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        self.path = str(path)
        self.requests: list[tuple[str, Any]] = []
        self.hanging = threading.Event()
        """A stream has come to its HANG."""
        self._answers = answers
        self._loop = Threaded()
        self.bugs = self._loop.bugs
        self._server = Server(
            self._loop.tasks, {row.name: self._handler(row) for row in OPERATIONS}, on_bug=self.bugs.append
        )

    def __enter__(self) -> Daemon:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen(16)
        self._loop.__enter__()
        self._loop.do(lambda: self._server.serve(listening))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.run(self._server.close(0.01))
        self._loop.__exit__()

    def _answer(self, name: str, request: Any) -> Any:
        self.requests.append((name, request))
        return self._answers[name](request)

    def _handler(self, row: Operation) -> Handler:
        async def call(request: Any, peer: Peer) -> Any:
            return self._answer(row.name, request)

        async def stream(request: Any, peer: Peer) -> AsyncIterator[Any]:
            lines: Iterable[Any] = self._answer(row.name, request)
            for line in lines:
                if line is HANG:
                    self.hanging.set()
                    await Event().wait()
                if line is CUT:
                    for connection in list(self._server._connections):
                        connection.abort()
                    return
                yield line

        return stream if row.stream else call


def service(name: str, state: State = State.RUNNING, **fields: Any) -> ServiceStatus:
    """A row; one that runs has a pid and is ready."""
    lives = state is State.RUNNING
    defaults: dict[str, Any] = {
        "goal": Goal.DOWN if state is State.STOPPED else Goal.UP,
        "ready": lives,
        "pid": 4242 if lives else None,
        "uptime": 192.0 if lives else None,
        "cpu": 0.012 if lives else None,
        "memory": 25_270_000 if lives else None,
    }
    return ServiceStatus(name=name, state=state, **(defaults | fields))


def status(*services: ServiceStatus, **daemon: Any) -> Status:
    told = DaemonStatus(version="0.1.0", name="app-123456", keeper_pid=100, supervisor_pid=101, **daemon)
    return Status(told, services)


def story(row: ServiceStatus, **fields: Any) -> Story:
    return Story(service=row, **fields)


def outcome(name: str, *, ok: bool = True, state: State = State.RUNNING, reason: str = "", **fields: Any) -> Outcome:
    return Outcome(name, ok, state, reason, **({"after": 0.8} | fields))
