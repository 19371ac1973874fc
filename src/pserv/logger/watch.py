"""Notices that the worker's thread hangs in the file system. What to do about it is the worker's affair.

The thread is a bare one: `threading` would be 0.3 MB in each process of the daemon.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.logger.pump import Pump
    from pserv.logger.streams import Stream

_TICK = 0.1
"""Seconds between two looks at the beat."""
_STILL = 0.02
"""Seconds between two calls of `still`."""
_HUNG = 2
"""So many looks at the same beat after the first: the system call has taken longer than 0.2 s."""


class Watch:
    """A thread that sleeps without a timer while nothing is written.

    The worker calls `begin` before and `end` after all that may hang. `hung` is called in the watching thread, with
    the lock held: the worker cannot go on to anything else before it returns.
    """

    __slots__ = ("_asleep", "_gate", "_hung", "_lock", "_pump", "_started", "_still", "_thread", "current", "kept")

    def __init__(self, pump: Pump, hung: Callable[[Stream], None], still: Callable[[Stream], None]) -> None:
        """`still` is called again and again while it hangs, as `hung` is."""
        self._pump = pump
        self._hung = hung
        self._still = still
        self._lock = _thread.allocate_lock()
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._asleep = True
        self._started = False
        self._thread = _thread.get_native_id()
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
            _thread.start_new_thread(self._run, ())
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
            if same == _HUNG:
                if self._waits():
                    self._tell(seen)
                    self._wait_out(seen)
                else:
                    same = 0

    def _wait_out(self, beat: int) -> None:
        while True:
            with self._lock:
                if self.current is None or self._pump.beat != beat or self.kept != self.current.id:
                    return
                self._still(self.current)
            time.sleep(_STILL)

    def _waits(self) -> bool:
        """Whether the worker's thread waits in a system call; on a machine too busy to run it, it does not."""
        try:
            with open(f"/proc/self/task/{self._thread}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2][:1] != b"R"
        except OSError:
            return True  # the system cannot tell

    def _tell(self, beat: int) -> None:
        with self._lock:
            if self.current is not None and self._pump.beat == beat:
                self.kept = self.current.id
                self._hung(self.current)
