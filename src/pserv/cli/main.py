"""From the words of a command line to an exit code: read, run the command, tell an error. No command is in here."""

from __future__ import annotations

import os
import sys

from pserv.cli import terminal
from pserv.cli.parse import Arguments, parse

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
"""128 + SIGINT, as a shell has it."""
BROKEN_PIPE = 141
"""128 + SIGPIPE: who read our output has gone, as with `pserv logs | head`."""
UNREACHABLE = 5
"""ExitCode.UNREACHABLE."""


def main(argv: list[str]) -> int:
    """Runs the command line after the program's name; its exit code. Lets nothing escape but a bug of ours."""
    terminal.prepare()
    try:
        code = run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _told(error, argv)
    return _flushed(code)


def run(argv: list[str]) -> int:
    """The same; errors come out as PservError."""
    arguments = parse(argv)
    if arguments.command is None or arguments.flag("help"):
        if arguments.flag("version"):
            return _command("look:version")(arguments)
        from pserv.cli.help import show

        return show(arguments)
    if profiles := arguments.texts("profile"):
        os.environ["PSERV_PROFILES"] = ",".join(profiles)  # also for the daemon that this command starts
    return _command(arguments.command.run)(arguments)


def _command(name: str) -> Callable[[Arguments], int]:
    module, _, function = name.partition(":")
    # Not importlib: it is not yet loaded, and one more import is a millisecond of every command.
    found: Callable[[Arguments], int] = getattr(__import__(f"pserv.cli.{module}", fromlist=[function]), function)
    return found


def _told(error: Exception, argv: list[str]) -> int:
    """Tells the error; its exit code. What is no PservError is a mistake of ours and keeps its traceback."""
    from pserv.model.errors import PservError

    if not isinstance(error, PservError):
        if isinstance(error, OSError) and error.filename is None and _stdout_failed(error):
            terminal.tell(f"cannot write the output: {error.strerror}")
            return 1
        raise error
    if "--json" in argv:
        from pserv.cli.json_output import error_document

        sys.stdout.write(error_document(error))
    hint = error.hint
    if error.exit_code == UNREACHABLE:
        from pserv.cli.target import advice

        hint = advice(hint)
    terminal.tell(error.message, hint)
    return int(error.exit_code)


def _stdout_failed(error: OSError) -> bool:
    import errno

    return error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG)


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        terminal.tell(f"cannot write the output: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code
