"""What an earlier keeper with our cookie left running when it was killed: ended before anything is started."""

from __future__ import annotations

import select
import signal
import time

from pserv.keeper import cgroup, strays

_PATIENCE = 2.0
_PAUSE = 0.02


def end(cookie: str, folder: str | None) -> int:
    """SIGKILL to all that bears the cookie or sits in our cgroup folder, until none is left; how many there were.

    Only for who holds the daemon's lock. What SIGKILL does not end within two seconds is left.
    """
    ended: set[tuple[int, int]] = set()
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = strays.bearers(cookie)
        if folder is not None:
            inside = [strays.read(pid) for pid in strays.everyone(lambda: cgroup.members(folder))]
            found += [one for one in inside if one is not None and not one.ended]
            if inside:
                cgroup.kill(folder)
        if not found or time.monotonic() > deadline:
            break
        for process in found:
            ended.add((process.pid, process.start))
            strays.send(process, signal.SIGKILL)
        select.poll().poll(_PAUSE * 1000)  # they are nobody's children of ours: nothing tells when they are gone
    if folder is not None:
        cgroup.remove(folder)
    return len(ended)
