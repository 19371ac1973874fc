"""The sign of a run that a process cannot shed by accident: a resource limit too high to limit (Linux).

Environment, descriptors, session, user and the right to look into /proc can all be given up by a process that
daemonizes itself. Resource limits stay across fork and exec, set-user-id programs too, and anybody may read them
(prlimit(2) for one's own processes, /proc/PID/limits for all). RLIMIT_RTTIME is almost always unlimited; as many
microseconds as stand here are some hundred thousand years.
"""

from __future__ import annotations

import resource
import sys
import zlib

_LIMIT = resource.RLIMIT_RTTIME if sys.platform == "linux" else None
_MARKED = 1 << 62
_COOKIE_BITS, _RUN_BITS = 30, 32
_LINE = b"Max realtime timeout"


def limit(sign: str) -> tuple[int, int] | None:
    """The limit (soft, hard) that says `cookie/key/run`; None where the limit does not serve as a mark."""
    if _LIMIT is None:
        return None
    cookie, run = sign.partition("/")[0], int(sign.rpartition("/")[2])
    return _marked(cookie) | run & (1 << _RUN_BITS) - 1, resource.getrlimit(_LIMIT)[1]


def put(mark: tuple[int, int]) -> None:
    """Let the calling process and its descendants bear it, unless the system has it otherwise."""
    assert _LIMIT is not None
    try:
        resource.setrlimit(_LIMIT, mark)
    except (OSError, ValueError):
        return


def run_of(pid: int, cookie: str) -> int | None:
    """The run whose mark of this daemon the process bears; None for any other."""
    if _LIMIT is None:
        return None
    try:
        value, _ = resource.prlimit(pid, _LIMIT)
    except PermissionError:
        value = _told_by_proc(pid)
    except (OSError, ValueError):
        return None
    if value < 0 or value >> _RUN_BITS != _marked(cookie) >> _RUN_BITS:
        return None
    return value & (1 << _RUN_BITS) - 1


def _marked(cookie: str) -> int:
    return _MARKED | (zlib.crc32(cookie.encode()) & (1 << _COOKIE_BITS) - 1) << _RUN_BITS


def _told_by_proc(pid: int) -> int:
    """The same of another user's process; -1 when there is no such number."""
    try:
        with open(f"/proc/{pid}/limits", "rb", buffering=0) as file:
            soft = file.read(8192).partition(_LINE)[2].split(None, 1)[0]
        return int(soft)
    except (OSError, ValueError, IndexError):
        return -1
