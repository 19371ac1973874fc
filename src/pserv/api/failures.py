"""Errors on their way through the API: an exception becomes status and `Error` body, and that the exception again."""

from __future__ import annotations

import msgspec

from pserv.api.operations import Error
from pserv.model.errors import (
    ExitCode,
    NoSuchService,
    PservError,
    Refused,
    Unreachable,
    UsageError,
)
from pserv.model.mistakes import InvalidConfig

KINDS: tuple[tuple[str, type[PservError], int], ...] = (
    ("no-such-service", NoSuchService, 404),
    ("refused", Refused, 409),
    ("usage", UsageError, 400),
    ("invalid-config", InvalidConfig, 422),
    ("unreachable", Unreachable, 503),
    ("failed", PservError, 500),
)
"""Name in `Error.kind`, exception, HTTP status; the first row whose class fits."""


class Rejection(Exception):
    """A request that is turned away by the transport, with a status that no exception of the model stands for."""

    def __init__(self, status: int, message: str, hint: str = "", kind: str = "usage") -> None:
        super().__init__(message)
        self.status = status
        code = ExitCode.UNREACHABLE if kind == "unreachable" else ExitCode.USAGE
        self.error = Error(message, hint, code, kind=kind)


BUG = Error("cannot answer: an error in the daemon itself", "its log has the traceback: pserv status")


def failure_of(error: Exception) -> tuple[int, Error] | None:
    """HTTP status and body; None for an exception that is a bug of ours, whose text is nothing for a user."""
    if isinstance(error, Rejection):
        return error.status, error.error
    if not isinstance(error, PservError):
        return None
    kind, status = next((name, status) for name, kind, status in KINDS if isinstance(error, kind))
    mistakes = error.mistakes if isinstance(error, InvalidConfig) else ()
    return status, Error(error.message, error.hint, int(error.exit_code), mistakes, kind)


def exception_of(body: object) -> PservError:
    """What `failure_of` told of, from the decoded body; an unknown kind is a plain PservError with its exit code."""
    try:
        fields = body if isinstance(body, dict) else {}
        told = msgspec.convert({"type": "error", **fields}, Error)
    except msgspec.ValidationError:
        return PservError("cannot understand the daemon: its error has another shape", "pserv version")
    if told.mistakes:
        return InvalidConfig(told.mistakes)
    kind = next((kind for name, kind, _status in KINDS if name == told.kind and kind is not InvalidConfig), PservError)
    error = kind(told.message, told.hint)
    if told.exit_code != error.exit_code and told.exit_code in ExitCode.ALL:
        error.exit_code = told.exit_code
    return error
