"""Service pipe -> whole lines of a format -> file, each exactly once. Imported only where a format is wanted.

A line that has no end yet stays in the service's pipe, so that every successor finds it there; what is taken goes into
the hold pipe, is written from memory, noted as written, and dropped. Where a kill came in between, the successor makes
the same lines of the same bytes, and writes those that the file has not.
"""

from __future__ import annotations

import ctypes
import os
import time

from pserv.logger import formats
from pserv.logger.journal import WRITTEN, Batch
from pserv.logger.limits import NOTHING
from pserv.logger.pipes import available
from pserv.logger.pump import write_carry
from pserv.logger.sight import Sight
from pserv.logger.targets import TargetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.formats import Buffers, Format
    from pserv.logger.pump import Pump
    from pserv.logger.streams import Stream
    from pserv.logger.targets import Target

BATCH: Final = 1 << 18
"""Bytes that are looked at together: what becomes of them stays near the processor."""
_FLOW: Final = 1 << 16
"""The same for what is no file."""
_BUFFERS: Final = 1000
"""writev(2) takes 1024."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT: Final = 8 << 20
"""Bytes, at most, that stay: more than a batch needs whose every byte becomes six."""


class Lines:
    """The part of the pump that looks into the bytes. One for all streams of a worker."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._sight = Sight(pump)
        self._output: Buffers = []
        """What the hold pipe's bytes become, while the file has not taken all of it."""
        self._written = 0
        """Bytes of the output that the file has taken, where that is one buffer."""
        _keep_memory()

    def turn(self, stream: Stream, limit: int, final: bool) -> int:
        """Write what whole lines the next bytes of a stream have; the number of bytes, which may be more than `limit`.

        None into a file that is due to be rotated first.

        `final`: the beginning of a line, too. Sets `over` at end of file, and `unfinished` when a line without an end
        is left. Raises TargetError.
        """
        format, target, drops = stream.format, stream.target, stream.limit
        assert format is not None
        data = self._sight.next(stream, min(limit, BATCH), final)
        if drops is not None and drops.dropped.lines and (final or stream.over or drops.due <= time.monotonic()):
            self.mark(stream)
        if not data:
            return 0
        end, broken = _end(target, format.whole_lines)
        kept, dropped = (len(data), NOTHING) if drops is None else drops.take(data)
        inode, now = os.fstat(target.fd).st_ino, time.time_ns() // 1000
        batch = Batch(end, inode, now, broken and kept > 0, format.noted, kept, dropped)
        output = _output(format, data, batch)
        if kept and target.rotation is not None and not broken:
            size, output = _fitting(format, data[:kept], output, batch, target)
            if size < kept:
                data, batch = self._shorten(stream, data, batch, size)
            if not data:
                return 0
        self._pump.journal.begin(stream.id, target.path, batch)
        taken = self._sight.take(stream, data)
        if stream.start < 0 or stream.start > end:  # the first bytes, or somebody truncated the file
            stream.start = end + batch.broken
            self._pump.journal.record(stream.id, stream.start, stream.printed)
        stream.printed += taken
        self._pump.held = taken
        if target.hints is not None:
            target.hints.note(end, stream.run)
        self._output, self._written = output if taken == len(data) else _output(format, data[:taken], batch), 0
        if drops is not None:
            drops.apply(batch.after)
        self._write(target)
        self._pump.journal.record(stream.id, stream.start, stream.printed)
        return taken

    def _shorten(self, stream: Stream, data: bytes, batch: Batch, size: int) -> tuple[bytes, Batch]:
        """Of the bytes only so many; the others stay in the pipe, or where they were read from, as if never seen."""
        dropped = batch.after
        if stream.limit is not None:
            stream.limit.give_back(data[size : batch.kept])
            dropped = stream.limit.dropped
        if stream.rest is not None:
            stream.rest, stream.over = data[size:] + stream.rest, False
        return data[:size], batch._replace(kept=size, after=dropped)

    def mark(self, stream: Stream) -> None:
        """Have the file tell what was dropped of a stream. Raises TargetError."""
        format, target, drops = stream.format, stream.target, stream.limit
        assert format is not None
        assert drops is not None
        end, broken = _end(target, True)
        marked, dropped = (drops.dropped.lines, drops.dropped.bytes), drops.dropped.told()
        inode, now = os.fstat(target.fd).st_ino, time.time_ns() // 1000
        batch = Batch(end, inode, now, broken, format.noted, 0, dropped, marked)
        self._pump.journal.begin(stream.id, target.path, batch)
        self._output, self._written = _output(format, b"", batch), 0
        try:
            self._write(target)
        except TargetError:
            self._output = []
            os.ftruncate(target.fd, end)  # it is made anew when the file takes it
            raise
        drops.apply(dropped)

    def flow(self, stream: Stream, limit: int, final: bool) -> int:
        """The same for a target that is no file: what it does not take is in this process's memory only.

        Raises TargetError, and BlockingIOError when it takes nothing more now.
        """
        format, target = stream.format, stream.target
        assert format is not None
        try:
            if target.carry:
                write_carry(target)
            data = self._sight.next(stream, min(limit, _FLOW), final)
            if data and stream.rest is None:
                self._sight.drop(stream.fd, len(data))
            stream.printed += len(data)
            target.carry = self._flowing(stream, format, data, final)
            write_carry(target)
        except BlockingIOError:
            raise
        except OSError as error:
            raise TargetError.of(error) from None
        return len(data)

    def _flowing(self, stream: Stream, format: Format, data: bytes, final: bool) -> bytes:
        """What the bytes become, and what tells of those that are dropped."""
        drops, now = stream.limit, time.time_ns() // 1000
        written: Buffers = []
        if drops is not None:
            dropped = drops.dropped
            if dropped.lines and (final or stream.over or drops.due <= time.monotonic()):
                written += format.mark(dropped.lines, dropped.bytes, now)
                drops.apply(dropped.told())
            kept, dropped = drops.take(data) if data else (0, drops.dropped)
            drops.apply(dropped)
            data = data[:kept]
        return b"".join([*written, *format.write(data, now)])

    # What is written.

    def resume(self, target: Target) -> None:
        """Write what a predecessor left in the hold pipe, or what the file refused. Raises TargetError."""
        pump = self._pump
        if pump.journal.state() != WRITTEN:
            batch = pump.journal.batch()
            try:
                known = self._written if self._output else None
                if known is None:
                    self._output = _output(formats.of(batch.format), self._sight.held(), batch)
                output = b"".join(self._output)
                self._output, self._written = [output], _progress(target, batch, output, known)
            except OSError as error:
                raise TargetError.of(error) from None
            _end(target, False)
        self._write(target)

    def _write(self, target: Target) -> None:
        """All of the output -> file; then the hold pipe is emptied. Raises TargetError, and what is left stays."""
        pump = self._pump
        try:
            while self._output:
                pump.beat += 1
                if self._written == 0 and 1 < len(self._output) <= _BUFFERS:
                    self._written = os.writev(target.fd, self._output)
                    if self._written == sum(map(len, self._output)):
                        break
                if len(self._output) > 1:
                    self._output = [b"".join(self._output)]
                rest = memoryview(self._output[0])[self._written :]
                self._written += os.write(target.fd, rest)
                if self._written == len(self._output[0]):
                    break
        except OSError as error:
            raise TargetError.of(error) from None
        pump.journal.written()
        self._output = []
        self._sight.drop(pump.exit, available(pump.exit))
        pump.held = 0


