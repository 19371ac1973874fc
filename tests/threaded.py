"""A loop of the daemon's in a thread of a test, and a way to have it do something from outside."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any, Self

from pserv.keeper.loop import READ
from pserv.system.futures import Event
from pserv.system.tasks import Tasks

PATIENCE = 20.0
"""Seconds after which a test that waits has failed."""


class Threaded:
    """`with Threaded() as thread`: `tasks` runs in the thread; only `call` and `run` may be used from another one."""

    def __init__(self) -> None:
        self.bugs: list[Exception] = []
        self.tasks = Tasks(self._bug)
        self._end = Event()
        self._wanted: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self.tasks.watch(self._wake_read, READ, self._woken)
        self._thread = threading.Thread(target=lambda: self.tasks.run(self._end.wait()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._end.set)
        self._thread.join(PATIENCE)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def call(self, callback: Callable[[], None]) -> None:
        """Have it called in the loop."""
        self._wanted.append(callback)
        os.write(self._wake_write, b"x")

    def do(self, function: Callable[[], Any]) -> Any:
        """What a function returns that is called in the loop."""

        async def call() -> Any:
            return function()

        return self.run(call())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that is run in the loop."""
        outside: futures.Future[Any] = futures.Future()

        async def told() -> None:
            try:
                outside.set_result(await coroutine)
            except BaseException as error:
                outside.set_exception(error)

        def begin() -> None:
            self.tasks.spawn(told())

        self.call(begin)
        return outside.result(PATIENCE)

    def _woken(self, _events: int) -> None:
        os.read(self._wake_read, 1 << 16)
        while self._wanted:
            self._wanted.popleft()()

    def _bug(self, where: str, error: Exception) -> None:
        self.bugs.append(error)
