"""Where in a log a moment or a run begins: by the times of its lines, by hints, by the names of files; never by a scan.

Files are sought in by halves, so that ten gigabytes cost as much as one. Which lines are wanted is not decided here.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

from pserv.logger.index import WIDE, Hint, parse, path_of
from pserv.system.archive import Archive, File, PackedFile
from pserv.system.records import Times
from pserv.system.scan import BLOCK, forward, line_start

MOST_HINTS: Final = 16 << 20
"""Bytes of hints that are read, from the end."""
_SHORT: Final = 1.0


class Spot(NamedTuple):
    """A file of an archive by its place in the list, and an offset in it."""

    at: int
    offset: int


class Estimate:
    """When the bytes of one file were written, as its hints tell it."""

    __slots__ = ("_even", "_moments", "_offsets", "known")

    def __init__(self, hints: list[Hint], size: int, written: float, begun: float | None) -> None:
        """`begun`: as the name of the file has it."""
        rows: list[tuple[int, float]] = []
        for hint in hints:
            if rows and hint.offset < rows[-1][0]:
                rows.clear()  # what was in the file before somebody cut it
            if hint.offset <= size:
                rows.append((hint.offset, max(hint.time, rows[-1][1]) if rows else hint.time))
        self.known = bool(rows) or begun is not None
        if not rows:
            rows = [(0, written if begun is None else begun)]
        if rows[-1][0] < size:
            rows.append((size, max(written, rows[-1][1])))
        self._offsets = [offset for offset, _ in rows]
        self._moments = [moment for _, moment in rows]
        self._even = not hints
        """Nothing is known of what is between the two ends."""

    def of(self, offset: int) -> float:
        """Between two hints bytes are taken to have come evenly; what stands before the first is older than all."""
        at = bisect_right(self._offsets, offset) - 1
        if at < 0:
            return 0.0
        if at + 1 == len(self._offsets):
            return self._moments[at]
        span = self._moments[at + 1] - self._moments[at]
        share = (offset - self._offsets[at]) / (self._offsets[at + 1] - self._offsets[at])
        return self._moments[at] + share * (span if span <= WIDE or self._even else _SHORT)


class Finder:
    """Finds moments and runs in one archive. Everything raises OSError and Unreadable for files that cannot be read."""

    __slots__ = ("_archive", "_by_sequence", "_estimates", "_hints", "_times", "unknown")

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._times = Times()
        self._hints: list[Hint] | None = None
        self._by_sequence: dict[int, list[Hint]] = {}
        self._estimates: dict[int, Estimate] = {}
        self.unknown = False
        """A file was looked at in which nothing tells when its lines were written."""

    def of_moment(self, moment: float) -> Spot:
        """The first line that was written at that time or later."""
        pieces = self._archive.pieces
        at = next((n for n, piece in enumerate(pieces) if piece.last is None or piece.last >= moment), len(pieces))
        while at < len(pieces):
            begun = pieces[at].first
            if begun is not None and begun >= moment:
                return Spot(at, 0)
            file = self._archive.open(at)
            if file is not None:
                offset = self._within(file, at, moment)
                if offset < file.size:
                    return Spot(at, offset)
            at += 1
        return self.end()

    def of_run(self, run: int) -> tuple[Spot, Spot] | None:
        """Where the last run with this number begins and ends; None where no hint tells. 0: the last of all."""
        hints = self.hints
        run = run or (hints[-1].run if hints else 0)
        found = next((n for n in range(len(hints) - 1, -1, -1) if hints[n].run == run), None)
        if found is None:
            return None
        begin, end, others = found, found + 1, set[int]()
        for at in range(found, -1, -1):
            if hints[at].run == run:
                begin = at
            else:
                others.add(hints[at].run)  # what the run before it had left behind may still have printed
            if hints[at].run > run or len(others) > 1:
                break
        return self._spot(hints[begin]), self._spot(hints[end]) if end < len(hints) else self.end()

    def end(self) -> Spot:
        """After the last byte."""
        archive = self._archive
        if archive.active is None:
            return Spot(len(archive.pieces), 0)
        return Spot(len(archive.pieces) - 1, archive.active.size)

    def time(self, file: File, at: int, offset: int, line: bytes) -> float:
        """When a line was written: as it says itself, or as hints tell."""
        own = self._times.of(line)
        return self._estimated(file, at, offset) if own is None else own

    def estimate(self, file: File, at: int) -> Estimate:
        """Of a file of the archive."""
        found = self._estimates.get(at)
        if found is None:
            piece = self._archive.pieces[at]
            if not self._by_sequence:
                for hint in self.hints:
                    self._by_sequence.setdefault(hint.sequence, []).append(hint)
            hints = self._by_sequence.get(piece.sequence, [])
            written = file.written if piece.last is None else min(piece.last, file.written)
            found = self._estimates[at] = Estimate(hints, file.size, written, piece.first)
        return found

    @property
    def hints(self) -> list[Hint]:
        """Of the whole log, in the order in which they were noted."""
        if self._hints is None:
            self._hints = _read_hints(self._archive.path)
        return self._hints

    def _spot(self, hint: Hint) -> Spot:
        at = self._archive.index_of(hint.sequence)
        pieces = self._archive.pieces
        return Spot(at, hint.offset if at < len(pieces) and pieces[at].sequence == hint.sequence else 0)

    def _within(self, file: File, at: int, moment: float) -> int:
        """The offset of the first line of a file that was written at that time or later; else its size."""
        if isinstance(file, PackedFile):
            low, high = self._passed(file, at, moment), file.size
        else:
            low, high = self._halved(file, at, moment)
        for begin, lines in forward(file, low, high):
            offset = begin
            for line in lines:
                if self.time(file, at, offset, line) >= moment:
                    return offset
                offset += len(line) + 1
        return high

    def _halved(self, file: File, at: int, moment: float) -> tuple[int, int]:
        """Two offsets between which it is, or at the second: a line known to be older, the first known not to be."""
        low, high, found = 0, file.size, file.size
        while high - low > BLOCK:
            middle = (low + high) // 2
            begin = line_start(file, middle, found)
            if begin >= high:
                high = middle
            elif self._time_at(file, at, begin) < moment:
                low = begin
            else:
                high, found = middle, begin
        return low, found

    def _passed(self, file: File, at: int, moment: float) -> int:
        """The last block that begins before it, read from the start: compressed files know no other way."""
        low = position = 0
        while data := file.read(position, BLOCK):
            found = data.find(b"\n")
            if found >= 0 and position + found + 1 > low:
                begin = position + found + 1
                if self.time(file, at, begin, data[found + 1 : found + 64]) >= moment:
                    break
                low = begin
            position += len(data)
        return low

    def _time_at(self, file: File, at: int, offset: int) -> float:
        """Of the first line there that says it, among those of a block; else as hints tell."""
        data = file.read(offset, BLOCK)
        for line in data.split(b"\n", 16)[:16]:
            own = self._times.of(line)
            if own is not None:
                return own
        return self._estimated(file, at, offset)

    def _estimated(self, file: File, at: int, offset: int) -> float:
        estimate = self.estimate(file, at)
        self.unknown = self.unknown or not estimate.known
        return estimate.of(offset)


def _read_hints(log: str) -> list[Hint]:
    try:
        with open(path_of(log), "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_HINTS))
            return [hint for line in file if (hint := parse(line)) is not None]
    except OSError:
        return []