def _keep_memory() -> None:
    """What one batch needed is there for the next; else each one would get new pages from the kernel, emptied first."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc: mallopt(3)
    if mallopt is not None:
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(parameter, _KEPT)


def _end(target: Target, whole_lines: bool) -> tuple[int, bool]:
    """Go to the end of the file; where that is, and whether a newline must come before a line. Raises TargetError."""
    try:
        end = os.lseek(target.fd, 0, os.SEEK_END)
    except OSError as error:
        raise TargetError.of(error) from None
    try:
        return end, whole_lines and end > 0 and os.pread(target.fd, 1, end - 1) != b"\n"
    except OSError:
        return end, False  # it may only be written


def _output(format: Format, data: bytes, batch: Batch) -> Buffers:
    lines = format.mark(*batch.marked, batch.at) if batch.marked[0] else format.write(data[: batch.kept], batch.at)
    return [b"\n", *lines] if batch.broken else lines


def _fitting(format: Format, data: bytes, output: Buffers, batch: Batch, target: Target) -> tuple[int, Buffers]:
    """How many bytes are lines that the file may have, one at least, and what becomes of them; 0 where it is to be
    rotated first."""
    rotation = target.rotation
    assert rotation is not None
    room = rotation.room(batch.offset)
    size, first, total = len(data), data.find(b"\n") + 1 or len(data), sum(map(len, output))
    while total > room and size > first:
        size = max(first, data.rfind(b"\n", 0, size * room // total) + 1)
        output = _output(format, data[:size], batch)
        total = sum(map(len, output))
    return (0 if total > room and rotation.begin_with_next(target.fd, batch.offset) else size), output


def _progress(target: Target, batch: Batch, output: bytes, known: int | None) -> int:
    """How much of a batch's output need not be written again. Raises OSError.

    `known`: so much was written by this process; None: a predecessor wrote, and what the file has is compared.
    """
    if os.fstat(target.fd).st_ino != batch.inode:  # another file: whole lines
        return output.rfind(b"\n", 0, known or 0) + 1
    if known is not None:
        return known
    there = os.pread(target.fd, len(output), batch.offset)
    if output.startswith(there):
        return len(there)
    same, differs = 0, len(there)  # somebody else wrote after the kill
    while differs - same > 1:
        middle = (same + differs) // 2
        same, differs = (middle, differs) if output.startswith(there[:middle]) else (same, middle)
    return output.rfind(b"\n", 0, same) + 1
