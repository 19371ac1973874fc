"""Which streams are limited, and when what was dropped of them is told: to their files and to the keeper."""

from __future__ import annotations

import time
from collections.abc import Callable

from pserv.logger.limits import MARK, Bucket, Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pserv.logger.journal import Journal
    from pserv.logger.settings import Settings
    from pserv.logger.streams import Stream


class Dropping:
    """Of one worker. `at` is the monotonic moment at which `due` has something; None while nothing is untold."""

    def __init__(self, streams: dict[int, Stream], journal: Journal, send: Callable[[dict[str, Any]], None]) -> None:
        """`streams`: all that are served, by number; kept by the caller."""
        self._streams = streams
        self._journal = journal
        self._send = send
        self._times: dict[int, float] = {}

    @property
    def at(self) -> float | None:
        return min(self._times.values(), default=None)

    def govern(self, stream: Stream, settings: Settings) -> None:
        """Go by these settings from now on. Streams of one run share what is allowed."""
        if settings.rate is None:
            if stream.limit is not None:
                stream.limit.bucket = None
            return
        bucket = next(
            (one for other in self._streams.values() if (one := _bucket(other, stream.run)) is not None), None
        )
        if bucket is None:
            bucket = Bucket(*settings.rate)
        else:
            bucket.change(*settings.rate)
        if stream.limit is None:
            stream.limit = Limit(bucket, self._journal.dropped(stream.id))
            self.look(stream)
        stream.limit.bucket = bucket

    def look(self, stream: Stream) -> None:
        """A limited stream was served: the keeper hears what its file has told."""
        limit = stream.limit
        if limit is None:
            return
        if limit.dropped.lines:
            self._times.setdefault(stream.id, limit.due or time.monotonic())
            return
        self._times.pop(stream.id, None)
        if limit.untold:
            limit.untold = False
            dropped = limit.dropped
            self._send({"op": "dropped", "id": stream.id, "lines": dropped.all_lines, "bytes": dropped.all_bytes})

    def due(self, now: float) -> list[Stream]:
        """Streams whose files are to tell now; each is asked for again in a second."""
        found = [number for number, at in self._times.items() if at <= now]
        for number in found:
            self._times[number] = now + MARK
            if number not in self._streams:
                del self._times[number]
        return [self._streams[number] for number in found if number in self._streams]


def _bucket(stream: Stream, run: int) -> Bucket | None:
    return stream.limit.bucket if stream.run == run and stream.limit is not None else None
