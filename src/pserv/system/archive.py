"""The files of one log, from the oldest rotated one to the active one, opened to be read at any offset.

Compressed files are read as if they were not: offsets are those of what was printed. Lines are not known here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from pserv.logger.rotated import PACKED, family, place, readable

WINDOW: Final = 1 << 20
_TRIES: Final = 8
"""So often a rotation may come between listing the files and opening the active one."""


class Unreadable(Exception):
    """A file of a log that cannot be read; the text is a reason for people."""


FOREIGN: Final = 0
"""The number of all files that somebody else has rotated: they change their names, so nothing can be noted of them."""


class Piece(NamedTuple):
    """One file. The active one bears the number that it will have; `first` and `last` are None where not known."""

    sequence: int
    path: str
    packing: str = ""
    first: float | None = None
    last: float | None = None


class File(Protocol):
    """An open file of a log. `size` is that of when it was opened, in bytes of what was printed."""

    written: float
    """When it was written last, in seconds since 1970."""

    @property
    def size(self) -> int: ...
    def read(self, offset: int, size: int) -> bytes: ...
    def close(self) -> None: ...


class PlainFile:
    """A file as it was written."""

    __slots__ = ("_size", "fd", "inode", "written")

    def __init__(self, fd: int) -> None:
        """Takes the descriptor."""
        self.fd = fd
        status = os.fstat(fd)
        self._size = status.st_size
        self.inode = (status.st_dev, status.st_ino)
        self.written = status.st_mtime

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        """At most so many bytes; fewer only at the end. Raises OSError."""
        return os.pread(self.fd, size, offset)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class PackedFile:
    """A compressed file: read forward from its start, with so many bytes of what was passed at hand to go back to."""

    __slots__ = ("_blocks", "_fd", "_kept", "_packing", "_start", "_total", "_window", "written")

    def __init__(self, fd: int, packing: str, window: int) -> None:
        """Takes the descriptor."""
        self._fd = fd
        self._packing = packing
        self._kept = window
        self._window = bytearray()
        self._start = 0
        self._total = -1
        self._blocks: Iterator[bytes] = iter(())
        self.written = os.fstat(fd).st_mtime
        self._rewind()

    @property
    def size(self) -> int:
        """Known once all was read. Raises OSError, Unreadable."""
        if self._total < 0:
            while self._more():
                pass
        return self._total

    def read(self, offset: int, size: int) -> bytes:
        """At most so many bytes; fewer only at the end. Raises OSError, Unreadable."""
        if offset < self._start:
            self._rewind()
        while self._start + len(self._window) < offset + size and self._more():
            pass
        at = offset - self._start
        return bytes(self._window[at : at + size])

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        if not block:
            self._total = self._start + len(self._window)
            return False
        if len(self._window) >= 2 * self._kept:
            gone = len(self._window) - self._kept
            del self._window[:gone]
            self._start += gone
        self._window += block
        return True

    def _rewind(self) -> None:
        from pserv.system import unpacking  # only for who reads a compressed file

        os.lseek(self._fd, 0, os.SEEK_SET)
        self._window.clear()
        self._start = 0
        self._blocks = unpacking.blocks(self._fd, self._packing)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Archive:
    """All files of a log as they are at one moment, oldest first; the active one is last, if it is there."""

    __slots__ = ("_at", "_file", "_foreign", "_window", "active", "path", "pieces")

    def __init__(self, path: str, window: int = WINDOW, *, foreign: bool = False) -> None:
        """Opens the active file. `window`: bytes kept of a compressed file to go back to. `foreign`: what others than
        Pserv have rotated is part of it, and older than all that Pserv has."""
        self.path = path
        self._foreign = foreign
        self._window = window
        self._at = -1
        self._file: File | None = None
        self.pieces: list[Piece] = []
        self.active: PlainFile | None = None
        self._activate()

    @property
    def sequence(self) -> int:
        """The number that the active file will have."""
        return (self.pieces[-1].sequence if self.pieces else 0) + (self.active is None)

    def list(self, names: Callable[[str], list[str]] = os.listdir) -> None:
        """Find the rotated files that belong to the active one; once more where a rotation came in between.

        `names` lists a folder, as it is after the active file was opened.
        """
        for _ in range(_TRIES):
            self.pieces = listed(self.path, names)
            if self._foreign:
                self.pieces = [*_foreign(self.path, names), *self.pieces]
            if self._is_current():
                break
            names = os.listdir
            self._activate()
        if self.active is not None:
            self.pieces.append(Piece(self.sequence + 1, self.path))

    def index_of(self, sequence: int) -> int:
        """Where the first file with this number or a higher one is; the number of files where there is none."""
        return next((at for at, piece in enumerate(self.pieces) if piece.sequence >= sequence), len(self.pieces))

    def open(self, at: int) -> File | None:
        """A file of the list, kept open until another one is asked for; None for one that has gone meanwhile."""
        if self.active is not None and at == len(self.pieces) - 1:
            return self.active
        if at != self._at:
            self._close_file()
            self._at, self._file = at, self._opened(self.pieces[at])
        return self._file

    def close(self) -> None:
        self._close_file()
        if self.active is not None:
            self.active.close()

    def _activate(self) -> None:
        if self.active is not None:
            self.active.close()
        fd = open_regular(self.path)
        self.active = PlainFile(fd) if fd >= 0 else None

    def _is_current(self) -> bool:
        """Whether the file that was opened has the path still."""
        try:
            named = os.stat(self.path)
        except OSError:
            return self.active is None
        return self.active is None or self.active.inode == (named.st_dev, named.st_ino)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._at, self._file = -1, None

    def _opened(self, piece: Piece) -> File | None:
        fd = open_regular(piece.path)
        if fd < 0:  # compressed since it was listed
            found = [one for one in listed(self.path) if one.sequence == piece.sequence]
            fd = open_regular(found[0].path) if found else -1
            if fd < 0:
                return None
            piece = found[0]
        return PackedFile(fd, piece.packing, self._window) if piece.packing else PlainFile(fd)


def archives(paths: Sequence[str], window: int = WINDOW, *, foreign: bool = False) -> list[Archive]:
    """The archives of several logs; each folder is listed once."""
    found = [Archive(path, window, foreign=foreign) for path in paths]
    folders: dict[str, dict[str, list[str]]] = {}
    for archive in found:
        folder, base = place(archive.path)
        if folder not in folders:
            folders[folder] = _by_base(folder)
        names = folders[folder].get(base, [])
        archive.list(lambda _, names=names: names)  # type: ignore[misc]  # bound now, not at the end of the loop
    return found


def _by_base(folder: str) -> dict[str, list[str]]:
    """The names of a folder that may be those of rotated files, by the log's name."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        stem = name[: name.rindex(".")] if name.endswith(PACKED) else name
        base, _, rest = stem.rpartition(".")
        own = base.rpartition(".")[0]
        if rest and own:
            found.setdefault(own, []).append(name)
        if stem[-1:].isdigit():
            found.setdefault(base if rest.isdigit() else stem.rpartition("-")[0], []).append(name)
    return found


def listed(path: str, names: Callable[[str], list[str]] = os.listdir) -> list[Piece]:
    """The rotated files of a log, oldest first, one for each number."""
    try:
        found = readable(family(path, names))
    except OSError:
        return []
    folder, _ = place(path)
    return [
        Piece(one.number, os.path.join(folder, one.name), one.packing, float(one.first), one.last + 1.0)
        for one in found
    ]


def _foreign(path: str, names: Callable[[str], list[str]]) -> list[Piece]:
    from pserv.system.foreign import foreign  # only for who reads all that there is

    folder, base = place(path)
    try:
        found = foreign(folder, base, names(folder))
    except OSError:
        return []
    return [Piece(FOREIGN, one.path, one.packing, one.first, one.last) for one in found]


def open_regular(path: str) -> int:
    """A regular file, opened; -1 for what is none: reading a FIFO would take what is meant for another."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return -1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1
