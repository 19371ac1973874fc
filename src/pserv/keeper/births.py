"""Forks of one turn, in a row: all that is made ready first, then child after child. What a child does is in `child`.

After a fork every page that is written, and be it for the count of a reference, has to be copied or taken back first.
To make one run ready writes to some 300 pages, to fork to 60; so a start of many services is made ready as one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from pserv.keeper import child
from pserv.keeper.forking import Forking
from pserv.keeper.loop import Loop
from pserv.keeper.runs import Run
from pserv.keeper.steps import Steps

_MOST = 16
"""So many in a row: each of them has descriptors open that are closed once it is forked."""


class Birth:
    """One child to come. `report`: the end that it tells a failed step through; `ends`: what only it needs, closed in
    the parent once it is forked."""

    __slots__ = ("ends", "error", "pid", "report", "run", "steps")

    def __init__(self, run: Run, steps: Steps, report: int, ends: list[int]) -> None:
        self.run = run
        self.steps = steps
        self.report = report
        self.ends = ends
        self.pid = 0
        self.error: OSError | None = None


class Births:
    """Those that are ready to be forked, at the latest before the loop calls back anybody else."""

    def __init__(self, loop: Loop, done: Callable[[Birth], None]) -> None:
        """`done` gets each with its `pid`, or with the `error` of the fork."""
        self._loop = loop
        self._done = done
        self._forking = Forking()
        self._row: list[Birth] = []

    def add(self, birth: Birth) -> None:
        """Fork it soon."""
        if not self._row:
            self._loop.soon(self.fork)
        self._row.append(birth)
        if len(self._row) >= _MOST:
            self.fork()

    def fork(self) -> None:
        """Fork all that are ready."""
        if not self._row:
            return
        row, self._row = self._row, []
        # Until a child has its own, a signal to it would be noted in the wake-up pipe that both share.
        child.set_mask(signal.SIG_SETMASK, child.ALL_SIGNALS)
        try:
            for index, birth in enumerate(row):
                try:
                    pid, inside, caught = self._forking.fork(birth.run.folder)
                except OSError as error:
                    birth.error = error
                else:
                    if pid == 0:
                        others = [fd for later in row[index + 1 :] for fd in later.ends]
                        child.become(
                            birth.steps, birth.report, others, None if inside else birth.run.folder, caught=caught
                        )
                    birth.pid = pid
                for fd in birth.ends:
                    os.close(fd)
        finally:
            child.set_mask(signal.SIG_SETMASK, ())
        for birth in row:
            birth.steps.done()
            try:
                self._done(birth)
            except Exception:  # a mistake in one thing: the others run, and must be known
                sys.excepthook(*sys.exc_info())
