"""Files and folders to nodes: what is read, in which order, within which bounds. What the keys mean is `decode`'s."""

from __future__ import annotations

import glob
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Several
from typing import Final

from pserv.config.nodes import Mapping, Node, Scalar, Sequence, Unfilled, Unreadable
from pserv.config.places import SUFFIXES
from pserv.config.remembered import Remembered
from pserv.model.mistakes import Mistake
from pserv.model.spec import SourceFile

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_FILES: Final = 5000
EXAMPLE: Final = 'services: {web: {command: "python3 -m http.server 8080"}}'


class Loaded:
    """A file that was read: its root node, and what identifies its content. One of a later `layer` overrides."""

    __slots__ = ("layer", "path", "root", "source")

    def __init__(self, path: str, root: Node, source: SourceFile, layer: int) -> None:
        self.path = path
        self.root = root
        self.source = source
        self.layer = layer


class Reading:
    """Reads files and what they include, each once. `prepare` is done to each root before it is looked at."""

    def __init__(
        self, mistakes: list[Mistake], prepare: Callable[[Node], None], remembered: Remembered | None = None
    ) -> None:
        self._mistakes = mistakes
        self._remembered = remembered
        self._prepare = prepare
        self._seen: set[str] = set()
        self._real_folders: dict[str, str] = {}
        self.sources: list[SourceFile] = []
        """What was read so far."""
        self.folders: dict[str, int] = {}
        """Folders in which a new file would be read, too, and how many levels deep."""

    def layers(self, paths: Several[str]) -> Iterator[Loaded]:
        """All that can be read, folders expanded: each path a layer of its own, over those before it."""
        for layer, path in enumerate(paths):
            for file in self._expand([path], needed=len(paths) == 1):
                yield from self._with_included(file, layer)

    def alone(self, path: str) -> Loaded | None:
        """One file without what it includes, also if it was read before; None when it cannot be read."""
        return self._load(path, 0, self._real(path))

    def _with_included(self, path: str, layer: int) -> Iterator[Loaded]:
        """A file, then what it includes, all in the same layer: side by side."""
        waiting = [path]
        while waiting:
            real = self._real(path := waiting.pop(0))
            if real in self._seen:
                continue
            self._seen.add(real)
            if len(self._seen) > MAX_FILES:
                raise Unreadable(Mistake(f"more than {MAX_FILES} files are included", "include fewer", path))
            if file := self._load(path, layer, real):
                yield file
                waiting[:0] = self._included(file.root, os.path.dirname(path))

    def _included(self, root: Node, folder: str) -> list[str]:
        """The files that a file includes, in the order named: paths from its folder, folders and globs expanded."""
        pair = root.pairs.get("include") if isinstance(root, Mapping) else None
        if pair is None or (isinstance(pair[1], Scalar) and pair[1].is_null):
            return []
        node = pair[1]
        found: list[str] = []
        for item in node.items if isinstance(node, Sequence) else [node]:
            if isinstance(item, Unfilled):
                continue
            if not isinstance(item, Scalar) or not item.text:
                message = f"include: {item.called} where a file is expected"
                self._mistakes.append(item.mistake(message, 'write include: ["apps/*.yaml"]'))
                continue
            path = os.path.join(folder, item.text)
            if any(mark in path for mark in "*?["):
                self._note_glob(path)
                found += self._expand(sorted(glob.glob(path)))
            elif os.path.exists(path):
                found += self._expand([path])
            else:
                hint = "paths are relative to this file; one with * may match nothing"
                self._mistakes.append(item.mistake(f"include: there is no {os.path.normpath(path)}", hint))
        return found

    def _note_glob(self, path: str) -> None:
        parts = path.split("/")
        plain = next(at for at, part in enumerate(parts) if any(mark in part for mark in "*?["))
        self._note_folder("/".join(parts[:plain]) or "/", len(parts) - plain)

    def _note_folder(self, path: str, depth: int) -> None:
        folder = os.path.normpath(path)
        self.folders[folder] = max(depth, self.folders.get(folder, 0))

    def _expand(self, paths: Several[str], *, needed: bool = False) -> list[str]:
        """Folders replaced by their *.yaml, *.yml and *.toml in the order of their names; hidden files are left out.

        `needed`: a folder without any is a mistake.
        """
        files: list[str] = []
        for path in paths:
            try:
                if not stat.S_ISDIR(os.stat(path).st_mode):
                    files.append(path)
                    continue
                names = sorted(os.listdir(path))
            except OSError as error:
                self._mistakes.append(_not_opened(path, error))
                continue
            self._note_folder(path, 1)
            found = [os.path.join(path, n) for n in names if n.endswith(SUFFIXES) and not n.startswith(".")]
            if not found and needed:
                hint = "name a file with -c FILE"
                self._mistakes.append(Mistake("no *.yaml, *.yml or *.toml in this folder", hint, path))
            files.extend(found)
        return files

    def _real(self, path: str) -> str:
        """The path without links. Those on the way to a folder are looked for once."""
        folder, name = os.path.split(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._real_folders[folder], name)
        return os.path.realpath(real) if os.path.islink(real) else real

    def _load(self, path: str, layer: int, real: str) -> Loaded | None:
        try:
            text, source = content(path, real)
            root = self._parsed(text, path, source)
        except Unreadable as error:
            self._mistakes.append(error.mistake)
            return None
        self._prepare(root)
        if source not in self.sources:
            self.sources.append(source)
        return Loaded(path, root, source, layer)

    def _parsed(self, text: str, path: str, source: SourceFile) -> Node:
        if self._remembered is None:
            return _parsed(text, path, self._mistakes)
        root = self._remembered.root(path, source)
        if root is None:
            mistakes = len(self._mistakes)
            root = _parsed(text, path, self._mistakes)
            if len(self._mistakes) == mistakes:
                self._remembered.learn(path, source, root)
        return root


def _not_opened(path: str, error: OSError) -> Mistake:
    hints = {
        FileNotFoundError: "check the name; -c takes a file or a folder",
        PermissionError: f"make it readable for the daemon's user: chmod +r {path}",
    }
    return Mistake(f"cannot read this file: {error.strerror}", hints.get(type(error), ""), path)


def content(path: str, real: str | None = None) -> tuple[str, SourceFile]:
    """The text of a regular file of UTF-8, and what identifies it; `real` is its path without links, where that is
    known. Raises Unreadable."""
    data, mtime_ns = _bytes(path)
    return _text(data, path), SourceFile(real or os.path.realpath(path), mtime_ns, digest(data))


def _parsed(text: str, path: str, mistakes: list[Mistake]) -> Node:
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
    return root


def _bytes(path: str) -> tuple[bytes, int]:
    try:
        # Without O_NONBLOCK a FIFO of that name would hold us until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(Mistake("not a regular file", "copy its content to a file", path))
            expected = min(status.st_size, MAX_BYTES) + 1  # a buffer of 4 MB takes longer than most files
            data = file.read(expected)
            if len(data) == expected:  # it grew, or its size was none: what is in /proc
                data += file.read(MAX_BYTES + 1 - expected)
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
