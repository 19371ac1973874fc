"""What stands before a line where several services print to one place: of `up`, of `logs`, and of `inherit`."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

_COLOURS = (36, 33, 32, 35, 34, 31)
"""Cyan, yellow, green, magenta, blue, red: all can be read on a dark and on a light ground."""


class Prefixes:
    """The name and a bar. All are as wide as the widest so far; on a terminal each name keeps a colour."""

    __slots__ = ("_bar", "_coloured", "_known", "_names", "_prefixes", "_width")

    def __init__(self, names: Iterable[str], *, bar: str = "|", coloured: bool = False) -> None:
        """`names`: those that are known; not looked at before a prefix is wanted."""
        self._names = names
        self._known: list[str] = []
        self._bar = bar
        self._coloured = coloured
        self._width = 0
        self._prefixes: dict[str, str] = {}

    @classmethod
    def on(cls, stream: TextIO | None, names: Iterable[str] = ()) -> Prefixes:
        """Coloured where the stream is a terminal and nobody objects (no-color.org)."""
        if stream is None or not stream.isatty():
            return cls(names)
        unicode = (stream.encoding or "").lower().replace("-", "").startswith("utf8")
        coloured = os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
        return cls(names, bar="│" if unicode else "|", coloured=coloured)

    def before(self, name: str) -> str:
        """What stands before a line of this service."""
        prefix = self._prefixes.get(name)
        if prefix is None:
            prefix = self._prefixes[name] = self._made(name)
        return prefix

    def _made(self, name: str) -> str:
        if self._names:
            self._known, self._names = list(self._names), ()
            self._width = max(map(len, self._known), default=0)
        if name not in self._known:
            self._known.append(name)
            self._width = max(self._width, len(name))
        text = f"{name:{self._width}} {self._bar}"
        if self._coloured:
            text = f"\x1b[{_COLOURS[self._known.index(name) % len(_COLOURS)]}m{text}\x1b[0m"
        return f"{text} "
