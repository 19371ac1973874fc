"""FIFOs by which services of a scenario tell what they do."""

from __future__ import annotations

import os
import select
from pathlib import Path

from tests.scenarios.daemon import PATIENCE


def fifo(path: Path) -> int:
    """Our end of a new FIFO, which is never at its end."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def words(fd: int, count: int) -> list[bytes]:
    """So many lines, as they come."""
    data = b""
    while data.count(b"\n") < count:
        assert select.select([fd], [], [], PATIENCE)[0], f"{count} lines were to come: {data!r}"
        data += os.read(fd, 65536)
    return data.split()
