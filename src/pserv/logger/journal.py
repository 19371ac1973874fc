"""What the successor of a killed worker must know, in memory that the keeper holds. No byte of output is here."""

from __future__ import annotations

import mmap
import os
import struct
from collections import namedtuple

from pserv.logger.limits import Dropped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_OWNER = struct.Struct("<qI")  # stream whose bytes are in the hold pipe, length of the path that follows
_RECORD = struct.Struct("<qqq")  # stream, offset of its first byte in its file (-1: none yet), bytes printed
_BATCH = 4352
"""Where the batch in the hold pipe is described that is written otherwise than as it is: one byte for its state, then
_FACTS and its format. Before it the path, at most PATH_MAX (4096) bytes long."""
_FACTS = struct.Struct("<10q?H")  # the fields of Batch, and the length of the format, which follows
_FORMAT = _BATCH + 1 + _FACTS.size
_DROPPED = struct.Struct("<5q")  # stream, the fields of limits.Dropped
_DROPS = 6144
"""Where it stands what was dropped of streams: as many as there is room for. Of others it is in memory only."""
_RECORDS = 8192
"""Where the records begin."""
_GROWTH = _RECORD.size * 170


def start(fd: int, stream: int) -> int:
    """The offset of a stream's first byte in its file, as the journal behind `fd` has it; -1 where there is none."""
    records = os.pread(fd, max(os.fstat(fd).st_size - _RECORDS, 0), _RECORDS)
    whole = len(records) - len(records) % _RECORD.size
    for number, begin, _ in _RECORD.iter_unpack(records[:whole]):
        if number == stream:
            return int(begin)
    return -1


AS_PRINTED: Final = 0
"""What the hold pipe has goes to the file as it is."""
FORMATTED: Final = 1
"""It goes there as lines of a format; how many of them are written the file tells."""
WRITTEN: Final = 2
"""All of it is in the file: it is only to be dropped."""


MARKING: Final = 3
"""The hold pipe is empty: a line that tells what was dropped goes to the file."""


class Batch(namedtuple("Batch", "offset inode at broken format kept after marked", defaults=((0, 0),))):
    """What turns the bytes in the hold pipe into the same lines again, and where in the file these begin."""

    __slots__ = ()

    offset: int
    inode: int
    at: int
    """Microseconds since the epoch."""
    broken: bool
    """A newline comes first: the file ended without one."""
    format: bytes
    """That of pserv.logger.formats, as it is noted."""
    kept: int
    """So many of the bytes are to be written, the rest is dropped."""
    after: Dropped
    """What is dropped of the stream when this is done."""
    marked: tuple[int, int]
    """Lines and bytes that were dropped before, and that a line of ours tells."""


