"""What the successor of a killed worker must know, in memory that the keeper holds. No byte of output is here."""

from __future__ import annotations

import mmap
import os
import struct

_OWNER = struct.Struct("<qI")  # stream whose bytes are in the hold pipe, length of the path that follows
_RECORD = struct.Struct("<qqq")  # stream, offset of its first byte in its file (-1: none yet), bytes printed
_RECORDS = 8192
"""Where the records begin. The path before them is at most PATH_MAX (4096) bytes long."""
_GROWTH = _RECORD.size * 170


def start(fd: int, stream: int) -> int:
    """The offset of a stream's first byte in its file, as the journal behind `fd` has it; -1 where there is none."""
    records = os.pread(fd, max(os.fstat(fd).st_size - _RECORDS, 0), _RECORDS)
    whole = len(records) - len(records) % _RECORD.size
    for number, begin, _ in _RECORD.iter_unpack(records[:whole]):
        if number == stream:
            return int(begin)
    return -1


class Journal:
    """A memfd: the owner of the hold pipe's bytes, then one record a stream.

    The owner is written only while the hold pipe is empty, so a kill in the middle of that write harms nothing.
    """

    __slots__ = ("_fd", "_free", "_map", "_owner", "_slots")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        if (os.fstat(fd).st_size - _RECORDS) % _GROWTH or os.fstat(fd).st_size <= _RECORDS:
            os.ftruncate(fd, _RECORDS + _GROWTH)
        self._map = mmap.mmap(fd, 0)
        self._owner = (0, "")
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        for offset in range(_RECORDS, len(self._map), _RECORD.size):
            stream, _, _ = _RECORD.unpack_from(self._map, offset)
            if stream:
                self._slots[stream] = offset
            else:
                self._free.append(offset)
        self._free.reverse()

    def owner(self) -> tuple[int, str]:
        """The stream whose bytes the hold pipe has, and the path they belong to; (0, "") when none was ever noted."""
        stream, length = _OWNER.unpack_from(self._map, 0)
        path = bytes(self._map[_OWNER.size : _OWNER.size + min(length, _RECORDS - _OWNER.size)])
        return stream, os.fsdecode(path)

    def own(self, stream: int, path: str) -> None:
        """Note the owner of what comes into the hold pipe next."""
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
