"""Streams whose target takes nothing: they wait, it is told why, they go on when it flows. No bytes are moved here."""

from __future__ import annotations

import time
from collections.abc import Callable

from pserv.logger.overflow import BLOCK
from pserv.logger.streams import PARKED, WAITING, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.heat import Heat
    from pserv.logger.overflow import Overflow
    from pserv.logger.poller import Poller
    from pserv.logger.targets import Target, TargetError

FULL: Final = 1.0
"""Seconds that a FIFO or terminal may take nothing before that is told."""


class Parking:
    """A target that fails is tried again, ever later; one that is full is waited for, and told of after a while."""

    def __init__(
        self,
        streams: dict[int, Stream],
        heat: Heat,
        poller: Poller,
        overflow: Overflow,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        """`streams`: all that are served, by number; kept by the caller."""
        self._overflow = overflow
        self.troubled: set[Target] = set()
        """To be looked at again, each at its `retry_at`."""
        self._streams = streams
        self._heat = heat
        self._poller = poller
        self._send = send
        self._full: dict[int, Target] = {}

    def park(self, stream: Stream) -> None:
        """Nobody looks at it until its target flows, but for what is to be thrown away."""
        self._heat.park(stream)
        self._overflow.end(stream)
        stream.state = PARKED
        if stream.target.trouble and stream.settings.on_full != BLOCK:
            self._overflow.begin(stream, stream.target.trouble)

    def wake(self, stream: Stream) -> None:
        """The poller tells when it can be read."""
        self._overflow.end(stream)
        stream.state = WAITING
        self._poller.want(stream.fd)

    def fail(self, target: Target, stream: Stream, failure: TargetError) -> None:
        """It could not be opened or written for this stream: told unless it was for the same reason before."""
        if not failure.full:
            target.stale = True
        told, target.trouble = target.trouble == failure.text, failure.text
        target.fail(time.monotonic())
        self.troubled.add(target)
        self._park_all(target)
        if not told:
            for number in target.streams or [stream.id]:
                self._send({"op": "error", "id": number, "path": target.path, "text": failure.text})

    def flow(self, target: Target) -> None:
        """It is written again."""
        told = target.trouble != ""
        target.trouble, target.delay = "", 0.0
        self.troubled.discard(target)
        for number in list(target.streams):
            if told:
                self._send({"op": "restored", "id": number, "path": target.path})
            if self._streams[number].state == PARKED:
                self.wake(self._streams[number])

    def forget(self, target: Target) -> None:
        """Nobody writes to it any more."""
        self._poller.drop(target.fd)
        self._full.pop(target.fd, None)
        self.troubled.discard(target)

    # A FIFO or terminal that nobody reads.

    def is_full(self, target: Target) -> bool:
        return target.fd in self._full

    def fill(self, target: Target) -> None:
        """It would take more later: the poller tells when."""
        self._park_all(target)
        self._full[target.fd] = target
        self._poller.want(target.fd, writing=True)
        target.retry_at = time.monotonic() + FULL
        self.troubled.add(target)

    def tell_full(self, target: Target) -> None:
        """It has been full for a while."""
        self.troubled.discard(target)
        target.trouble = "it is full, and nobody reads it"
        self._park_all(target)
        for number in target.streams:
            self._send({"op": "error", "id": number, "path": target.path, "text": target.trouble})

    def writable(self, fd: int) -> Target | None:
        """The poller says that this can be written: the target, if it is one of the full."""
        target = self._full.pop(fd, None)
        if target is not None:
            self._poller.drop(target.fd)
            self.flow(target)
        return target

    def _park_all(self, target: Target) -> None:
        for number in target.streams:
            self.park(self._streams[number])
