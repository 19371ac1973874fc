"""What libraries load and nobody here uses: it is left out where a daemon's start or its memory would pay for it."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from typing import Any

_UNUSED = ("uuid", "decimal")
"""Modules of which msgspec wants a type each, to know its values when it sees one."""
_RARELY = ("msgspec.inspect", "msgspec._json_schema")
"""Its own modules that only a schema needs, and the functions of the second."""
_SCHEMA = ("schema", "schema_components")


def load_msgspec() -> None:
    """Import msgspec as a process does that has no UUIDs and no decimal numbers: 9 ms and 0.6 MB less.

    The modules themselves are as ever for whoever imports them later; only msgspec does not know their types here.
    Those of its own that describe types are loaded by the first schema.
    """
    # 1 MB that msgspec imports only where it happens to be installed, and does without.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    if "msgspec" in sys.modules:
        return
    places = {name: _Place(name) for name in (*_UNUSED, *_RARELY) if name not in sys.modules}
    for name in _SCHEMA:
        setattr(places[_RARELY[1]], name, partial(_schema, name))
    sys.modules.update(places)
    try:
        import msgspec
    except AttributeError:  # a version that wants more of them
        _remove(places)
        import msgspec
    else:
        _remove(places)
        del msgspec.inspect


def _remove(places: Mapping[str, ModuleType]) -> None:
    for name in places:
        del sys.modules[name]


def _schema(name: str, *arguments: Any, **options: Any) -> Any:
    from msgspec import _json_schema

    return getattr(_json_schema, name)(*arguments, **options)


class _Place(ModuleType):
    """Stands for a module: each name in it is a type that has no values."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _Nothing(type):
    """A type that nothing is of; so are its attributes."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


def load_without_patterns(load: Callable[[], None]) -> None:
    """Import modules whose regular expressions are compiled when they are first used, not by the import.

    Of PyYAML's, which take as long as a small file takes to be read, none is used where its C parser is.
    """
    import re

    at_once = re.compile
    re.compile = lambda *arguments: _Pattern(at_once, arguments)  # type: ignore[assignment]
    try:
        load()
    finally:
        re.compile = at_once


class _Pattern:
    """A regular expression that nobody has used yet."""

    __slots__ = ("_arguments", "_compile", "_compiled")

    def __init__(self, at_once: Callable[..., re.Pattern[Any]], arguments: tuple[Any, ...]) -> None:
        self._compile = at_once
        self._arguments = arguments
        self._compiled: re.Pattern[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if self._compiled is None:
            self._compiled = self._compile(*self._arguments)
        return getattr(self._compiled, name)
