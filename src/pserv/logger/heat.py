"""Streams that print much or often: looked at in turns, so that a write of theirs wakes nobody."""

from __future__ import annotations

from pserv.logger.pipes import resize
from pserv.logger.pump import HOLD_SIZE
from pserv.logger.streams import HOT, WAITING, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.poller import Poller

NAP: Final = 0.001
"""Seconds between two looks at the hot streams; the delay that `logs -f` may see."""
_MUCH: Final = 3 << 14
"""Bytes a turn. Nearly a full pipe of ordinary size (lines never quite fill its 16 pages): the pipe is made larger."""
_LITTLE: Final = 1 << 15
_SOON: Final = 0.002
"""A stream gets hot by bringing little and coming again within so many seconds. Who writes large pieces does not: to
wake up for each costs nothing then, and a nap would have the writer wait."""
_MISSES: Final = 3
_ORDINARY: Final = 1 << 16
_LARGE_PIPES: Final = 16
"""So many pipes at once are made larger, and smaller again when little comes: what an unprivileged user may have is
bounded (pipe(7), pipe-user-pages-soft), and who has used it up gets pipes of one page."""


class Heat:
    """The hot streams of a worker. `again`: look once more at once, to see whether one brings large pieces."""

    __slots__ = ("_large", "_poller", "again", "streams")

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._large = 0
        self.streams: dict[int, Stream] = {}
        self.again = False

    def served(self, stream: Stream, moved: int, now: float) -> None:
        """A stream had its turn and brought so many bytes."""
        much = moved >= _MUCH
        if much and not stream.large:
            self._enlarge(stream)
        if stream.state == HOT:
            stream.misses = 0 if moved else stream.misses + 1
            if stream.misses >= _MISSES or (much and stream.much):
                self.rest(stream)
            elif much:
                self.again = True
        elif moved and moved < _LITTLE:
            if now - stream.last < _SOON:
                self._poller.drop(stream.fd)
                stream.state = HOT
                stream.misses = 0
                self.streams[stream.id] = stream
            elif stream.large:
                self._shrink(stream)
        stream.much = much
        stream.last = now

    def rest(self, stream: Stream) -> None:
        """Back to the poller."""
        self.streams.pop(stream.id, None)
        stream.state = WAITING
        self._poller.want(stream.fd)

    def park(self, stream: Stream) -> None:
        """It is not looked at for now; what fills its pipe may stay there."""
        self._poller.drop(stream.fd)
        self.streams.pop(stream.id, None)

    def forget(self, stream: Stream) -> None:
        """It is not looked at any more."""
        self.park(stream)
        if stream.large:
            self._shrink(stream)

    def _enlarge(self, stream: Stream) -> None:
        if self._large < _LARGE_PIPES and resize(stream.fd, HOLD_SIZE) > _ORDINARY:
            stream.large = True
            self._large += 1

    def _shrink(self, stream: Stream) -> None:
        stream.large = False
        self._large -= 1
        resize(stream.fd, _ORDINARY)
