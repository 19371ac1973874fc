"""Whose output a stream has, as its lines may say. How they say it is in `formats`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Facts:
    """`stream` is "stdout", "stderr", or "output" for both in one; `pid` is 0 until the process is known."""

    __slots__ = ("pid", "prefix", "run", "stream", "syslog")

    def __init__(self, run: int, stream: str, pid: int, prefix: str = "", syslog: bool = False) -> None:
        self.run = run
        self.stream = stream
        self.pid = pid
        self.prefix = prefix
        """Stands before each line as it is, where lines of several services go to one place."""
        self.syslog = syslog
        """It goes to syslog, and the prefix is what that calls the tag."""


NOBODY: Final = Facts(0, "output", 0)
