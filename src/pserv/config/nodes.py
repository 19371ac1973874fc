"""What a configuration file says before anybody asks what it means: text, lists, mappings, each with its position.

A plain scalar keeps its text, because its type is the option's to decide (`1.10`, `022`, `no`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pserv.model.mistakes import Mistake

MAX_NODES: Final = 50_000
"""Values in one file, counted after aliases are expanded."""
MAX_DEPTH: Final = 64

NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))


class Node:
    """A value and where it stands: the file's path; line and column from 1."""

    __slots__ = ("column", "file", "line")
    called = "a value"

    def __init__(self, file: str, line: int, column: int) -> None:
        self.file = file
        self.line = line
        self.column = column

    def mistake(self, message: str, hint: str = "") -> Mistake:
        """A mistake at this position."""
        return Mistake(message, hint, self.file, self.line, self.column)


class Scalar(Node):
    """A text as written; `quoted` says that it can only be a text, never null."""

    __slots__ = ("quoted", "text")
    called = "a single value"

    def __init__(self, text: str, quoted: bool, file: str, line: int, column: int) -> None:
        # Not by super(): a file has a hundred thousand of these.
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.quoted = quoted

    @property
    def is_null(self) -> bool:
        return not self.quoted and self.text in NULLS


class Filled(Scalar):
    """A text that variables were filled into; `origin`: where they came from, `secret`: it must not be shown."""

    __slots__ = ("origin", "secret")

    def __init__(self, text: str, written: Scalar, origin: str, *, secret: bool) -> None:
        super().__init__(text, written.quoted or text in NULLS, written.file, written.line, written.column)
        self.origin = origin
        self.secret = secret

    def mistake(self, message: str, hint: str = "") -> Mistake:
        if self.secret and self.text:
            message, hint = (told.replace(self.text, "***") for told in (message, hint))
        return super().mistake(f"{message} ({self.origin})", hint)


class Unfilled(Scalar):
    """A text whose variables cannot be filled in. That was told; whatever else would be said of it is not."""

    __slots__ = ()


class Collection(Node):
    """A list or a mapping; `size` and `depth` count what is in it, aliases expanded.

    `how` it takes its place over what stands below it: "" by the rule, "replace" wholly, "append" at its end. Where
    `refers` is false there is no `$` in any text of it.
    """

    __slots__ = ("depth", "how", "refers", "size")

    def __init__(self, file: str, line: int, column: int) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.size = 1
        self.depth = 1
        self.how = ""
        self.refers = True


class Sequence(Collection):
    """A list."""

    __slots__ = ("items",)
    called = "a list"

    def __init__(self, file: str, line: int, column: int) -> None:
        super().__init__(file, line, column)
        self.items: list[Node] = []


class Mapping(Collection):
    """Keys and values in the order written; keys are as written, and no two are the same."""

    __slots__ = ("pairs",)
    called = "a mapping"

    def __init__(self, file: str, line: int, column: int) -> None:
        super().__init__(file, line, column)
        self.pairs: dict[str, tuple[Scalar, Node]] = {}

    def __iter__(self) -> Iterator[tuple[str, Scalar, Node]]:
        for text, (key, value) in self.pairs.items():
            yield text, key, value


class Unreadable(Exception):
    """A file that cannot be read as a whole; its first mistake."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake
