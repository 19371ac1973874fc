"""One log followed by its path, across rotation, truncation and deletion. What was there before is in `sources`."""

from __future__ import annotations

import os
import time
from typing import Final

from pserv.system import places
from pserv.system.archive import Archive, PlainFile, Unreadable
from pserv.system.changes import Changes
from pserv.system.places import MARK
from pserv.system.scan import forward
from pserv.system.sources import Source

_BLOCK: Final = 1 << 16
_LONGEST: Final = 1 << 16
_REDONE: Final = 16 << 20
"""Bytes of one batch of the logger's, as JSON: so much it may take back, to write the same once more."""
_PATIENCE: Final = 1.0
"""Seconds until what was taken back and did not come again counts as a truncation."""


class Followed:
    """Which file is read, and how far. What cannot be opened is as if it were not there."""

    __slots__ = (
        *("_cut_to", "_cut_until", "_end", "_head", "_offset", "_rest", "_sequence"),
        *("_source", "file", "path", "watches"),
    )

    def __init__(self, source: Source) -> None:
        """Goes on where the source ends; takes its active file."""
        self.path = source.path
        self.watches: set[int] = set()
        """What may tell of news: the folder, the file, and the one that will follow it; -1: it is to be looked at."""
        self.file: PlainFile | None = None
        self._source = source
        self._sequence = source.archive.sequence
        """Of the file that is read; without one, of the first that will be."""
        self._rest = self._head = self._end = b""
        self._offset = 0
        self._cut_to = -1
        self._cut_until = 0.0
        self._take(source.archive.active, source.end.offset)

    def read(self) -> None:
        """Give all lines that have come. Raises Gone."""
        file = self.file
        if file is None:
            return
        try:
            if not self._settled(file):
                return
            while data := file.read(self._offset, _BLOCK):
                if self._offset == 0:
                    self._head = data[:MARK]
                self._offset += len(data)
                self._end = (self._end + data)[-MARK:]
                self._feed(data)
        except OSError:  # such as EIO or ESTALE: another look follows with the next change
            return

    def deleted(self) -> bool:
        """Whether what is read has no name any more."""
        return self.file is not None and os.fstat(self.file.fd).st_nlink == 0

    def waits(self) -> bool:
        """Whether time alone may bring news."""
        return self._cut_to >= 0

    def successor(self) -> int | None:
        """The size of the file that has our path now, if that is another one."""
        try:
            named = os.stat(self.path)
        except OSError:
            return None
        ours = self.file.inode if self.file is not None else None
        return None if (named.st_dev, named.st_ino) == ours else named.st_size

    def renew(self) -> None:
        """Finish this file, give those rotated since, and go on with the one that has our path. Raises Gone."""
        if self.file is not None:
            self.read()
            self.flush()
            self._sequence = self._number(self.file) + 1
            self.file.close()
            self.file = None
        archive = Archive(self.path)
        archive.list()
        try:
            self._catch_up(archive)
        except BaseException:
            archive.close()
            raise
        active, archive.active = archive.active, None
        archive.close()
        if active is not None:
            self._sequence = archive.pieces[-1].sequence
            self._take(active, 0)
            self.tell_place()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    # -- the file that is read ----------------------------------------------------------------------------------

    def _take(self, file: PlainFile | None, offset: int) -> None:
        self.file, self._offset, self._rest = file, offset, b""
        self._cut_to = -1
        self._head = self._end = b""
        if file is not None and offset:
            try:
                self._head = file.read(0, min(MARK, offset))
                self._end = file.read(max(0, offset - MARK), min(MARK, offset))
            except OSError:
                self._offset = 0

    def _settled(self, file: PlainFile) -> bool:
        """Whether it can be read on; looks whether somebody has cut it. Raises OSError, Gone."""
        size = os.fstat(file.fd).st_size
        if size >= self._offset:
            if size > self._offset and self._end != file.read(self._offset - len(self._end), len(self._end)):
                self._again(max(self._cut_to, 0))
            self._cut_to = -1
            return True
        if self._cut_to < 0 and (self._offset - size > _REDONE or not self._is_taken_back(file, size)):
            self._again(0)
            return True
        # The logger died in the middle of a batch: its successor takes that back and writes the same again.
        now = time.monotonic()
        if self._cut_to < 0:
            self._cut_until = now + _PATIENCE
        self._cut_to = size if self._cut_to < 0 else min(size, self._cut_to)
        if now < self._cut_until:
            return False
        self._again(self._cut_to)
        return True

    def _is_taken_back(self, file: PlainFile, size: int) -> bool:
        """Whether what is left is what was there, up to the end of a line."""
        head = self._head[:size]
        return size > 0 and file.read(0, len(head)) == head and file.read(size - 1, 1) == b"\n"

    def _again(self, offset: int) -> None:
        """What was read is not there any more. Raises Gone."""
        self.flush()
        self._offset, self._end, self._cut_to = offset, b"", -1

    # -- what came between --------------------------------------------------------------------------------------

    def _number(self, file: PlainFile) -> int:
        """The number that a file has got; what it was to be, where that cannot be told (it was compressed at once)."""
        archive = Archive(self.path)
        archive.list()
        archive.close()
        for piece in reversed(archive.pieces):
            try:
                named = os.stat(piece.path)
            except OSError:
                continue
            if (named.st_dev, named.st_ino) == file.inode:
                return piece.sequence
        return self._sequence

    def _catch_up(self, archive: Archive) -> None:
        """Give the rotated files that nobody has seen. Raises Gone."""
        rotated = archive.pieces if archive.active is None else archive.pieces[:-1]
        missed = [at for at, piece in enumerate(rotated) if piece.sequence >= self._sequence]
        if missed and rotated[missed[0]].sequence > self._sequence:
            count = rotated[missed[0]].sequence - self._sequence
            what = "a file was" if count == 1 else f"{count} files were"
            self._source.note(f"{what} removed before anybody had read it", "log: {rotate: {keep: N}}")
        for at in missed:
            file = archive.open(at)
            if file is None:
                continue
            self._sequence = rotated[at].sequence
            try:
                for offset, lines in forward(file, 0, file.size):
                    self._source.give(lines)
                    end = offset + sum(len(line) + 1 for line in lines)
                    if self._source.placed:
                        self._source.tell_place(places.place_in(file, self._sequence, min(end, file.size)))
            except (OSError, Unreadable) as error:
                self._source.complain(error)
            self._sequence += 1

    # -- lines --------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._rest += data
        cut = self._rest.rfind(b"\n") + 1
        lines: list[bytes] = []
        if cut:
            lines = self._rest[: cut - 1].split(b"\n")
            self._rest = self._rest[cut:]
        while len(self._rest) > _LONGEST:
            lines.append(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]
        if lines:
            self._source.give(lines)
            self.tell_place()

    def flush(self) -> None:
        """Give what has no line end: nothing will follow. Raises Gone."""
        rest, self._rest = self._rest, b""
        if rest:
            self._source.give([rest])

    def tell_place(self) -> None:
        """How far it is. Raises Gone."""
        if self.file is not None and self._source.placed:
            try:
                self._source.tell_place(places.place_in(self.file, self._sequence, self._offset - len(self._rest)))
            except OSError:
                return


def look(file: Followed, changes: Changes) -> None:
    """Give what has come; go on with the file that took our path, if there is one and somebody has written to it.

    Whoever rotates may make the new file while the old one is still written. Raises Gone.
    """
    # Watch before reading: what comes between the two is told, and then read for nothing.
    watches = {changes.watch_folder(os.path.dirname(file.path) or ".")}
    if file.file is not None:
        watches.add(changes.watch_file(f"/proc/self/fd/{file.file.fd}"))
    file.read()
    size = file.successor()
    if size == 0 and file.file is not None:
        watches.add(changes.watch_file(file.path))
        size = file.successor()
    if size is not None and (size or file.file is None):
        file.renew()
        if file.file is not None:
            watches.add(changes.watch_file(f"/proc/self/fd/{file.file.fd}"))
        file.read()
    if file.deleted() or file.waits():
        watches.add(-1)  # a folder that is deleted while we have a file of it open is not told
    for number in file.watches - watches:
        changes.forget(number)
    file.watches = watches
