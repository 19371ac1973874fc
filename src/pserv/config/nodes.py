"""What a configuration file says before anybody asks what it means: text, lists, mappings, each with its position.

A plain scalar keeps its text, because its type is the option's to decide (`1.10`, `022`, `no`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from pserv.model.mistakes import Mistake

MAX_NODES: Final = 50_000
"""Values in one file, counted after aliases are expanded."""
MAX_DEPTH: Final = 64

NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))


class Node(msgspec.Struct, gc=False, eq=False):
    """A value and where it stands: the file's path; line and column from 1.

    Nodes are structs because a configuration may have a hundred thousand: they take a third of the time of other
    objects to make. None is part of itself, so no collector of cycles need look at them.
    """

    called: ClassVar[str] = "a value"

    file: str
    line: int
    column: int

    def mistake(self, message: str, hint: str = "") -> Mistake:
        """A mistake at this position."""
        return Mistake(message, hint, self.file, self.line, self.column)


class Scalar(Node, gc=False, eq=False, array_like=True, tag="text"):
    """A text as written; `quoted` says that it can only be a text, never null."""

    called: ClassVar[str] = "a single value"

    text: str
    quoted: bool

    @property
    def is_null(self) -> bool:
        return not self.quoted and self.text in NULLS


class Filled(Scalar, gc=False, eq=False):
    """A text that variables were filled into; `origin`: where they came from, `secret`: it must not be shown."""

    origin: str
    secret: bool

    def mistake(self, message: str, hint: str = "") -> Mistake:
        if self.secret and self.text:
            message, hint = (told.replace(self.text, "***") for told in (message, hint))
        return Mistake(f"{message} ({self.origin})", hint, self.file, self.line, self.column)


class Unfilled(Scalar, gc=False, eq=False):
    """A text whose variables cannot be filled in. That was told; whatever else would be said of it is not."""


class Collection(Node, gc=False, eq=False):
    """A list or a mapping.

    `how` it takes its place over what stands below it: "" by the rule, "replace" wholly, "append" at its end. Where
    `refers` is false there is no `$` in any text of it.
    """

    how: str = ""
    refers: bool = True


class Sequence(Collection, gc=False, eq=False, array_like=True, tag="list"):
    """A list."""

    called: ClassVar[str] = "a list"

    items: list[_Parsed] = []


class Mapping(Collection, gc=False, eq=False, array_like=True, tag="map"):
    """Keys and values in the order written; keys are as written, and no two are the same."""

    called: ClassVar[str] = "a mapping"

    pairs: dict[str, tuple[Scalar, _Parsed]] = {}

    def __iter__(self) -> Iterator[tuple[str, Scalar, Node]]:
        for text, (key, value) in self.pairs.items():
            yield text, key, value


# What a file was parsed to is decoded by these annotations (`remembered`); what is filled in later is never encoded.
if TYPE_CHECKING:
    _Parsed = Node
else:
    _Parsed = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """A file that cannot be read as a whole; its first mistake."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake
