"""Mistakes in a configuration, and the error that carries all of them. How they are found is in `config`."""

from __future__ import annotations

import msgspec

from pserv.model.errors import ExitCode, PservError


class Mistake(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mistake in a configuration; `line` and `column` count from 1, 0 where there is no position."""

    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n    hint: {self.hint}" if self.hint else text


class InvalidConfig(PservError):
    """A configuration with mistakes; all of them. `on_invalid` is what it says to do then, "" where that is unknown."""

    exit_code = ExitCode.USAGE

    def __init__(self, mistakes: tuple[Mistake, ...], on_invalid: str = "") -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"cannot load the configuration: {count}\n" + "\n".join(str(m) for m in mistakes))
        self.mistakes = mistakes
        self.on_invalid = on_invalid
