"""A worker's inside, killed at any of its lines: run as a program, as its forks must not copy pytest's threads.

Arguments: a LOG as JSON; a number n, where each nth line is tried (1 takes half a minute); and how often three kills,
in the writing and in what successors do, are tried. Prints the number of lines; ends with 1 where a file is not as it
should be.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import pserv.logger.format_json
import pserv.logger.lines
import pserv.logger.main  # noqa: F401  (loaded before the forks)
from pserv.logger.facts import Facts
from pserv.logger.journal import Journal
from pserv.logger.poller import Poller
from pserv.logger.pump import Pump
from pserv.logger.rotated import family
from pserv.logger.settings import Settings
from pserv.logger.traffic import Traffic

WATCHED = {f"{name}.py" for name in ("pump", "lines", "journal", "rotation", "rotating", "turns")}
PRINTED = [b"one\ntwo\nthr", b"ee\n" + b"x" * 600 + b"\n", b"half", b" done\n\xff\x00\n", b"no end"]
LINES = ["one", "two", "three", "x" * 600, "half done", "\ufffd\0", "no end"]


class Held:
    """What the keeper holds of one worker and one stream; `printed` counts the pieces that were printed."""

    def __init__(self, folder: str) -> None:
        self.pipe = os.pipe()
        self.hold = os.pipe()
        self.journal = os.memfd_create("journal")
        self.printed = os.memfd_create("printed")
        self.path = os.path.join(folder, "a.log")
        os.set_blocking(self.pipe[0], False)

    def close(self) -> None:
        for fd in (*self.pipe, *self.hold, self.journal, self.printed):
            os.close(fd)
        for path in self.paths():
            os.unlink(path)

    def paths(self) -> list[str]:
        """The files that were written, in order."""
        folder = os.path.dirname(self.path)
        return [*(os.path.join(folder, one.name) for one in family(self.path)), self.path]


def work(held: Held, log: dict[str, Any]) -> None:
    """Write all that is printed, as a worker does, and print what was not yet."""
    traffic = Traffic(Pump(*held.hold, Journal(os.dup(held.journal))), Poller(), lambda message: None)
    traffic.resume()
    traffic.add(1, os.dup(held.pipe[0]), held.path, None, Settings(log), Facts(7, "stdout", 99))
    stream = traffic.streams[1]
    while True:
        while traffic.serve(stream):
            pass
        count = os.fstat(held.printed).st_size
        if count == len(PRINTED):
            traffic.ending = True
            traffic.serve(stream)
            traffic.mark(math.inf)
            return
        os.write(held.pipe[1], PRINTED[count])
        os.ftruncate(held.printed, count + 1)


def in_child(held: Held, log: dict[str, Any], kill_at: int) -> bool:
    """Whether it was killed, at that line of those it runs (0: not at all)."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert status in (0, signal.SIGKILL), f"the worker ended with {status}"
        return status == signal.SIGKILL
    left = kill_at

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if os.path.basename(frame.f_code.co_filename) not in WATCHED or frame.f_code.co_name == "__init__":
            return None
        if event in ("line", "return"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        if kill_at:
            sys.settrace(trace)
        work(held, log)
        sys.settrace(None)
    except BaseException:
        sys.settrace(None)
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def once(folder: str, log: dict[str, Any], kills: list[int]) -> int:
    """How many of the kills came to pass until everything was written."""
    held = Held(folder)
    counted = 0
    while in_child(held, log, kills[counted] if counted < len(kills) else 0):
        counted += 1
    written = b"".join(Path(path).read_bytes() for path in held.paths())
    rows = written.splitlines(keepends=True)
    if log.get("format") == "json":
        told = [json.loads(row)["message"] for row in rows]
    else:
        cut = 28 if log.get("timestamps") else 0
        told = [row[cut:].rstrip(b"\n").decode(errors="replace") for row in rows]
    if "rate" in log:  # each is there, or is counted
        counts = [int(line.split()[1]) for line in told if line.startswith("--- ")]
        told = [line for line in told if not line.startswith("--- ")]
        assert len(told) + sum(counts) == len(LINES), (kills, told, counts)
        told = LINES if told == [line for line in LINES if line in told] else told
    assert told == LINES, (kills, told)
    held.close()
    return counted


def main(log: dict[str, Any], step: int, pairs: int) -> None:
    dice = random.Random()
    first = dice.randint(1, step)
    with tempfile.TemporaryDirectory() as folder:
        count = first
        while once(folder, log, [count]):
            count += step
        for _ in range(pairs):
            once(folder, log, [dice.randint(1, count) for _ in range(3)])
    print(count)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
