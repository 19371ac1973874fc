"""What a fork of the keeper does for the env files and secrets of a service: reads them, writes those that are files.

A file on a dead mount holds up this process alone, and the parser of env files is in no process that stays. Values come
and go over the socket, and no message of ours has one in it.
"""

from __future__ import annotations

import os
import signal
import socket
import stat

from pserv.keeper import identity, quickjson
from pserv.keeper.place import Place
from pserv.system import delivered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Asked = dict[str, "Any"]

LONGEST = 64 << 10
"""Bytes of a secret."""


class Unread(Exception):
    """Why something could not be read or written, in words."""


def fetcher(sock: socket.socket, argument: str) -> int:
    """A role. The argument is JSON `{"limit": seconds}` and one of these; the answer is one JSON object, with `wrong`
    in words where it failed:

    - `"read": {"env_files": [[path, required, format]], "secrets": {name: {"file": path} or {"env": name}}}`, answered
      by `files`, `[[name, value, "path:line"]]`, `read`, when each had changed last (0: it was not there), `secrets` by
      name, and `unread`, why not, by name;
    - `"write": {"folder", "files": [[path, text]], "user", "group", "groups"}`: the files are that user's alone;
    - `"remove": {"folder", "files": [path], "user", "group", "groups"}`.
    """
    asked = quickjson.loads(argument)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(asked["limit"], 0.001))
    try:
        if "read" in asked:
            answer = _read(asked["read"])
        elif "write" in asked:
            answer = _write(asked["write"])
        else:
            answer = _remove(asked["remove"])
    except Unread as unread:
        answer = {"wrong": str(unread)}
    sock.setblocking(True)
    try:
        sock.sendall(quickjson.dumps(answer).encode())
    except OSError:
        return 1  # nobody waits any more
    return 0


def _read(asked: Asked) -> Asked:
    secrets: dict[str, str] = {}
    unread: dict[str, str] = {}
    for name, source in asked["secrets"].items():
        try:
            secrets[name] = _variable(source["env"]) if "env" in source else _content(source["file"])
        except Unread as error:
            unread[name] = str(error)
    files, read = _variables(asked["env_files"])
    return {"files": files, "read": read, "secrets": secrets, "unread": unread}


def _variables(files: list[list[Any]]) -> tuple[list[tuple[str, str, str]], dict[str, int]]:
    if not files:
        return [], {}
    from pserv.config import env_files  # late: few services have one
    from pserv.model.mistakes import Mistake
    from pserv.model.secrets import EnvFile

    mistakes: list[Mistake] = []
    read: dict[str, int] = {}
    found = env_files.read([EnvFile(*file) for file in files], os.environ, mistakes, read)
    if mistakes:
        first = mistakes[0]
        where = f"{first.file}:{first.line}" if first.line else first.file
        raise Unread(f"cannot read env file {where}: {first.message}")
    return found, read


def _variable(name: str) -> str:
    if name not in os.environ:
        raise Unread(f"{name} is not set in the daemon's environment")
    return os.environ[name]


def _content(path: str) -> str:
    try:
        # Without O_NONBLOCK a FIFO of that name would hold us until somebody writes to it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unread(f"{path} is no regular file")
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise Unread(f"cannot read {path}: {error.strerror}") from None
    if len(data) > LONGEST:
        raise Unread(f"{path} is longer than {LONGEST >> 10} KiB")
    return data.decode(errors="surrogateescape")


def _write(asked: Asked) -> Asked:
    """As root the folder is made, and all in it as its user: so nothing there can lead root elsewhere."""
    place = Place()
    folder = asked["folder"]
    try:
        place.at("find the user", str(asked["user"] or ""))
        whom = identity.look_up(asked)
        inside = [path for path, _ in asked["files"] if os.path.dirname(path) == folder]
        if inside:
            place.at("make the folder", folder)
            _make(folder, whom)
        if whom is not None:
            identity.change(whom, place)
        if inside:
            for name in {*os.listdir(folder)} - {os.path.basename(path) for path in inside}:
                os.unlink(os.path.join(folder, name))
        for path, text in asked["files"]:
            place.at("write", path)
            _put(path, text.encode(errors="surrogateescape"))
    except OSError as error:
        raise Unread(f"cannot {place.step} {place.detail}: {error.strerror}") from None
    except LookupError as error:
        raise Unread(f"cannot {place.step}: {error}") from None
    return {}


def _make(folder: str, whom: identity.Identity | None) -> None:
    """A folder that nobody but this user enters; those above it may be passed, not listed, by others."""
    above = os.path.dirname(folder)
    os.makedirs(above, mode=0o700, exist_ok=True)
    if whom is not None and whom.uid != os.geteuid():
        os.chmod(above, 0o711)
        ours = os.path.dirname(above)
        status = os.stat(ours)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700:
            os.chmod(ours, 0o711)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    if whom is not None:
        os.chown(folder, whom.uid, whom.gid, follow_symlinks=False)


def _put(path: str, data: bytes) -> None:
    """Whole or not at all (rename(2) is atomic): who reads it meanwhile reads the old one."""
    fresh = f"{path}.new"
    try:
        os.unlink(fresh)
    except FileNotFoundError:
        pass
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400), "wb") as file:
        file.write(data)
    os.replace(fresh, path)


def _remove(asked: Asked) -> Asked:
    """The folder, and as its user what was written elsewhere."""
    delivered.remove(asked["folder"])
    if asked["files"]:
        try:
            whom = identity.look_up(asked)
            if whom is not None:
                identity.change(whom, Place())
        except (OSError, LookupError) as error:
            raise Unread(f"cannot become its user: {error}") from None
        delivered.remove("", asked["files"])
    return {}
