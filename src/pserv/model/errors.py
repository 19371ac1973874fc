"""Every error a user can meet: message, hint, exit code. Mistakes in a configuration are in `mistakes`."""

from __future__ import annotations


class ExitCode:
    """What the command line exits with. No enumeration: the import takes a fifth of the time of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    NO_SUCH_SERVICE = 4
    UNREACHABLE = 5
    ALL = (DONE, FAILED, USAGE, STOPPED, NO_SUCH_SERVICE, UNREACHABLE)


class PservError(Exception):
    """An error told to a user as `cannot <verb> <thing>: <reason>`, never as a traceback."""

    exit_code: int = ExitCode.FAILED

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
