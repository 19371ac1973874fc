"""The compression of one rotated file, in steps that a crash at any moment leaves whole. Which file, and when, is told.

`NAME` is written as `.NAME.gz.part`, which reaches the disk before it becomes `NAME.gz`, and only then `NAME` goes. So
there is always one whole file, whoever comes next sees by the names which steps are left; `NAME*` finds no half file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pserv.logger.rotated import PART

if TYPE_CHECKING:
    from pserv.logger.calls import Calls

SUFFIX: Final = {"gzip": ".gz", "zstd": ".zst"}
_BLOCK: Final = 1 << 18
_LEVEL: Final = 6
_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

Pack = Callable[[int, int, "Calls"], None]
"""Writes what one descriptor has, compressed, to another. Raises OSError."""


class CannotPack(Exception):
    """This system has nothing that compresses so."""


def packer(how: str, search: Sequence[str] | None = None) -> Pack:
    """What compresses in this way; `search`: folders of programs, by default those of PATH. Raises CannotPack."""
    return _gzip if how == "gzip" else _zstd(os.get_exec_path() if search is None else search)


def pack(folder: str, name: str, how: str, calls: Calls = os) -> bool:
    """Compress a file; False when somebody else is at it, or it is gone. Raises OSError and CannotPack.

    To be called again for what was not finished: it goes on where that was left.
    """
    path, final = os.path.join(folder, name), os.path.join(folder, name + SUFFIX[how])
    half = os.path.join(folder, unfinished(name, how))
    try:
        source = calls.open(path, _READING)
    except FileNotFoundError:
        return False
    try:
        if not _is_there(final, calls):
            part = calls.open(half, _WRITING, 0o600)
            try:
                if not _lock(part):
                    return False
                _fill(source, part, packer(how), calls)
                if not _is_there(path, calls):  # it went by retention meanwhile
                    calls.unlink(half)
                    return False
                calls.rename(half, final)
            finally:
                calls.close(part)
            _settle(folder, calls)
        calls.unlink(path)
    finally:
        calls.close(source)
    return True


def unfinished(name: str, how: str) -> str:
    """The name of a compressed file while it is written."""
    return f".{name}{SUFFIX[how]}{PART}"


def leftovers(folder: str, base: str, calls: Calls = os) -> list[str]:
    """Remove beginnings of compressed files of a log that nobody is writing; their names. Raises OSError."""
    removed = []
    for name in calls.listdir(folder):
        if name.startswith(f".{base}.") and name.endswith(PART):
            path = os.path.join(folder, name)
            try:
                fd = calls.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            try:
                if _lock(fd):
                    calls.unlink(path)
                    removed.append(name)
            finally:
                calls.close(fd)
    return removed


def _fill(source: int, part: int, write: Pack, calls: Calls) -> None:
    """All of it, with the rights of the source, on the disk."""
    calls.ftruncate(part, 0)
    try:
        write(source, part, calls)
    except OSError:
        calls.ftruncate(part, 0)  # what has no room must not take any
        raise
    status = calls.fstat(source)
    try:
        calls.fchown(part, status.st_uid, status.st_gid)
    except PermissionError:
        pass  # it is ours then
    calls.fchmod(part, stat.S_IMODE(status.st_mode))
    calls.fsync(part)


def _settle(folder: str, calls: Calls) -> None:
    """A new name is on the disk before the old one goes."""
    fd = calls.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        calls.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot do that to folders
            raise
    finally:
        calls.close(fd)


def _is_there(path: str, calls: Calls) -> bool:
    try:
        calls.stat(path)
    except FileNotFoundError:
        return False
    return True


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _blocks(source: int, calls: Calls) -> Iterator[bytes]:
    while block := calls.read(source, _BLOCK):
        yield block


def _write(part: int, data: bytes, calls: Calls) -> None:
    while data:
        data = data[calls.write(part, data) :]


def _gzip(source: int, part: int, calls: Calls) -> None:
    import zlib

    _stream(zlib.compressobj(_LEVEL, zlib.DEFLATED, 31), source, part, calls)  # 31: with gzip's header


def _stream(compressor: Any, source: int, part: int, calls: Calls) -> None:
    for block in _blocks(source, calls):
        _write(part, compressor.compress(block), calls)
    _write(part, compressor.flush(), calls)


def _zstd(search: Sequence[str]) -> Pack:
    """By the standard library (Python 3.14), by the package zstandard, or by zstd(1). Raises CannotPack."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        pass
    else:
        return lambda source, part, calls: _stream(zstd.ZstdCompressor(), source, part, calls)
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        pass
    else:
        return lambda source, part, calls: _stream(zstandard.ZstdCompressor().compressobj(), source, part, calls)
    programs = (os.path.join(folder, "zstd") for folder in search)
    program = next((path for path in programs if os.access(path, os.X_OK)), "")
    if not program:
        raise CannotPack("there is no zstd on this machine")
    return lambda source, part, calls: _by_program(program, source, part)


def _by_program(program: str, source: int, part: int) -> None:
    moves = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, part, 1)]
    pid = os.posix_spawn(program, [program, "-q", "-c"], os.environ, file_actions=moves)
    _, status = os.waitpid(pid, 0)
    if status:
        raise OSError(errno.EIO, f"zstd failed with {os.waitstatus_to_exitcode(status)}")
