"""Files and folders to nodes: what is read, in which order, within which bounds. What the keys mean is `decode`'s."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence as Several
from typing import Final

from pserv.config.nodes import Node, Unreadable
from pserv.config.places import SUFFIXES
from pserv.model.mistakes import Mistake
from pserv.model.spec import SourceFile

MAX_BYTES: Final = 4 * 1024 * 1024
EXAMPLE: Final = 'services: {web: {command: "python3 -m http.server 8080"}}'


class Loaded:
    """A file that was read: its root node, and what identifies its content."""

    __slots__ = ("path", "root", "source")

    def __init__(self, path: str, root: Node, source: SourceFile) -> None:
        self.path = path
        self.root = root
        self.source = source


def load_files(paths: Several[str], mistakes: list[Mistake]) -> list[Loaded]:
    """All that can be read, folders expanded, each file once; what cannot goes to `mistakes`."""
    loaded: list[Loaded] = []
    seen: set[str] = set()
    for path in expand(paths, mistakes):
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            loaded.append(_load(path, mistakes))
        except Unreadable as error:
            mistakes.append(error.mistake)
    return loaded


def expand(paths: Several[str], mistakes: list[Mistake]) -> list[str]:
    """Folders replaced by their *.yaml, *.yml and *.toml in the order of their names; hidden files are left out."""
    files: list[str] = []
    for path in paths:
        try:
            if not stat.S_ISDIR(os.stat(path).st_mode):
                files.append(path)
                continue
            names = sorted(os.listdir(path))
        except OSError as error:
            mistakes.append(_not_opened(path, error))
            continue
        found = [os.path.join(path, n) for n in names if n.endswith(SUFFIXES) and not n.startswith(".")]
        if not found and len(paths) == 1:
            mistakes.append(Mistake("no *.yaml, *.yml or *.toml in this folder", "name a file with -c FILE", path))
        files.extend(found)
    return files


def _not_opened(path: str, error: OSError) -> Mistake:
    hints = {
        FileNotFoundError: "check the name; -c takes a file or a folder",
        PermissionError: f"make it readable for the daemon's user: chmod +r {path}",
    }
    return Mistake(f"cannot read this file: {error.strerror}", hints.get(type(error), ""), path)


def content(path: str) -> tuple[str, SourceFile]:
    """The text of a regular file of UTF-8, and what identifies it. Raises Unreadable."""
    data, mtime_ns = _bytes(path)
    return _text(data, path), SourceFile(os.path.realpath(path), mtime_ns, digest(data))


def _load(path: str, mistakes: list[Mistake]) -> Loaded:
    text, source = content(path)
    root: Node | None
    # Each reader is imported when a file needs it: a start pays for one of them.
    if path.endswith(".toml"):
        from pserv.config.toml_nodes import read_toml

        root = read_toml(text, path, mistakes)
    else:
        from pserv.config.yaml_nodes import read_yaml

        root = read_yaml(text, path, mistakes)
    if root is None:
        raise Unreadable(Mistake("the file is empty", f"declare a service: {EXAMPLE}", path))
    return Loaded(path, root, source)


def _bytes(path: str) -> tuple[bytes, int]:
    try:
        # Without O_NONBLOCK a FIFO of that name would hold us until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(Mistake("not a regular file", "copy its content to a file", path))
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(_not_opened(path, error)) from None
    if len(data) > MAX_BYTES:
        raise Unreadable(
            Mistake("larger than 4 MB", "split it into several files, or check that it is the file you mean", path)
        )
    return data, status.st_mtime_ns


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The position counts from after the byte order mark, which is not part of `error.object`.
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise Unreadable(
            Mistake(
                f"not UTF-8: byte 0x{error.object[error.start]:02x}",
                "save the file as UTF-8",
                path,
                line,
                column,
            )
        ) from None


def digest(data: bytes) -> str:
    """Content in short; a checksum and the length, because a cryptographic one would map libcrypto into the daemon."""
    return f"{zlib.crc32(data):08x}{len(data):x}"
