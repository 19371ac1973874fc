"""A service that prints when a test says so, and tells when it has: for tests of what happens to output."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenarios.daemon import PATIENCE

LINE = 1000
"""Bytes of a line, its end included."""

_SCRIPT = """
import os, signal, sys
gate, told, deaf = sys.argv[1:]
if deaf == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
answer = os.open(told, os.O_RDWR)
number = 0
with open(gate, "rb", buffering=0) as orders:
    while order := orders.readline():
        for _ in range(int(order)):
            line = memoryview(b"%09d %s\\n" % (number, b"x" * 989))
            while line:
                line = line[os.write(1, line):]
            number += 1
        os.write(answer, b"%d\\n" % number)
"""


class Driven:
    """One such service; `deaf` ignores TERM. Lines are numbered from 0 in each of its runs."""

    def __init__(self, folder: Path, name: str, *, deaf: bool = False) -> None:
        self.name = name
        self._script = folder / "driven.py"
        self._script.write_text(_SCRIPT)
        self._deaf = deaf
        self._paths = [folder / f"{name}.gate", folder / f"{name}.told"]
        for path in self._paths:
            os.mkfifo(path)
        self._gate, self._told = (os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in self._paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._gate)
        os.close(self._told)

    def declared(self, stdout: Path | str, more: str = "") -> str:
        """Its lines below `services:`; `more` are options, each with a comma before it."""
        words = [*map(str, self._paths), "deaf" if self._deaf else "polite"]
        argv = [sys.executable, "-I", "-S", str(self._script), *words]
        return f"  {self.name}: {{command: {argv!r}, stdout: {stdout}{more}}}\n"

    def order(self, lines: int) -> None:
        """Have it print so many lines from when it can."""
        os.write(self._gate, b"%d\n" % lines)

    def printed(self, timeout: float = PATIENCE) -> int:
        """Wait until an order is carried out; lines printed so far in this run."""
        assert self.has_printed(timeout), f"{self.name} is still blocked after {timeout} s"
        return int(os.read(self._told, 100).split()[-1])

    def has_printed(self, timeout: float = 0.0) -> bool:
        """Whether an order was carried out that `printed` has not told of."""
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        return bool(poll.poll(timeout * 1000))


def check_lines(data: bytes, count: int) -> None:
    """Exactly the lines 0 to count - 1, in order."""
    assert len(data) == count * LINE
    numbers = [int(data[at : at + 9]) for at in range(0, len(data), LINE)]
    assert numbers == list(range(count))
