"""Whose output a stream has, as its lines may say. How they say it is in `formats`."""

from __future__ import annotations

from typing import Final


class Facts:
    """`stream` is "stdout", "stderr", or "output" for both in one; `pid` is 0 until the process is known."""

    __slots__ = ("pid", "run", "stream")

    def __init__(self, run: int, stream: str, pid: int) -> None:
        self.run = run
        self.stream = stream
        self.pid = pid


NOBODY: Final = Facts(0, "output", 0)
