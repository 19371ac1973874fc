"""Screens that are no terminals and say they are."""

from __future__ import annotations

import io

from pserv.cli.terminal import Screen


class Pretend(io.StringIO):
    """A stream of some encoding that may call itself a terminal."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def pipe() -> Screen:
    return Screen(Pretend(terminal=False), {})


def terminal(columns: int = 100, *, encoding: str = "utf-8", **environ: str) -> Screen:
    """Without colour unless the test takes NO_COLOR away."""
    given = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"} | environ
    return Screen(Pretend(terminal=True, encoding=encoding), given)


def coloured(columns: int = 100) -> Screen:
    return terminal(columns, NO_COLOR="")
