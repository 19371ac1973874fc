"""Where in its files a run's output begins, read from the logger's journals that the keeper holds."""

from __future__ import annotations

import os

from pserv.logger import journal
from pserv.system.processes import Keeper


class Printed:
    """One output of a run: the file, and the offset of the run's first byte in it, -1 before there is one."""

    __slots__ = ("path", "start", "stream")

    def __init__(self, stream: int, path: str, start: int) -> None:
        self.stream = stream
        self.path = path
        self.start = start


async def of_run(keeper: Keeper, key: str, run: int) -> list[Printed]:
    """All outputs of a run that go to files and are open. Raises PservError when the keeper does not answer."""
    reply, fds = await keeper.request({"op": "journals", "key": key, "run": run})
    try:
        rows = [(row["stream"], row["path"], fds[row["fd"]]) for row in reply["streams"]]
        return [Printed(stream, path, journal.start(fd, stream)) for stream, path, fd in rows]
    finally:
        for fd in fds:
            os.close(fd)
