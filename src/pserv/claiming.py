"""What a daemon must have for itself before it serves: its folders, its locks, its socket, its second name."""

from __future__ import annotations

import fcntl
import os
import socket
import stat

from pserv.model.errors import PservError, Refused

LOCK = "lock"
_ANSWERS = "another process answers there"


def make_private(folder: str) -> None:
    """A folder that only its owner enters, its parents made as usual."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise PservError(f"cannot make the folder {folder}: {error.strerror}") from None


def lock(path: str, what: str) -> int:
    """Hold the lock of this file for as long as the descriptor is open (flock(2)). Raises Refused when another does.

    `what` is what is wanted; whoever has it signs for it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PservError(f"cannot open the lock {path}: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refused = _taken(fd, what)
        os.close(fd)
        raise refused from None
    return fd


def sign(fd: int, what: str) -> None:
    """Write into a lock of ours what we have, for the message of whoever comes next."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {what}\n".encode(errors="replace"), 0)


def _taken(fd: int, what: str) -> Refused:
    """The message of who comes second, from what the first has signed."""
    pid, _, where = os.pread(fd, 4096, 0).decode(errors="replace").strip().partition(" ")
    said = f"cannot start: a daemon (pid {pid or 'unknown'}) already runs at {where or what}"
    if where in ("", what):
        return Refused(said, "`pserv status` shows it, `pserv reload` applies changes, `pserv down` ends it")
    return Refused(said, f"`pserv status --socket {where}` shows it; two daemons would run each service twice")


def listen(path: str) -> socket.socket:
    """Listen at the path; what an earlier daemon left there is removed, what another one serves is not."""
    fd = lock(f"{path}.{LOCK}", path)  # while the socket changes hands; after that, whoever listens has it
    try:
        used = _use(path)
        if used == _ANSWERS and os.fstat(fd).st_size:
            raise _taken(fd, path)
        if used:
            raise Refused(f"cannot listen at {path}: {used}", "set PSERV_SOCKET to another path")
        listening = _bound(path)
        sign(fd, path)
        return listening
    finally:
        os.close(fd)


def _bound(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listening.bind(path)
    except OSError as error:
        listening.close()
        raise PservError(f"cannot listen at {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    listening.listen(128)
    return listening


def _use(path: str) -> str:
    """What else the path is in use for; "" when there is nothing, or a socket that nobody listens at any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return "what is there is no socket"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error.strerror)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full queue is a listener, too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return ""
        except OSError as error:
            return f"another process uses it ({error.strerror})"
    return _ANSWERS


def alias(run_dir: str, name: str, identity: str) -> list[str]:
    """A second way to the daemon's folder when the configuration gives it a name of its own; the links made."""
    folder, base = os.path.split(run_dir)
    if name == identity or base != identity:
        return []
    link = os.path.join(folder, name)
    if os.path.islink(link):
        os.unlink(link)
    try:
        os.symlink(base, link)
    except OSError as error:
        raise PservError(f"cannot name the daemon {name}: {link}: {error.strerror}") from None
    return [link]
