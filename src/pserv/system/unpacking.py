"""What a compressed file holds, in blocks from its start. How a file is found and kept is elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from pserv.system.archive import Unreadable

_BLOCK: Final = 1 << 16
_PIECE: Final = 1 << 20
"""A block of what comes out: a file of zeros must not fill the memory."""


def blocks(fd: int, packing: str) -> Iterator[bytes]:
    """Of a `.gz` or `.zst` file. One that was cut off ends where it was cut. Raises OSError, Unreadable."""
    return _gzip(fd) if packing == ".gz" else _zstd(fd)


def _gzip(fd: int) -> Iterator[bytes]:
    import zlib

    members = zlib.decompressobj(31)
    data = os.read(fd, _BLOCK)
    while data:
        try:
            out = members.decompress(data, _PIECE)
        except zlib.error as error:
            raise Unreadable(f"it is no gzip file, or damaged: {error}") from None
        if out:
            yield out
        data = members.unconsumed_tail
        if members.eof:
            data = members.unused_data
            members = zlib.decompressobj(31)
        if not data:
            data = os.read(fd, _BLOCK)


def _zstd(fd: int) -> Iterator[bytes]:
    reader = _library()
    if reader is None:
        yield from _command(fd)
        return
    try:
        with reader(fd) as file:
            while data := file.read(_BLOCK):
                yield data
    except EOFError:
        return
    except (OSError, ValueError) as error:
        raise Unreadable(f"it is no zstd file, or damaged: {error}") from None
    except Exception as error:  # the libraries have errors of their own
        if type(error).__name__ != "ZstdError":
            raise
        raise Unreadable(f"it is no zstd file, or damaged: {error}") from None


def _library() -> Any:
    """Opens a descriptor that stays open; None without a library."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        pass
    else:
        return lambda fd: zstd.open(os.fdopen(os.dup(fd), "rb"))
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return lambda fd: zstandard.ZstdDecompressor().stream_reader(
        os.fdopen(os.dup(fd), "rb"), read_across_frames=True, closefd=True
    )


def _command(fd: int) -> Iterator[bytes]:
    """By zstd(1)."""
    out, into = os.pipe()
    try:
        moves = [(os.POSIX_SPAWN_DUP2, fd, 0), (os.POSIX_SPAWN_DUP2, into, 1)]
        pid = os.posix_spawnp("zstd", ["zstd", "-dcq"], os.environ, file_actions=moves)
    except OSError:
        os.close(out)
        raise Unreadable("it is a zstd file: install zstd, or pserv[zstd]") from None
    finally:
        os.close(into)
    try:
        while data := os.read(out, _BLOCK):
            yield data
    finally:
        os.close(out)
        os.waitpid(pid, 0)
