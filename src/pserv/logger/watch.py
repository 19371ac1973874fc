"""Notices that the worker's thread hangs in the file system. What to do about it is the worker's affair."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pserv.logger.pump import Pump
    from pserv.logger.streams import Stream

_TICK = 0.1
"""Seconds. Two looks in a row at the same beat mean that one system call has taken longer than 0.1 to 0.2 s; the third
makes it certain that it is over 0.2 s."""


class Watch:
    """A thread that sleeps without a timer while nothing is written.

    The worker calls `begin` before and `end` after all that may hang. `hung` is called in the watching thread, with
    the lock held: the worker cannot go on to anything else before it returns.
    """

    __slots__ = ("_asleep", "_gate", "_hung", "_lock", "_pump", "_started", "current", "kept")

    def __init__(self, pump: Pump, hung: Callable[[Stream], None]) -> None:
        self._pump = pump
        self._hung = hung
        self._lock = threading.Lock()
        self._gate = threading.Semaphore(0)
        self._asleep = True
        self._started = False
        self.current: Stream | None = None
        self.kept: int | None = None
        """Once the worker hung: the id of the only stream that it keeps."""

    def begin(self, stream: Stream) -> bool:
        """Whether the stream may be touched: not if this worker hung and keeps only another."""
        with self._lock:
            if self.kept is not None and self.kept != stream.id:
                return False
            self.current = stream
            self._pump.beat += 1
        if self._asleep:
            self._asleep = False
            self._wake()
        return True

    def end(self) -> None:
        with self._lock:
            self.current = None

    def keep(self, stream: Stream) -> None:
        """The worker keeps only this one from now on."""
        with self._lock:
            self.kept = stream.id

    def _wake(self) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="watch", daemon=True).start()
        self._gate.release()

    def _run(self) -> None:
        while True:
            self._gate.acquire()
            self._look()

    def _look(self) -> None:
        seen, same = -1, 0
        while True:
            time.sleep(_TICK)
            with self._lock:
                beat = self._pump.beat
                if beat != seen:
                    seen, same = beat, 0
                    continue
                if self.current is None:
                    self._asleep = True
                    return
                same += 1
                if same == 2:
                    self.kept = self.current.id
                    self._hung(self.current)
