"""Moves bytes: service pipe -> hold pipe -> file, each byte exactly once. Who is served when is not decided here."""

from __future__ import annotations

import errno
import os
import time

from pserv.logger.journal import AS_PRINTED
from pserv.logger.look import Look
from pserv.logger.pipes import SIZE_UNKNOWN, available, resize
from pserv.logger.targets import FILE, TargetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.logger.journal import Journal
    from pserv.logger.lines import Lines
    from pserv.logger.streams import Stream
    from pserv.logger.targets import Target

HOLD_SIZE = 1 << 20
"""What is asked for as the size of the hold pipe; an unprivileged user may get less (pipe(7), pipe-max-size)."""
_SPLICES = hasattr(os, "splice")
_NONBLOCK: int = getattr(os, "SPLICE_F_NONBLOCK", 0)


class Pump:
    """The hold pipe and its journal.

    A kill at any moment loses and doubles nothing: bytes are in the service's pipe, in the hold pipe, or in the file,
    and the kernel moves them from one to the next. Bytes in the hold pipe belong to the owner the journal names; it is
    empty before others come in.
    """

    __slots__ = ("_carry", "_lines", "beat", "capacity", "entry", "exit", "held", "journal", "look")

    def __init__(self, read: int, write: int, journal: Journal) -> None:
        self.exit = read
        self.entry = write
        """The ends of the hold pipe."""
        self._lines: Lines | None = None
        self.journal = journal
        self.capacity = resize(write, HOLD_SIZE)
        self.held = available(read)
        self.look = Look(self.capacity)
        self._carry = b""
        """Bytes taken out of the hold pipe for a file that splice refuses, and not yet written."""
        self.beat = 0
        """Counts system calls that may hang, so that a watchdog sees whether things move."""

    def turn(self, stream: Stream, limit: int, final: bool = False) -> int:
        """Move at most `limit` bytes of a stream into its open target; the number moved. Sets `over` at end of file.

        Moves none into a file that is due to be rotated first. `final`: also the beginning of a line, which a format
        would wait for the end of. Raises TargetError when the target does not take them, BlockingIOError when it would
        take them later (FLOW).
        """
        target = stream.target
        if stream.format is not None:
            lines = self._looking()
            return lines.turn(stream, limit, final) if target.kind is FILE else lines.flow(stream, limit, final)
        return self._to_file(stream, target, limit) if target.kind is FILE else _to_flow(stream, target, limit)

    def _looking(self) -> Lines:
        """What looks into the bytes: made where there is a format, as it costs memory."""
        if self._lines is None:
            from pserv.logger.lines import Lines

            self._lines = Lines(self)
        return self._lines

    def _to_file(self, stream: Stream, target: Target, limit: int) -> int:
        self.beat += 1
        try:
            end = os.lseek(target.fd, 0, os.SEEK_END)
        except OSError as error:
            raise TargetError.of(error) from None
        limit = min(limit, self.capacity)
        if target.rotation is not None:
            limit = target.rotation.allows(stream.fd, target.fd, end, limit, self.look)
            if not limit:
                return 0
        self.journal.own(stream.id, target.path)
        taken = self._take(stream, limit)
        if taken <= 0:
            return 0
        if stream.start < 0 or stream.start > end:  # the first bytes, or somebody truncated the file
            stream.start = end
            self.journal.record(stream.id, end, stream.printed)
        stream.printed += taken
        self.held = taken
        if target.hints is not None:
            target.hints.note(end, stream.run)
        self._empty(target)
        self.journal.record(stream.id, stream.start, stream.printed)
        return taken

    def append(self, stream: Stream, lines: bytes) -> None:
        """Write lines that were kept in memory, in the format of the stream, after what is there. Raises TargetError.

        A kill before that loses them.
        """
        target = stream.target
        try:
            if stream.format is not None:
                lines = b"".join(stream.format.write(lines, time.time_ns() // 1000))
            if target.kind is not FILE:
                target.carry += lines
                return
            end = os.lseek(target.fd, 0, os.SEEK_END)
            if os.write(target.fd, lines) < len(lines):
                os.ftruncate(target.fd, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise TargetError.of(error) from None

    def _take(self, stream: Stream, limit: int) -> int:
        """Service pipe -> hold pipe; the number of bytes."""
        try:
            if _SPLICES:
                taken = os.splice(stream.fd, self.entry, limit, flags=_NONBLOCK)
            else:
                taken = self._copy_in(stream.fd, limit)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EINVAL:  # EIO: the last one closed the terminal
                stream.over = True
                return 0
            try:
                taken = self._copy_in(stream.fd, limit)
            except BlockingIOError:
                return 0
            except OSError:
                taken = 0
        if not taken:
            stream.over = True
        return taken

    def _copy_in(self, fd: int, limit: int) -> int:
        data = os.read(fd, min(limit, SIZE_UNKNOWN))
        return os.write(self.entry, data) if data else 0  # the hold pipe is empty and takes 64 KiB whole

    def mark(self, stream: Stream) -> None:
        """Have the file tell what was dropped of a stream. Raises TargetError."""
        self._looking().mark(stream)

    def empty(self, target: Target) -> None:
        """Write what a predecessor left in the hold pipe, or what the file refused. Raises TargetError."""
        if self.journal.state() != AS_PRINTED:
            self._looking().resume(target)
            return
        try:
            os.lseek(target.fd, 0, os.SEEK_END)
        except OSError as error:
            raise TargetError.of(error) from None
        self._empty(target)

    def _empty(self, target: Target) -> None:
        """Hold pipe -> file, all of it. Raises TargetError; what is left stays `held`."""
        try:
            while self.held:
                self.beat += 1
                self.held -= self._copy_out(target) if self._carry else self._give(target)
        except OSError as error:
            raise TargetError.of(error) from None

    def _give(self, target: Target) -> int:
        if not _SPLICES:
            return self._copy_out(target)
        try:
            given = os.splice(self.exit, target.fd, self.held)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return self._copy_out(target)
        if not given:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return given

    def _copy_out(self, target: Target) -> int:
        if not self._carry:
            self._carry = os.read(self.exit, min(self.held, SIZE_UNKNOWN))
        written = os.write(target.fd, self._carry)
        self._carry = self._carry[written:]
        return written

    def close(self) -> None:
        os.close(self.exit)
        os.close(self.entry)
        self.look.close()
        self.journal.close()


def _to_flow(stream: Stream, target: Target, limit: int) -> int:
    try:
        if target.carry:
            write_carry(target)
        moved = os.splice(stream.fd, target.fd, limit, flags=_NONBLOCK) if _SPLICES else _copy(stream, target)
    except BlockingIOError:
        if target.carry or stream.available():
            raise
        return 0
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EIO):
            raise TargetError.of(error) from None
        moved = _copy(stream, target)
    if not moved:
        stream.over = True
    stream.printed += moved
    return moved


def _copy(stream: Stream, target: Target) -> int:
    """By read and write; what the target did not take is carried. Raises BlockingIOError when the stream is empty."""
    try:
        data = os.read(stream.fd, SIZE_UNKNOWN)
    except BlockingIOError:
        raise
    except OSError:  # EIO: the last one closed the terminal
        return 0
    target.carry = data
    try:
        write_carry(target)
    except BlockingIOError:
        pass  # the next turn begins with the rest
    except OSError as error:
        raise TargetError.of(error) from None
    return len(data)


def write_carry(target: Target) -> None:
    """Write what a FIFO or device did not take before. Raises OSError."""
    while target.carry:
        written = os.write(target.fd, target.carry) if target.write is None else target.write(target.carry)
        target.carry = target.carry[written:]
