"""The supervisor's code as it was when the daemon started, held in memory: a package replaced on disk changes nothing.

The keeper imports none of it, so it stays small and forks fast; each supervisor loads it from here. What is in it does
not matter here.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterable, Sequence
from importlib._bootstrap_external import cache_from_source  # as importlib.util has it, without 0.2 MB of its own
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder
from types import CodeType, ModuleType

from pserv.keeper import memory

_PYC_HEADER = 16
"""Bytes before the code in a .pyc file: magic, flags, and mtime and size of the source (PEP 552)."""
_MOST = 1 << 16
"""Bytes of a .pyc file that are read at once; few have more."""


class Bundle:
    """Modules of a few packages: compiled code behind one descriptor, extension modules behind one each.

    Put on `sys.meta_path` it is asked before the disk. Descriptors stay open across forks and close on exec. What is
    in it stands behind the code: the keeper, which looks for nothing, does not hold it.
    """

    def __init__(self, packages: Iterable[str], modules: Iterable[str] = ()) -> None:
        """Collect every module of these packages, and further ones. Raises ImportError for what is not installed."""
        self._fd = memory.holding(name="pserv-code")
        collected = _Collected(self._fd)
        for package in packages:
            spec = _found(package)
            if not spec.submodule_search_locations:
                raise ImportError(f"no package named {package}")
            collected.take(package, next(iter(spec.submodule_search_locations)))
        for module in modules:
            spec = _found(module)
            path = str(spec.origin)
            cache = cache_from_source(path)
            collected.add(module, path, os.stat(path), cache, bool(spec.submodule_search_locations))
        self._extensions = collected.extensions
        self._index: dict[str, tuple[int, int, str, bool]] | None = None
        self._size = collected.size
        os.pwrite(self._fd, marshal.dumps(collected.index), self._size)

    @property
    def descriptors(self) -> set[int]:
        """What a fork must not close."""
        return {self._fd, *(fd for fd, _ in self._extensions.values())}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A finder (importlib.abc.MetaPathFinder): the spec of a module that is held here."""
        if name in self._extensions:
            fd, origin = self._extensions[name]
            held = f"/proc/self/fd/{fd}" if sys.platform == "linux" else origin
            return ModuleSpec(name, ExtensionFileLoader(name, held), origin=origin)
        if name not in self._held():
            return None
        _, _, origin, package = self._held()[name]
        spec = ModuleSpec(name, self, origin=origin, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(origin)]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual (importlib.abc.Loader)."""

    def exec_module(self, module: ModuleType) -> None:
        start, size, _, _ = self._held()[module.__name__]
        code: CodeType = marshal.loads(os.pread(self._fd, size, start))
        exec(code, module.__dict__)

    def _held(self) -> dict[str, tuple[int, int, str, bool]]:
        """Of each module: where its code begins, its size, the path of its source, whether it is a package."""
        if self._index is None:
            whole = os.fstat(self._fd).st_size
            self._index = marshal.loads(os.pread(self._fd, whole - self._size, self._size))
        return self._index


class _Collected:
    """What a bundle is made of, while it is: the code goes behind the descriptor at once."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self.index: dict[str, tuple[int, int, str, bool]] = {}
        self.extensions: dict[str, tuple[int, str]] = {}

    def take(self, package: str, folder: str) -> None:
        """All modules of a package and of those in it."""
        head, tail = _cached(folder)
        for entry in os.scandir(folder):
            file = entry.name
            stem = file.partition(".")[0]
            name = package if stem == "__init__" else f"{package}.{stem}"
            if file.endswith(".py"):
                self.add(name, entry.path, entry.stat(), f"{head}{stem}{tail}", stem == "__init__")
            elif file.endswith(tuple(EXTENSION_SUFFIXES)):
                self.extensions[name] = (os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC), entry.path)
            elif entry.is_dir() and os.path.exists(os.path.join(entry.path, "__init__.py")):
                self.take(name, entry.path)

    def add(self, name: str, path: str, status: os.stat_result, cache: str, package: bool) -> None:
        code = _compiled(path, status, cache)
        self.index[name] = (self.size, len(code), path, package)
        os.pwrite(self.fd, code, self.size)
        self.size += len(code)


def _found(name: str) -> ModuleSpec:
    parent, _, _ = name.rpartition(".")
    spec = PathFinder.find_spec(name, sys.modules[parent].__path__ if parent else None)
    if spec is None:
        raise ImportError(f"no module named {name}")
    return spec


def _cached(folder: str) -> tuple[str, str]:
    """What stands before and after the name of a module in the path of its .pyc file; asked once a folder."""
    head, _, tail = cache_from_source(os.path.join(folder, "?.py")).rpartition("?")
    return head, tail


def _compiled(path: str, status: os.stat_result, cache: str) -> bytes:
    """Marshalled code: from the cache where that belongs to the source, else compiled."""
    try:
        fd = os.open(cache, os.O_RDONLY | os.O_CLOEXEC)  # half the calls of open(), 200 times
    except OSError:
        pass  # no cache, or none that we may read
    else:
        try:
            cached = os.read(fd, _MOST)
            if len(cached) == _MOST:
                cached += os.read(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
        stamp = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
        stamp += (status.st_size & 0xFFFFFFFF).to_bytes(4, "little")
        if cached[4:8] == b"\0\0\0\0" and cached[8:_PYC_HEADER] == stamp:
            return cached[_PYC_HEADER:]
    with open(path, "rb") as file:
        return marshal.dumps(compile(file.read(), path, "exec", dont_inherit=True))
