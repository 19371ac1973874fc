"""Which of a stream's next bytes may be written as lines: seen while they stay in its pipe. Nothing is written here."""

from __future__ import annotations

import os
import select

from pserv.logger.pipes import available, resize, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.pump import Pump
    from pserv.logger.streams import Stream

_READ: Final = 1 << 16


class Sight:
    """The beginning of a line that has no end yet is left where it is: in the pipe, or in `rest` where it was read."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def next(self, stream: Stream, limit: int, final: bool) -> bytes:
        """The bytes that are to be written now. They are still in the stream, or it has none of its own (`rest`)."""
        format = stream.format
        assert format is not None
        limit = max(limit, 2 * format.longest)  # else where a line is split would depend on it
        data = self._look(stream, limit)
        count = format.count(data)
        if data and not count:
            if final or stream.over or _hung_up(stream.fd):
                data = self._look(stream, limit)  # with what came before the end of file
                count = format.count(data) or len(data)
            else:
                count = len(data) if self._is_full(stream, data) else 0
        elif stream.over:
            count = len(data)
        stream.unfinished = count < len(data)
        if stream.rest is not None:
            stream.rest = data[count:]
        return data if count == len(data) else data[:count]

    def _look(self, stream: Stream, limit: int) -> bytes:
        """The next bytes of a stream, which stay in its pipe; what cannot be looked into is read, and kept in `rest`.

        Sets `over` at end of file.
        """
        if stream.rest is None:
            try:
                data = self._pump.look.whole(stream.fd, limit)
            except OSError:
                pass  # no pipe, or no tee(2)
            else:
                stream.over = not data and stream.is_over()
                return data
        return self._read(stream)

    def _read(self, stream: Stream) -> bytes:
        """Of a terminal, or where there is no tee(2): a kill loses what is in memory then."""
        rest = stream.rest = stream.rest or b""
        room = min(_READ, self._pump.capacity - len(rest))
        if stream.over or room <= 0:
            return rest
        try:
            data = os.read(stream.fd, room)
        except BlockingIOError:
            return rest
        except OSError:  # EIO: the last one closed the terminal
            data = b""
        stream.over = not data
        stream.rest = rest + data
        return stream.rest

    def _is_full(self, stream: Stream, data: bytes) -> bool:
        """Whether the beginning of a line must go so that the rest of it can come: where pipes cannot be made larger.

        Of the pages that a pipe has, each may be filled by half only.
        """
        assert stream.format is not None
        if stream.rest is not None:
            return len(data) >= self._pump.capacity
        if 2 * len(data) < size_of(stream.fd):
            return False
        there = available(stream.fd)
        return 2 * len(data) >= resize(stream.fd, 4 * stream.format.longest) or len(self._look(stream, there)) < there

    def take(self, stream: Stream, data: bytes) -> int:
        """Put the bytes into the hold pipe, which is empty; how many."""
        if stream.rest is not None:
            return os.write(self._pump.entry, data)
        return os.splice(stream.fd, self._pump.entry, len(data))

    def held(self) -> bytes:
        """What is in the hold pipe. It stays there, unless not all of it can be looked at."""
        pump = self._pump
        try:
            data = pump.look.whole(pump.exit, pump.held)
        except OSError:
            data = b""
        return data if len(data) == pump.held else os.read(pump.exit, pump.held)

    def drop(self, fd: int, count: int) -> None:
        """Empty a pipe of so many bytes."""
        while count:
            try:
                count -= os.splice(fd, self._null, count)
            except (AttributeError, OSError):
                count -= len(os.read(fd, min(count, _READ)))


def _hung_up(fd: int) -> bool:
    """Whether nobody can write to the pipe any more."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))
