"""Where things are: which configuration is meant, and the folders and socket of its daemon. Reads no configuration.

Imported at each start of the command line, so it stays with os, stat and zlib; more is imported where an error is made.
"""

from __future__ import annotations

import os
import stat
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

    from pserv.model.errors import PservError

FILE_NAMES: Final = ("pserv.yaml", "pserv.yml", "pserv.toml")
SOCKET: Final = "pserv.sock"
SUFFIXES: Final = (".yaml", ".yml", ".toml")
SYSTEM_FOLDER: Final = "/etc/pserv"
SOCKET_LIMIT: Final = 107
"""Bytes of a path in sockaddr_un.sun_path on Linux, without the NUL; 103 on the BSDs."""
NAME_LIMIT: Final = 40
NAME_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def find(
    explicit: Sequence[str], environ: Mapping[str, str], cwd: str, uid: int, *, system: str = SYSTEM_FOLDER
) -> list[str]:
    """The files and folders that are the configuration, as absolute paths; the first is the main one.

    `explicit` are those of `-c`. Folders are not opened here. Raises PservError where there is none, or where root
    would read, from the working directory or above, what somebody else can write.
    """
    if explicit:
        return [_absolute(path, cwd) for path in explicit]
    if named := environ.get("PSERV_CONFIG"):
        return [_absolute(path, cwd) for path in named.split(os.pathsep) if path]
    for folder in _upwards(cwd):
        for path in _in_folder(folder):
            if uid == 0:
                for read in (path, *overrides(path)):
                    _refuse_untrusted(read)
            return [path]
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(_home(environ), ".config")
    for path in _in_folder(os.path.join(home, "pserv")):
        return [path]
    fragments = os.path.join(system, "conf.d")
    found = [*list(_in_folder(system))[:1], *([fragments] if os.path.isdir(fragments) else [])]
    if found:
        return found
    raise _error(
        f"cannot find a configuration: there is no pserv.yaml, pserv.yml or pserv.toml in {cwd} or a folder above, "
        f"in {os.path.join(home, 'pserv')}, or in {system}",
        "pserv init writes one from what is here; or name a file with -c FILE",
    )


def _absolute(path: str, cwd: str) -> str:
    return os.path.normpath(os.path.join(cwd, path))


def _upwards(folder: str) -> Iterator[str]:
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _in_folder(folder: str) -> Iterator[str]:
    for name in FILE_NAMES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            yield path


def overrides(path: str) -> list[str]:
    """What is laid over a main file without being named: beside pserv.yaml a pserv.override.yaml."""
    return [found for found in beside(path) if os.path.isfile(found)]


def beside(path: str) -> list[str]:
    """What would be laid over a main file if it were there."""
    folder, name = os.path.split(path)
    names = [f"pserv.override{suffix}" for suffix in SUFFIXES] if name in FILE_NAMES else []
    return [os.path.join(folder, name) for name in names]


def _refuse_untrusted(path: str) -> None:
    """Whoever can write the file, or exchange it in its folder, would run as root (supervisor 3.0b1 read any cwd)."""
    folder = os.path.dirname(path)
    for name, thing in ((path, "it"), (folder, "its folder")):
        status = os.stat(name)
        # In a sticky folder others can add files, not exchange this one.
        sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        reason = ""
        if status.st_uid != 0 and not sticky:
            reason = f"{thing} belongs to user {_user_name(status.st_uid)}"
        elif status.st_mode & stat.S_IWOTH and not sticky:
            reason = f"{thing} can be written by everybody"
        if reason:
            raise _error(f"cannot use {path} as root: {reason}", f"if you trust it, name it: -c {path}")


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def identity(path: str) -> str:
    """The name of the daemon that serves this main file (or folder): its folder's, and six digits of its real path."""
    real = os.path.realpath(path)
    folder = real if os.path.isdir(real) else os.path.dirname(real)
    digits = f"{zlib.crc32(os.fsencode(real)):08x}"[:6]
    name = "".join(char if char in NAME_CHARACTERS else "_" for char in os.path.basename(folder)).lstrip(".-")
    return f"{name[: NAME_LIMIT - len(digits) - 1] or 'root'}-{digits}"


def root_folder(path: str, *, system: str = SYSTEM_FOLDER) -> str:
    """The folder that services work in by default: the main file's, but "/" for the system's configuration."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    return "/" if folder == system or folder.startswith(system + os.sep) else folder


def run_folder(environ: Mapping[str, str], uid: int) -> str:
    """Where the daemons of this user have a folder each, gone after a reboot where the system has such a place."""
    if uid == 0:
        return "/run/pserv"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return os.path.join(runtime, "pserv")
    return _user_state(environ)


def state_folder(environ: Mapping[str, str], uid: int) -> str:
    """Where the daemons of this user keep, in a folder each, what must outlive a reboot; $PSERV_STATE wins."""
    if chosen := environ.get("PSERV_STATE"):
        return chosen
    return "/var/lib/pserv" if uid == 0 else _user_state(environ)


def _user_state(environ: Mapping[str, str]) -> str:
    return os.path.join(environ.get("XDG_STATE_HOME") or os.path.join(_home(environ), ".local", "state"), "pserv")


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def socket(identity: str, environ: Mapping[str, str], uid: int) -> str:
    """The path of the API socket of that daemon; $PSERV_SOCKET wins. Raises PservError where the path is too long."""
    chosen = environ.get("PSERV_SOCKET")
    path = chosen or os.path.join(run_folder(environ, uid), identity, SOCKET)
    if len(os.fsencode(path)) > SOCKET_LIMIT:
        variable = "PSERV_SOCKET" if chosen else "PSERV_SOCKET, XDG_RUNTIME_DIR or XDG_STATE_HOME"
        raise _error(
            f"cannot use the socket {path}: its path has {len(os.fsencode(path))} bytes, "
            f"and the system allows {SOCKET_LIMIT}",
            f"set {variable} to a shorter path",
        )
    return path


def run_dir(identity: str, environ: Mapping[str, str], uid: int) -> str:
    """The folder of that daemon's socket, whether its path is too long or not."""
    return os.path.dirname(environ.get("PSERV_SOCKET") or os.path.join(run_folder(environ, uid), identity, SOCKET))


def is_name(text: str) -> bool:
    """Whether a daemon or a service may have this name: it stands in paths, on command lines and in URLs."""
    return bool(text) and len(text) <= 64 and text[0] not in ".-" and NAME_CHARACTERS.issuperset(text)


def _error(message: str, hint: str) -> PservError:
    from pserv.model.errors import PservError

    return PservError(message, hint)
