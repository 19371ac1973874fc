"""Which daemon a command line means: its files, its socket, a client of it; and the daemons of this machine."""

from __future__ import annotations

import os

from pserv.config import places

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from pserv.api.client import Client
    from pserv.cli.parse import Arguments

SOCKET = "pserv.sock"


def files(arguments: Arguments) -> list[str]:
    """The configuration that is meant, the main file first; raises PservError where there is none."""
    return places.find(arguments.texts("config"), os.environ, _here(), os.geteuid())


def _here() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        from pserv.model.errors import PservError

        said = f"cannot look for a configuration: the working directory cannot be told: {error.strerror}"
        raise PservError(said, "cd to a folder that exists") from None


def socket(arguments: Arguments) -> str:
    """The path of the socket; raises Unreachable where neither a socket is named nor a configuration found."""
    named = arguments.text("socket") or os.environ.get("PSERV_SOCKET")
    if named:
        return named
    try:
        return places.socket(places.identity(files(arguments)[0]), os.environ, os.geteuid())
    except Exception as error:
        from pserv.model.errors import PservError, Unreachable

        if not isinstance(error, PservError):
            raise
        raise Unreachable(error.message, error.hint) from error


def connect(arguments: Arguments) -> Client:
    from pserv.api.client import Client

    return Client(socket(arguments))


def daemons() -> list[str]:
    """The run folders of this user's daemons, alive or killed. Links are second names (`name` in a file) of others."""
    folder = places.run_folder(os.environ, os.geteuid())
    try:
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []
    return [path for path in paths if not os.path.islink(path) and os.path.lexists(os.path.join(path, SOCKET))]


def advice(hint: str) -> str:
    """What to type when nobody answers: the hint, and whose daemons run here."""
    others = [os.path.basename(folder) for folder in daemons()]
    if not others:
        return hint
    running = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
    return f"{hint}; or name another file's daemon with -c ({running} run here: pserv list --daemons)"
