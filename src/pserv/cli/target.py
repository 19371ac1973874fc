"""Which daemon a command line means: its files, its socket, a client of it; and the daemons of this machine."""

from __future__ import annotations

import os

from pserv.config import places

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from pserv.api.client import Client
    from pserv.cli.parse import Arguments


def files(arguments: Arguments) -> list[str]:
    """The configuration that is meant, the main file first; raises PservError where there is none."""
    return places.find(arguments.texts("config"), os.environ, os.getcwd(), os.geteuid())


def socket(arguments: Arguments) -> str:
    """The path of the socket; raises PservError where neither a socket is named nor a configuration found."""
    named = arguments.text("socket") or os.environ.get("PSERV_SOCKET")
    if named:
        return named
    return places.socket(places.identity(files(arguments)[0]), os.environ, os.geteuid())


def connect(arguments: Arguments) -> Client:
    from pserv.api.client import Client

    return Client(socket(arguments))


def daemons() -> list[str]:
    """The run folders of this user's daemons, alive or not. Links are second names of the same (`name` in a file)."""
    folder = places.run_folder(os.environ, os.geteuid())
    try:
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []
    return [path for path in paths if not os.path.islink(path) and os.path.isdir(path)]


def advice(path: str) -> str:
    """What to type when nobody answers at this socket."""
    others = [os.path.basename(folder) for folder in daemons() if os.path.join(folder, "pserv.sock") != path]
    if others and not os.path.exists(path):
        return f"pserv up, or look who runs here: pserv list --daemons ({', '.join(others[:3])})"
    return "pserv up"
