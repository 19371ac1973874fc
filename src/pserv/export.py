"""A cursor for who carries logs elsewhere: the next batch, acknowledged once it has arrived, whatever happens.

    from pserv.export import Cursor

    with Cursor("/var/lib/shipper/web.cursor", "/var/log/pserv/web.log") as cursor:
        while batch := cursor.next():
            send(batch.lines)
            cursor.acknowledge(batch)

The log is read with its rotated and compressed files. A cursor is one small file; nothing is kept in the daemon, which
need not run. After `next` and before `acknowledge` anything may be killed: the same lines come again (at least once).
What the files do not hold any more is told as `lost`. The formats are in docs/logs.md.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from pserv.model.errors import PservError
from pserv.system import places
from pserv.system.archive import FOREIGN, Archive, File, Unreadable, archives
from pserv.system.places import Place
from pserv.system.scan import forward

VERSION: Final = 1
LINES: Final = 1000
BYTES: Final = 1 << 20
"""Of one batch, unless otherwise said."""
_LARGEST: Final = 1 << 16
"""Bytes of a cursor file."""
_AHEAD: Final = 1000
"""So many files to come are noted with their sizes."""


class Lost(NamedTuple):
    """What was removed or cut before it was read: whole files or ends of such, and bytes, as far as that is known."""

    files: int = 0
    bytes: int = 0


class Batch(NamedTuple):
    """Lines in the order in which they were written, without their ends, as they stand in the file.

    `lost` is what is missing before them.
    """

    lines: list[bytes]
    lost: Lost
    place: Place

    def __bool__(self) -> bool:
        return bool(self.lines) or self.lost != Lost()


class Cursor:
    """Where in one log everything before has arrived. One process at a time has it."""

    def __init__(self, path: str, log: str, *, start: str = "oldest", restart: bool = False) -> None:
        """`path`: the cursor's file, made by the first `acknowledge`; a new one begins at `start`: `oldest` or `end`.

        A file that is no cursor, or one of another log, is an error; with `restart` it is begun anew, and `restarted`
        is why. Raises PservError.
        """
        if start not in ("oldest", "end"):
            raise ValueError(f"start is oldest or end, not {start!r}")
        self.path = path
        self.log = os.path.abspath(log)
        self.restarted = ""
        """Why the cursor was begun anew; empty where it was not."""
        self.lost = Lost()
        """All that was lost since the cursor was made, as acknowledged."""
        self._lock = self._locked()
        self._place: Place | None = None
        self._ahead: dict[int, int] = {}
        """Bytes of the files to come, by number, when the last batch was made; so is told what was removed of them."""
        self._seen: dict[int, int] = {}
        try:
            self._load(restart)
            if self._place is None and start == "end":
                self._place = self._end()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have it. Harmless twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def next(self, lines: int = LINES, size: int = BYTES) -> Batch:
        """The whole lines after what was acknowledged: at most so many, and no more once `size` bytes are there.

        Empty (false) when nothing new is there; a line without its end is not. Asked again it gives the same again.
        Raises PservError for a log that cannot be read.
        """
        archive = self._archive()
        try:
            return self._batch(archive, lines, size)
        except (OSError, Unreadable) as error:
            raise PservError(f"cannot read {self.log}: {getattr(error, 'strerror', None) or error}") from None
        finally:
            archive.close()

    def acknowledge(self, batch: Batch) -> None:
        """All of this batch has arrived: the next one begins after it. On disk when this returns. Raises PservError."""
        lost = Lost(self.lost.files + batch.lost.files, self.lost.bytes + batch.lost.bytes)
        told = {
            "pserv_cursor": VERSION,
            "log": self.log,
            "place": dict(zip(Place._fields, batch.place, strict=True)),
            "ahead": {str(sequence): size for sequence, size in self._seen.items()},
            "lost": {"files": lost.files, "bytes": lost.bytes},
        }
        temporary = f"{self.path}.new"
        try:
            with open(temporary, "w", encoding="utf-8", opener=_private) as file:
                json.dump(told, file)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self.path)
            _sync_folder(self.path)
        except OSError as error:
            raise PservError(f"cannot write the cursor {self.path}: {error.strerror}") from None
        self._place, self.lost, self._ahead = batch.place, lost, dict(self._seen)

    # -- the file -----------------------------------------------------------------------------------------------

    def _locked(self) -> int:
        """The lock is a file of its own: the cursor's is another one after each acknowledgement."""
        try:
            fd = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PservError(f"cannot use the cursor {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise PservError(f"cannot use the cursor {self.path}: another process has it") from None
        return fd

    def _load(self, restart: bool) -> None:
        try:
            with open(self.path, "rb") as file:
                data = file.read(_LARGEST)
        except FileNotFoundError:
            return
        except OSError as error:
            raise PservError(f"cannot read the cursor {self.path}: {error.strerror}") from None
        wrong = self._take(data)
        if wrong and not restart:
            raise PservError(f"cannot use the cursor {self.path}: {wrong}", "remove it to begin with the oldest line")
        self.restarted = wrong

    def _take(self, data: bytes) -> str:
        """Why this is no cursor of this log; empty where it is one."""
        try:
            told = json.loads(data)
            version, log = told["pserv_cursor"], told["log"]
            place = Place(*(told["place"][field] for field in Place._fields))
            lost = Lost(told["lost"]["files"], told["lost"]["bytes"])
            ahead = {int(sequence): size for sequence, size in told["ahead"].items()}
        except (AttributeError, ValueError, LookupError, TypeError):
            return "it is damaged, or no cursor"
        if version != VERSION:
            return f"it is one of version {version!r}"
        if log != self.log:
            return f"it is one of {log}"
        if not all(isinstance(number, int) and number >= 0 for number in (*place, *lost, *ahead.values())):
            return "it is damaged"
        self._place, self.lost, self._ahead = place, lost, ahead
        return ""

    # -- the log ------------------------------------------------------------------------------------------------

    def _end(self) -> Place:
        (archive,) = archives([self.log])
        try:
            size = archive.active.size if archive.active is not None else 0
            return places.place_in(archive.active, archive.sequence, size)
        finally:
            archive.close()

    def _archive(self) -> Archive:
        """The log's files. Of those that somebody else has rotated what the cursor has begun to read, and what follows:
        they can be known again as long as they are not compressed."""
        place = self._place
        (archive,) = archives([self.log], foreign=place is not None)
        if place is not None:
            foreign = [piece for piece in archive.pieces if piece.sequence == FOREIGN and not piece.packing]
            begun = next((at for at, piece in enumerate(foreign) if places.is_at(piece, place)), len(foreign))
            own = [piece for piece in archive.pieces if piece.sequence != FOREIGN]
            archive.pieces = [*foreign[begun:], *own]
        return archive

    def _batch(self, archive: Archive, most: int, size: int) -> Batch:
        found = places.Found(0, 0) if self._place is None else places.find(archive, self._place)
        lost = self._missed(archive, found)
        lines: list[bytes] = []
        taken = 0
        at, offset = found.at, found.offset
        while at < len(archive.pieces):
            file, active = archive.open(at), at == len(archive.pieces) - 1 and archive.active is not None
            if file is not None:
                for line, end in _lines(file, offset, active):
                    lines.append(line)
                    offset, taken = end, taken + len(line)
                    if len(lines) >= most or taken >= size:
                        return Batch(lines, lost, self._place_in(archive, at, offset))
            if at + 1 == len(archive.pieces):
                return Batch(lines, lost, self._place_in(archive, at, offset))
            at, offset = at + 1, 0
        return Batch(lines, lost, Place(archive.sequence, 0, 0, 0, 0))

    def _place_in(self, archive: Archive, at: int, offset: int) -> Place:
        self._seen = _sizes(archive, at)
        return places.place_in(archive.open(at), archive.pieces[at].sequence, offset)

    def _missed(self, archive: Archive, found: places.Found) -> Lost:
        """What stood between the last acknowledged line and where reading goes on."""
        place = self._place
        if place is None or not found.lost:
            return Lost()
        if place.sequence == FOREIGN:
            return Lost(1, 0)  # compressed or removed by whoever rotated it
        now = archive.pieces[found.at].sequence if found.at < len(archive.pieces) else archive.sequence
        there = {piece.sequence for piece in archive.pieces if piece.path != archive.path}
        gone = [sequence for sequence in self._ahead if sequence not in there]
        rest = self._ahead.get(place.sequence, place.offset) - place.offset
        files = max(now - place.sequence - 1, sum(sequence > place.sequence for sequence in gone))
        files += rest > 0 or (place.sequence not in self._ahead and now > place.sequence)
        return Lost(max(0, files), max(0, rest) + sum(self._ahead[it] for it in gone if it > place.sequence))


def _lines(file: File, start: int, active: bool) -> Iterator[tuple[bytes, int]]:
    """Each line with where it ends. What has no end yet is left out of the active file, and is a line of another."""
    for begin, block in forward(file, start, file.size):
        end = begin
        for line in block[:-1]:
            end += len(line) + 1
            yield line, end
        end += len(block[-1])
        following = file.read(end, 1) if end < file.size else b""
        if following == b"\n":
            yield block[-1], end + 1
        elif following or not active:
            yield block[-1], end  # a piece of a line that is too long, or the end of a file that was cut


def _sizes(archive: Archive, first: int) -> dict[int, int]:
    """Bytes of the files from this one on that will not grow any more, as far as they tell without being read."""
    found = {}
    for piece in archive.pieces[first : first + _AHEAD]:
        if piece.path == archive.path or piece.sequence == FOREIGN:
            continue
        try:
            with open(piece.path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                if piece.packing == ".gz":
                    file.seek(-4, os.SEEK_END)
                    end = int.from_bytes(file.read(4), "little")  # RFC 1952: the size, modulo 4 GiB
                elif piece.packing:
                    continue
        except OSError:
            continue
        found[piece.sequence] = end
    return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _sync_folder(path: str) -> None:
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