class Journal:
    """A memfd: the owner of the hold pipe's bytes, then one record a stream.

    The owner is written only while the hold pipe is empty, so a kill in the middle of that write harms nothing.
    """

    __slots__ = ("_after", "_fd", "_format", "_free", "_map", "_owner", "_slots")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        if (os.fstat(fd).st_size - _RECORDS) % _GROWTH or os.fstat(fd).st_size <= _RECORDS:
            os.ftruncate(fd, _RECORDS + _GROWTH)
        self._map = mmap.mmap(fd, 0)
        self._owner = self.owner()
        self._after = self.batch().after if self.state() != AS_PRINTED else Dropped()
        self._format = b""
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        for offset in range(_RECORDS, len(self._map), _RECORD.size):
            stream, _, _ = _RECORD.unpack_from(self._map, offset)
            if stream:
                self._slots[stream] = offset
            else:
                self._free.append(offset)
        self._free.reverse()
        if self.state() == WRITTEN:
            self._settle(self._owner[0], self._after)

    def owner(self) -> tuple[int, str]:
        """The stream whose bytes the hold pipe has, and the path they belong to; (0, "") when none was ever noted."""
        stream, length = _OWNER.unpack_from(self._map, 0)
        path = bytes(self._map[_OWNER.size : _OWNER.size + min(length, _RECORDS - _OWNER.size)])
        return stream, os.fsdecode(path)

    def own(self, stream: int, path: str) -> None:
        """Note the owner of what comes into the hold pipe next, to be written as it is. The pipe is empty."""
        if self._map[_BATCH] != AS_PRINTED:
            self._map[_BATCH] = AS_PRINTED
        self._own(stream, path)

    def begin(self, stream: int, path: str, batch: Batch) -> None:
        """Note the owner of what comes into the hold pipe next, and what is to be made of it. The pipe is empty."""
        self._map[_BATCH] = AS_PRINTED
        self._own(stream, path)
        self._after = batch.after
        _FACTS.pack_into(
            self._map, _BATCH + 1, batch.offset, batch.inode, batch.at, batch.kept, *batch.marked, *batch.after,
            batch.broken, len(batch.format),
        )  # fmt: skip
        if self._format is not batch.format:
            self._map[_FORMAT : _FORMAT + len(batch.format)] = self._format = batch.format
        self._map[_BATCH] = MARKING if batch.marked[0] else FORMATTED

    def written(self) -> None:
        """All lines of the batch are in the file. One byte, so that it is noted or not."""
        self._map[_BATCH] = WRITTEN
        self._settle(self._owner[0], self._after)

    def _settle(self, stream: int, dropped: Dropped) -> None:
        """Take down what is dropped of the stream whose batch is written; harmless to be done again."""
        if dropped.all_lines:
            place = self._place(stream) or self._place(0)
            if place:
                _DROPPED.pack_into(self._map, place, stream, *dropped)

    def dropped(self, stream: int) -> Dropped:
        """What is known to be dropped of a stream."""
        place = self._place(stream)
        return Dropped(*_DROPPED.unpack_from(self._map, place)[1:]) if place else Dropped()

    def _place(self, stream: int) -> int:
        """Where it stands what is dropped of a stream (of 0: where there is room); 0 for nowhere."""
        for place in range(_DROPS, _RECORDS - _DROPPED.size + 1, _DROPPED.size):
            if _DROPPED.unpack_from(self._map, place)[0] == stream:
                return place
        return 0

    def state(self) -> int:
        """What is to become of the hold pipe's bytes: AS_PRINTED, FORMATTED, WRITTEN."""
        return self._map[_BATCH]

    def batch(self) -> Batch:
        """What `begin` noted."""
        offset, inode, at, kept, *rest, broken, length = _FACTS.unpack_from(self._map, _BATCH + 1)
        format = bytes(self._map[_FORMAT : min(_FORMAT + length, _DROPS)])
        return Batch(offset, inode, at, broken, format, kept, Dropped(*rest[2:]), (rest[0], rest[1]))

    def move(self, stream: int, path: str) -> None:
        """What is in the hold pipe goes to another file."""
        self._own(stream, path)

    def _own(self, stream: int, path: str) -> None:
        if self._owner[0] != stream or self._owner[1] != path:
            name = os.fsencode(path)
            self._map[_OWNER.size : _OWNER.size + len(name)] = name
            _OWNER.pack_into(self._map, 0, stream, len(name))
            self._owner = (stream, path)

    def find(self, stream: int) -> tuple[int, int]:
        """(offset of the first byte, bytes printed) of a stream; (-1, 0) when nothing is known."""
        offset = self._slots.get(stream)
        if offset is None:
            return -1, 0
        _, start, printed = _RECORD.unpack_from(self._map, offset)
        return start, printed

    def record(self, stream: int, start: int, printed: int) -> None:
        """Note how far a stream is."""
        offset = self._slots.get(stream)
        if offset is None:
            offset = self._slots[stream] = self._take()
        _RECORD.pack_into(self._map, offset, stream, start, printed)

    def forget(self, stream: int) -> None:
        """The stream is over and its last lines were asked for, or it went to another worker."""
        offset = self._slots.pop(stream, None)
        if offset is not None:
            _RECORD.pack_into(self._map, offset, 0, 0, 0)
            self._free.append(offset)
            place = self._place(stream)
            if place:
                _DROPPED.pack_into(self._map, place, 0, 0, 0, 0, 0)

    def _take(self) -> int:
        if not self._free:
            end = len(self._map)
            os.ftruncate(self._fd, end + _GROWTH)
            self._map.close()
            self._map = mmap.mmap(self._fd, 0)
            self._free.extend(range(end + _GROWTH - _RECORD.size, end - 1, -_RECORD.size))
        return self._free.pop()

    def close(self) -> None:
        """Give the memory back; the keeper has its own descriptor of it."""
        self._map.close()
        os.close(self._fd)
