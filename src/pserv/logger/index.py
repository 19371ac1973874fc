"""Hints where in a log which moment and which run begin: a small file beside it. The log itself is never touched here.

`.web.log.index` has one record a line: `SEQUENCE OFFSET TIME RUN`, the number that the file has once it is rotated,
bytes, seconds since 1970 with microseconds, and the run that printed. All before the offset was written before that
time, and all from it on at that time or later. Whoever reads must do without it, and without any line of it.
"""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Iterable
from time import time

from pserv.logger.rotated import family, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SPACING: Final = 1.0
"""Seconds between two records while output flows."""
WIDE: Final = 10.0
"""The same, where they would take more than a 32nd of the log's own size; and in files that are rotated."""
STEP: Final = 1 << 20
"""Bytes of output after which there is a record whatever the time."""
COMPACTED: Final = 16
"""After so many rotations the hints of what is gone are dropped."""
_SMALL: Final = 1 << 16
_SHARE: Final = 32
_LONGEST: Final = 128


class Hint(namedtuple("Hint", "sequence offset time run")):
    """One record."""

    __slots__ = ()

    sequence: int
    offset: int
    time: float
    run: int


def path_of(log: str) -> str:
    """Where the hints of a log are."""
    folder, name = place(log)
    return os.path.join(folder, f".{name}.index")


def highest(log: str) -> int:
    """The highest number that a rotated file of this log bears; 0 without any. Raises OSError."""
    return max((one.number for one in family(log)), default=0)


def parse(line: bytes) -> Hint | None:
    """A record; None for what is none."""
    words = line.split()
    try:
        hint = Hint(int(words[0]), int(words[1]), float(words[2]), int(words[3]))
    except (ValueError, IndexError):
        return None
    sane = len(words) == 4 and hint.sequence > 0 and hint.offset >= 0 and 0 <= hint.time < 1e11 and hint.run >= 0
    return hint if sane else None


def written(hint: Hint) -> bytes:
    """A record as it stands in the file."""
    return f"{hint.sequence} {hint.offset} {hint.time:.6f} {hint.run}\n".encode()


class Hints:
    """What one writer of a log notes. Nothing that goes wrong here matters: it is a hint that is missing."""

    __slots__ = ("_offset", "_path", "_place", "_run", "_sequence", "_size", "_time")

    def __init__(self, log: str) -> None:
        self._path = log
        self._place = ""
        self._sequence = 0
        self._size = 0
        self._run = -1
        self._offset = 0
        self._time = 0.0

    @property
    def path(self) -> str:
        """Where the hints are: sought with the first, as links are followed, and most runs print nothing for long."""
        self._place = self._place or path_of(self._path)
        return self._place

    def note(self, offset: int, run: int) -> None:
        """Output of a run is about to be written at this offset. Mostly too soon after the last to be noted."""
        now = time()
        if run <= self._run and 0 <= offset - self._offset < STEP and 0.0 <= now - self._time < self._spacing(offset):
            return
        self._offset, self._time, self._run = offset, now, max(run, self._run)
        try:
            self._append(offset, now, run)
        except OSError:
            self._sequence = 0

    def rotated(self, sequence: int, oldest: int) -> None:
        """The file has this number now, and another one is written; `oldest` is the lowest that is still there.

        Nothing is written by most calls: the next record says it.
        """
        if sequence % COMPACTED:
            self._sequence, self._run = sequence + 1, -1
        else:
            rotated(self._path, sequence, oldest)
            self.forget()

    def forget(self) -> None:
        """The file is another one from now on, or its hints were rewritten."""
        self._sequence, self._run = 0, -1

    def _spacing(self, offset: int) -> float:
        return SPACING if self._size <= _SMALL + offset // _SHARE else WIDE

    def _append(self, offset: int, now: float, run: int) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            if not self._sequence:
                self._size = os.fstat(fd).st_size
                # The last record may be of a file that was rotated right before its writer was killed.
                self._sequence = max(_last_sequence(fd, self._size), highest(self._path) + 1)
            self._size += os.write(fd, written(Hint(self._sequence, offset, now, run)))
        finally:
            os.close(fd)


def _last_sequence(fd: int, size: int) -> int:
    for line in reversed(os.pread(fd, _LONGEST, max(0, size - _LONGEST)).splitlines(keepends=True)):
        hint = parse(line) if line.endswith(b"\n") else None
        if hint is not None:
            return hint.sequence
    return 0


def rotated(log: str, sequence: int, oldest: int) -> None:
    """The file was rotated: it has this number now, and `oldest` is the lowest one that is still there.

    Hints of what is gone are dropped, those of rotated files thinned out, and the next record is of the next number.
    Safe to call again; never raises. The writer's `forget` comes after it.
    """
    path = path_of(log)
    try:
        with open(path, "rb") as file:
            hints = [hint for line in file if (hint := parse(line)) is not None]
        kept = thinned(hint for hint in hints if oldest <= hint.sequence)
        following = Hint(sequence + 1, 0, time(), max(hints, key=lambda hint: hint.time).run if hints else 0)
        if not any(hint.sequence > sequence for hint in kept):
            kept.append(following)
        temporary = f"{path}.new"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            _write_all(fd, b"".join(map(written, kept)))
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        return


def thinned(hints: Iterable[Hint]) -> list[Hint]:
    """Those that begin a run or a file, or are far enough from the one before."""
    kept: list[Hint] = []
    for hint in hints:
        last = kept[-1] if kept else None
        near = last is not None and last.sequence == hint.sequence and last.run == hint.run
        if last is None or not near or hint.time - last.time >= WIDE or hint.offset - last.offset >= STEP:
            kept.append(hint)
    return kept


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
