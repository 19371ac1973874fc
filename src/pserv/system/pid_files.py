"""Waiting for a pid file in a fork of the keeper, and reading it with care. Whose the pid is, is not asked here.

The file may be on a mount that hangs, and is written by anybody who may write to its folder. So nothing but a number is
taken from it, and the answer is only ever believed of a process of the service's own.
"""

from __future__ import annotations

import errno
import os
import pwd
import select
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any, Final

from pserv.keeper import quickjson

LONGEST: Final = 64
"""Bytes of a pid file that are read; its first line is all that counts."""
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks where changes are not told; the last goes on."""
_GAP: Final = 0.01
"""Seconds between two looks at least: others may be busy in the same folder."""
_RELY: Final = 2.0
"""Seconds after which it is looked again all the same: a change made on another machine is told to nobody."""

IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE = 0x2, 0x8, 0x80, 0x100
IN_DELETE_SELF, IN_MOVE_SELF = 0x400, 0x800
_FILE: Final = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF


Watch = Callable[[str], int]
"""Gives a descriptor that is readable once something happens at a path; -1 where it cannot."""


def waiter(sock: socket.socket, argument: str) -> int:
    """A role: tell each pid that the file names from now on, and what is wrong with it, a JSON object a line.

    `argument` is JSON: `{"path", "user": name or null}`. Lines are `{"pid": number}` and `{"why": text}`; the other end
    closes the socket when it knows enough.
    """
    asked = quickjson.loads(argument)
    return tell(sock, asked["path"], {0, os.geteuid(), *_uid(asked.get("user"))}, inotify())


def tell(sock: socket.socket, path: str, trusted: set[int], watch: Watch | None) -> int:
    """The same; without `watch` it is looked again and again."""
    changes = _changes(path, watch)
    last: object = None
    while True:
        found = look(path, trusted)
        if found != last:
            last = found
            try:
                sock.sendall(
                    quickjson.dumps({key: found[key] for key in ("pid", "why") if key in found}).encode() + b"\n"
                )
            except OSError:
                return 0
        if not changes(sock):
            return 0


def look(path: str, trusted: set[int]) -> dict[str, Any]:
    """`{"pid"}` or `{"why"}`, with what shows that the file was written anew.

    A symbolic link is followed only where one of the `trusted` users made it (uids).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            fd = os.open(path, flags | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK):
                raise
            if os.lstat(path).st_uid not in trusted:
                return {"why": "it is a link that another user made"}
            fd = os.open(path, flags)
    except FileNotFoundError:
        return {"why": "there is no such file yet"}
    except OSError as error:
        return {"why": f"cannot read it: {error.strerror}"}
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return {"why": "it is no file"}
        text = os.read(fd, LONGEST)
    except OSError as error:
        return {"why": f"cannot read it: {error.strerror}"}
    finally:
        os.close(fd)
    return {**named(text), "written": (status.st_ino, status.st_mtime_ns)}


def named(text: bytes) -> dict[str, Any]:
    """`{"pid"}` or `{"why"}` from the beginning of a pid file."""
    line = text.split(b"\n", 1)[0].strip()
    if not line:
        return {"why": "it is empty"}
    if line.isdigit() and len(line) < 10 and int(line) > 1:
        return {"pid": int(line)}
    return {"why": f"it names no process: {line[:20].decode(errors='replace')!r}"}


def _uid(user: str | None) -> set[int]:
    if user is None:
        return set()
    if user.isdecimal():
        return {int(user)}
    try:
        return {pwd.getpwnam(user).pw_uid}
    except KeyError:
        return set()


def _changes(path: str, watch: Watch | None) -> Callable[[socket.socket], bool]:
    """A function that waits until the file may have changed; False once nobody listens at the socket any more."""
    poll = select.poll()
    pauses = iter(_PAUSES)
    watched = -1

    def wait(sock: socket.socket) -> bool:
        nonlocal watched
        if watch is not None and watched < 0:
            watched = watch(path)
            if watched >= 0:
                poll.register(watched, select.POLLIN)
                poll.register(sock, select.POLLIN)
                return True  # what came before it was watched is looked at
        poll.register(sock, select.POLLIN)
        pause = next(pauses, _PAUSES[-1]) if watched < 0 else _RELY
        came = [fd for fd, _ in poll.poll(pause * 1000)]
        left = sock.fileno() in came
        if watched in came or (left and watched >= 0):
            # Which folder is there to be watched may be another one now.
            poll.unregister(watched)
            os.close(watched)
            watched = -1
            poll.poll(_GAP * 1000)
        return not left

    return wait


def inotify() -> Watch | None:
    """Where the kernel tells of changes (Linux); None elsewhere."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        init, add_watch = library.inotify_init1, library.inotify_add_watch
    except (ImportError, OSError, AttributeError):
        return None

    def add(path: str) -> int:
        fd: int = init(os.O_NONBLOCK | os.O_CLOEXEC)
        folder = os.path.dirname(path)
        # The nearest folder that there is: the file's own may have to be made first.
        while fd >= 0 and add_watch(fd, os.fsencode(folder or "/"), _FILE) < 0:
            if folder in ("", "/"):
                os.close(fd)
                return -1
            folder = os.path.dirname(folder)
        return fd

    return add
