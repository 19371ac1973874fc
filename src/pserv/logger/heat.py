"""Streams that print much or often: looked at in turns, so that a write of theirs wakes nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pserv.logger.pump import HOLD_SIZE, resize
from pserv.logger.streams import HOT, WAITING, Stream

if TYPE_CHECKING:
    from pserv.logger.poller import Poller

import os
NAP: Final = float(os.environ.get('NAP','0.001'))
"""Seconds between two looks while the hot ones bring little; the delay that `logs -f` may see."""
import os
_FULL: Final = 3 << 14
_MUCH: Final = int(os.environ.get("MUCH","131072"))
"""Bytes a turn; from there on the next look follows at once."""
_WARM: Final = 4096
_SOON: Final = 0.002
"""A stream gets hot by so many bytes in a turn, or by coming again within so many seconds."""
_MISSES: Final = 3
_FULL_TURNS: Final = 2
_ORDINARY: Final = 1 << 16
_LARGE_PIPES: Final = 16
"""So many hot pipes at once are made larger, and smaller again when they cool down: what an unprivileged user may have
is bounded (pipe(7), pipe-user-pages-soft), and who has used it up gets pipes of one page."""


class Heat:
    """The hot streams of a worker. `busy`: the last look brought much."""

    __slots__ = ("_large", "_poller", "busy", "streams")

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._large = 0
        self.streams: dict[int, Stream] = {}
        self.busy = False

    def served(self, stream: Stream, moved: int, now: float) -> None:
        """A stream had its turn and brought so many bytes."""
        if moved >= (_MUCH if stream.large else _FULL):
            self.busy = True
            stream.full += 1
            if stream.full == _FULL_TURNS:
                self._enlarge(stream)
        if stream.state == HOT:
            stream.misses = 0 if moved else stream.misses + 1
            if stream.misses >= _MISSES:
                self.rest(stream)
        elif moved >= _WARM or (moved and now - stream.last < _SOON):
            self._poller.drop(stream.fd)
            stream.state = HOT
            stream.misses = 0
            self.streams[stream.id] = stream
        stream.last = now

    def rest(self, stream: Stream) -> None:
        """Back to the poller."""
        self.forget(stream)
        stream.state = WAITING
        self._poller.want(stream.fd)

    def forget(self, stream: Stream) -> None:
        """It is not looked at any more."""
        self._poller.drop(stream.fd)
        self.streams.pop(stream.id, None)
        stream.full = 0
        if stream.large:
            stream.large = False
            self._large -= 1
            resize(stream.fd, _ORDINARY)

    def _enlarge(self, stream: Stream) -> None:
        if self._large < _LARGE_PIPES and resize(stream.fd, HOLD_SIZE) > _ORDINARY:
            stream.large = True
            self._large += 1
