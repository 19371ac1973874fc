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


class Bundle:
    """Modules of a few packages: compiled code behind one descriptor, extension modules behind one each.

    Put on `sys.meta_path` it is asked before the disk. Descriptors stay open across forks and close on exec.
    """

    def __init__(self, packages: Iterable[str], modules: Iterable[str] = ()) -> None:
        """Collect every module of these packages, and further ones. Raises ImportError for what is not installed."""
        self._code: dict[str, tuple[int, int, str, bool]] = {}
        self._extensions: dict[str, tuple[int, str]] = {}
        self._fd = memory.holding(name="pserv-code")
        self._size = 0
        for package in packages:
            spec = _found(package)
            if not spec.submodule_search_locations:
                raise ImportError(f"no package named {package}")
            self._collect(package, next(iter(spec.submodule_search_locations)))
        for module in modules:
            spec = _found(module)
            self._add(module, str(spec.origin), bool(spec.submodule_search_locations))

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
        if name not in self._code:
            return None
        _, _, origin, package = self._code[name]
        spec = ModuleSpec(name, self, origin=origin, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(origin)]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual (importlib.abc.Loader)."""

    def exec_module(self, module: ModuleType) -> None:
        start, size, _, _ = self._code[module.__name__]
        code: CodeType = marshal.loads(os.pread(self._fd, size, start))
        exec(code, module.__dict__)

    def _collect(self, package: str, folder: str) -> None:
        for entry in os.scandir(folder):
            stem = entry.name.split(".")[0]
            name = package if stem == "__init__" else f"{package}.{stem}"
            if entry.name.endswith(".py"):
                self._add(name, entry.path, stem == "__init__")
            elif entry.name.endswith(tuple(EXTENSION_SUFFIXES)):
                self._extensions[name] = (os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC), entry.path)
            elif entry.is_dir() and os.path.exists(os.path.join(entry.path, "__init__.py")):
                self._collect(name, entry.path)

    def _add(self, name: str, path: str, package: bool) -> None:
        code = _compiled(path)
        os.pwrite(self._fd, code, self._size)
        self._code[name] = (self._size, len(code), path, package)
        self._size += len(code)


def _found(name: str) -> ModuleSpec:
    parent, _, _ = name.rpartition(".")
    spec = PathFinder.find_spec(name, sys.modules[parent].__path__ if parent else None)
    if spec is None:
        raise ImportError(f"no module named {name}")
    return spec


def _compiled(path: str) -> bytes:
    """Marshalled code: from the cache where that belongs to the source, else compiled."""
    status = os.stat(path)
    stamp = b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in (int(status.st_mtime), status.st_size))
    try:
        fd = os.open(cache_from_source(path), os.O_RDONLY | os.O_CLOEXEC)  # half the calls of open(), 200 times
    except OSError:
        pass  # no cache, or none that we may read
    else:
        try:
            cached = os.read(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
        if cached[4:8] == b"\0\0\0\0" and cached[8:_PYC_HEADER] == stamp:
            return cached[_PYC_HEADER:]
    with open(path, "rb") as file:
        return marshal.dumps(compile(file.read(), path, "exec", dont_inherit=True))
