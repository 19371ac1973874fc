"""Waiting for the end of a process that is no child of ours."""

from __future__ import annotations

import os
import select
import time

PATIENCE = 15.0
"""Seconds; all services are stopped by then, and what is left is the keeper's own end."""


def wait_for_end(pid: int, timeout: float = PATIENCE) -> bool:
    """Whether the process is gone; waits up to `timeout` seconds for it."""
    opened = getattr(os, "pidfd_open", None)
    if opened is None:
        return _ask_until_gone(pid, timeout)
    try:
        fd = opened(pid)
    except ProcessLookupError:
        return True
    except OSError:
        return _ask_until_gone(pid, timeout)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    finally:
        os.close(fd)


def _ask_until_gone(pid: int, timeout: float) -> bool:
    """Where the system cannot tell (kqueue is for children and own processes only on some)."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        time.sleep(0.02)
    return False
