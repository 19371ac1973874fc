"""What files were parsed to, kept between two loads: one that has not changed is not parsed again.

Reading, filling in, decoding and checking are done anew each time; only parsing, a third of a load, is spared.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from pserv import __version__
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.model.spec import SourceFile

MAX_BYTES: Final = 32 << 20
"""More is not kept."""


class _Kept(msgspec.Struct, array_like=True):
    """What identifies a file's content, and its root."""

    mtime_ns: int
    digest: str
    root: msgspec.Raw


class _File(msgspec.Struct, array_like=True):
    """`by`: the version of Pserv that wrote it, since another may parse otherwise."""

    by: str
    roots: dict[str, _Kept]


class Remembered:
    """The roots of the last load by path, and those of this one. A file that cannot be read or is damaged has none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._root = msgspec.msgpack.Decoder(Scalar | Sequence | Mapping)
        self._last = self._read()
        self._roots: dict[str, _Kept] = {}
        self._is_new = False

    def root(self, path: str, source: SourceFile) -> Node | None:
        """What a file of this content was parsed to, as long as nothing else is known of it."""
        kept = self._last.get(path)
        if kept is None or (kept.mtime_ns, kept.digest) != (source.mtime_ns, source.digest):
            return None
        try:
            root: Node = self._root.decode(kept.root)
        except msgspec.MsgspecError:
            return None
        self._roots[path] = kept
        return root

    def learn(self, path: str, source: SourceFile, root: Node) -> None:
        """Keep a root as it was parsed: nothing may have been filled into it yet."""
        self._roots[path] = _Kept(source.mtime_ns, source.digest, msgspec.Raw(msgspec.msgpack.encode(root)))
        self._is_new = True

    def keep(self) -> None:
        """Write what this load has learnt, of the files that it read. That it cannot be written costs time, no more."""
        if not self._is_new and self._roots.keys() == self._last.keys():
            return
        data = msgspec.msgpack.encode(_File(__version__, self._roots))
        fresh = f"{self._path}.{os.getpid()}"
        try:
            if len(data) > MAX_BYTES:
                os.unlink(self._path)
                return
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(data)
            os.replace(fresh, self._path)
        except OSError:
            _remove(fresh)

    def _read(self) -> dict[str, _Kept]:
        try:
            with open(self._path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
            found = msgspec.msgpack.decode(data, type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        return found.roots if found.by == __version__ else {}


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # it was not made
