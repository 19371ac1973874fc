"""The last step of a child: execve by the service's own PATH, and what the errno of a failure does not say."""

from __future__ import annotations

import errno
import os

from pserv.keeper.identity import SHELL
from pserv.keeper.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def execute(argv: list[str], env: dict[bytes, bytes], place: Place) -> NoReturn:
    """execvpe by the service's own PATH; raises the error that matters, as execvp(3) does."""
    name = argv[0]
    if "/" in name:
        _execute_path(name, argv, env, place)
    denied: OSError | None = None
    search = os.fsdecode(env.get(b"PATH", os.defpath))
    found = f"{name}: it is in no folder of PATH={search}"
    for folder in search.split(os.pathsep):
        path = os.path.join(folder or ".", name)
        try:
            _execute_path(path, argv, env, place)
        except OSError as error:
            if error.errno == errno.EACCES:
                denied, found = (denied, found) if denied else (error, place.detail)
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR) or os.path.exists(path):
                raise
    place.at("exec", found)
    raise denied or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _execute_path(path: str, argv: list[str], env: dict[bytes, bytes], place: Place) -> NoReturn:
    place.at("exec", path)
    try:
        os.execve(path, argv, env)
    except OSError as error:
        error.filename = path
        if error.errno == errno.ENOEXEC:  # a script without #! is the shell's, as for execvp(3)
            os.execve(SHELL, [SHELL, path, *argv[1:]], env)
        place.detail += _why(path, error.errno, env)
        raise


def _why(path: str, number: int | None, env: dict[bytes, bytes]) -> str:
    """What the errno of execve does not say."""
    if number == errno.ENOENT and os.path.exists(path):
        return f": its interpreter {_interpreter(path)} does not exist"
    if number == errno.EACCES and os.path.isdir(path):
        return ": it is a folder"
    if number == errno.EACCES and os.path.exists(path) and not os.access(path, os.X_OK):
        return ": it is not executable (chmod +x)"
    if number == errno.E2BIG and env:
        largest = max(env, key=lambda name: len(env[name]))
        return f": the largest variable is {os.fsdecode(largest)} with {len(os.fsdecode(env[largest]))} characters"
    return ""


def _interpreter(path: str) -> str:
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    return first[2:].decode(errors="replace").strip() if first.startswith(b"#!") else "(of the ELF file)"
