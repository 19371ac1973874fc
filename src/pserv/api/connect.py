"""A connected unix socket to the daemon, or the real cause why there is none and what to do about it."""

from __future__ import annotations

import errno
import os
import struct
from _socket import AF_UNIX, SO_SNDTIMEO, SOCK_STREAM, SOL_SOCKET, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.model.errors import Unreachable

LONGEST = 107
"""Bytes of a path in sockaddr_un, unix(7); 103 on the BSDs."""


def connect(path: str, timeout: float) -> socket:
    """A blocking socket. `timeout`, in seconds, bounds the wait in a full queue of a server that does not accept.

    Raises Unreachable.
    """
    sock = socket(AF_UNIX, SOCK_STREAM)
    try:
        # settimeout() would make it non-blocking, and connect(2) to a full queue then fails at once with EAGAIN
        seconds = int(timeout)
        sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("@ll", seconds, int((timeout - seconds) * 1e6)))
        sock.connect(path)
    except (OSError, ValueError) as error:
        sock.close()
        raise unreachable(path, error, timeout) from error
    except BaseException:
        sock.close()
        raise
    return sock


def unreachable(path: str, error: Exception, timeout: float) -> Unreachable:
    """Why `connect` failed, in words."""
    from pserv.model.errors import Unreachable

    number = error.errno if isinstance(error, OSError) else None
    if len(os.fsencode(path)) > LONGEST:
        reason = f"the path of its socket has {len(os.fsencode(path))} bytes, {LONGEST} is the limit: {path}"
        return Unreachable(f"cannot reach the daemon: {reason}", "set PSERV_SOCKET to a shorter path")
    if number in (errno.ENOENT, errno.ENOTDIR):
        return Unreachable(f"cannot reach the daemon: none runs here, there is no {path}", "pserv up")
    if number in (errno.ECONNREFUSED, errno.ENOTSOCK, errno.EPROTOTYPE):
        return Unreachable(f"cannot reach the daemon: {_dead(path)}", "pserv up")
    if number in (errno.EACCES, errno.EPERM):
        owner = _owner(path)
        hint = "sudo pserv ..." if owner == "root" else f"sudo -u {owner} pserv ..."
        return Unreachable(f"cannot reach the daemon: {path} belongs to {owner}: no permission", hint)
    if number in (errno.EAGAIN, errno.ETIMEDOUT):
        reason = f"it did not take the connection within {timeout:g} s (stopped, or overloaded)"
        return Unreachable(f"cannot reach the daemon: {reason}", "try again")
    reason = os.strerror(number) if number else str(error)
    return Unreachable(f"cannot reach the daemon at {path}: {reason}", "pserv up")


def _dead(path: str) -> str:
    import stat

    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        is_socket = True
    return f"nobody listens at {path} any more (it was killed)" if is_socket else f"{path} is no socket"


def _owner(path: str) -> str:
    """Whose the socket is, or the nearest folder above it that can be seen."""
    while True:
        try:
            uid = os.stat(path).st_uid
            break
        except OSError:
            parent = os.path.dirname(path)
            if parent == path or not parent:
                return "another user"
            path = parent
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
