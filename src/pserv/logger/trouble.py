"""What becomes of all when a target cannot be opened or written, or a write hangs. Who is served is in `traffic`."""

from __future__ import annotations

import time
from collections.abc import Callable

from pserv.logger.overflow import BLOCK, Spilt
from pserv.logger.targets import FILE, Target, TargetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.streams import Stream
    from pserv.logger.traffic import Traffic

SETTLED: Final = 10.0
"""Seconds of undisturbed writing after which a worker that hung gives its stream back."""
_TRIAL: Final = 1 << 16
"""Bytes that are offered to a FIFO or device that failed before."""


class Trouble:
    """Of one worker. What is in the hold pipe has to be written before anything else can come in."""

    def __init__(self, traffic: Traffic, send: Callable[[dict[str, Any]], None]) -> None:
        self._traffic = traffic
        self._send = send
        self.owner: Stream | None = None
        """Whose bytes are in the hold pipe and could not be written."""
        self.settled_at: float | None = None
        """When a worker that hung has flowed for long enough."""
        self._stuck: Stream | None = None
        self._narrow = False

    def attempt(self, target: Target) -> None:
        """Open a target, or try again what it refused; tell of one that has been full for a while."""
        traffic = self._traffic
        if traffic.parking.is_full(target):
            traffic.parking.tell_full(target)
            return
        stream = self.owner if self.owner is not None else traffic.streams[target.streams[0]]
        if stream.target is not target or not traffic.watch.begin(stream):
            return
        failure = None
        try:
            if target.stale:
                traffic.open(target, time.monotonic())
            if self.owner is not None:
                traffic.pump.empty(target)
            elif target.trouble and target.kind is not FILE:
                traffic.pump.turn(stream, _TRIAL)
        except TargetError as error:
            failure = error
        except BlockingIOError:
            pass
        finally:
            traffic.watch.end()
        if failure is not None:
            self.fail(target, stream, failure)
        else:
            self._recover(target)
        self.after_hang(failure is not None)

    def fail(self, target: Target, stream: Stream, failure: TargetError) -> None:
        """It could not be written for this stream; what is in the hold pipe is its."""
        traffic = self._traffic
        traffic.parking.fail(target, stream, failure)
        if traffic.pump.held:
            self.owner = stream
            traffic.watch.keep(stream)
            if self._stuck is None:
                self.hang(stream)

    def _recover(self, target: Target) -> None:
        traffic = self._traffic
        owner, self.owner = self.owner, None
        if owner is not None:
            traffic.pump.journal.record(owner.id, owner.start, owner.printed)
        traffic.parking.flow(target)
        for stream in [traffic.streams[number] for number in target.streams]:
            if stream.spilt is not None:
                traffic.serve(stream)  # the file tells it now, not when something is printed
        if owner is not None:
            traffic.close_unused(target, owner)

    def spill(self, stream: Stream) -> None:
        """Throw away what a target that takes nothing has no place for."""
        if not self._traffic.overflow.spill(stream):
            self._traffic.overflow.end(stream)
            self._traffic.heat.park(stream)
            self._traffic.finish_empty(stream)

    def still(self, stream: Stream) -> None:
        """The same while a write hangs; called as `hang` is."""
        if stream.settings.on_full != BLOCK and stream.fd >= 0:
            stream.spilt = stream.spilt or Spilt("a write did not return")
            self._traffic.overflow.spill(stream)

    def hang(self, stream: Stream) -> None:
        """The bytes in hand cannot be written now: the keeper gives all other streams to another worker.

        Called by the watch, in its thread and holding its lock, or by the worker's own.
        """
        self._stuck = stream
        for target in self._traffic.targets.values():
            if target is not stream.target:
                target.unlock()
        self._send({"op": "stuck", "id": stream.id, "path": stream.target.path, "text": stream.target.trouble})

    def after_hang(self, failed: bool = False) -> None:
        """Once a worker hung it keeps the one stream alone, until it has flowed for a while."""
        traffic = self._traffic
        if traffic.watch.kept is None:
            return
        if not self._narrow:
            self._narrow = True
            for other in list(traffic.streams.values()):
                if other.id != traffic.watch.kept:
                    traffic.pump.journal.forget(other.id)
                    traffic.remove(other)
        if self._stuck is not None and not failed and not traffic.pump.held:
            stream, self._stuck = self._stuck, None
            self.settled_at = time.monotonic() + SETTLED
            self._send({"op": "flowing", "id": stream.id, "path": stream.target.path})
