"""The daemon's own log, which is its standard error. Logs of services are the logger's."""

from __future__ import annotations

import os
import select
import time


def write(text: str) -> None:
    """A line with time and pid; none where nobody reads: it holds up nothing."""
    line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} pserv[{os.getpid()}] {text.rstrip()}\n".encode()
    room = select.poll()
    room.register(2, select.POLLOUT)
    for start in range(0, len(line), select.PIPE_BUF):
        # A pipe that is ready takes so much without blocking (pipe(7)).
        if not room.poll(0):
            return
        try:
            os.write(2, line[start : start + select.PIPE_BUF])
        except OSError:
            return
