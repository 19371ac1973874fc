"""Every error a user can meet: message, hint, exit code. No error is decided on here."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class ExitCode(IntEnum):
    """What the command line exits with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    NO_SUCH_SERVICE = 4
    UNREACHABLE = 5


class PservError(Exception):
    """An error told to a user as `cannot <verb> <thing>: <reason>`, never as a traceback."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PservError):
    """The command line or a request asks for something that has no meaning."""

    exit_code = ExitCode.USAGE


class NoSuchService(PservError):
    """A name, tag or glob that matches no service."""

    exit_code = ExitCode.NO_SUCH_SERVICE


class Unreachable(PservError):
    """No daemon answers at the socket."""

    exit_code = ExitCode.UNREACHABLE


class Refused(PservError):
    """An operation that the state of the service or of the daemon does not allow now."""


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
