"""The end of the daemon: who ordered it, whether the supervisor takes it, and what is done when nobody does."""

from __future__ import annotations

import os
import signal
import time

from pserv.keeper import strays
from pserv.keeper.protocol import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.main import Keeper

_ONCE = 0.5
"""Seconds within which signals are one order: a Ctrl-C and the TERM of a service manager come together."""
_SUPERVISOR_PATIENCE = 1.0


class Order:
    """`exit_code` is set when all is done. Counts are of orders, not of signals."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._end: Message | None = None
        self._last = 0.0
        self._code = 0
        self._stage = ""
        self.exit_code: int | None = None

    @property
    def finishing(self) -> bool:
        return bool(self._stage)

    def described(self) -> Message | None:
        """`end` of the table: count, signal (0 for the lease), time of the first order."""
        return self._end

    def restore(self, end: Message | None) -> None:
        """Ordered before the keeper's program was exchanged."""
        self._end = end
        if end is not None:
            self._limit()

    def ordered(self, signum: int) -> None:
        """TERM, INT, or 0 for the end of the lease."""
        now = time.monotonic()
        once, self._last = now - self._last < _ONCE and self._end is not None, now
        if once:
            return
        if self._end is None:
            self._end = {"count": 1, "signal": signum, "at": now}
            self._limit()
        else:
            self._end = {**self._end, "count": self._end["count"] + 1, "signal": signum}
        self._keeper.reports.add("order", what="end", count=self._end["count"], signal=signum)

    def _limit(self) -> None:
        # The supervisor itself kills what is left after `shutdown_timeout`: it gets the time for that.
        seconds = self._keeper.boot.shutdown_timeout + self._keeper.boot.end_patience
        self._keeper.loop.at("order", time.monotonic() + seconds, self._take_over)

    def _take_over(self) -> None:
        """Nobody finished in time: end all runs ourselves."""
        keeper = self._keeper
        if self._stage:
            return
        for run in keeper.records.runs():
            keeper.signals.send(run, signal.SIGTERM, "all")
        self._code, self._stage = 1, "term"
        keeper.supervision.ending = True
        keeper.supervision.kill()
        keeper.loop.at("order", time.monotonic() + keeper.boot.end_patience, self._kill_runs)

    def finish(self, code: int) -> None:
        """The supervisor says that all is stopped; what is not, is killed."""
        if not self._stage:
            self._keeper.supervision.ending = True
            self._code = code
            self._kill_runs()

    def _kill_runs(self) -> None:
        self._stage = "kill"
        for run in self._keeper.records.runs():
            self._keeper.endings.kill(run)

    def turn_ended(self) -> None:
        """Go on to the next stage when the present one is through."""
        keeper = self._keeper
        if self._stage in ("term", "kill") and not keeper.records.runs():
            self._stage = "logger"
            keeper.loop.cancel("order")
            self._kill_strays()
            keeper.loggers.finish(keeper.boot.logger_patience, self._logger_finished)
        if self._stage == "supervisor" and not keeper.supervision.pid:
            self.exit_code = self._code

    def _logger_finished(self) -> None:
        """The last lines are written: the supervisor may answer who still listens, and go."""
        keeper = self._keeper
        self._stage = "supervisor"
        keeper.supervision.send({"op": "end"})
        keeper.loop.at("supervisor", time.monotonic() + _SUPERVISOR_PATIENCE, keeper.supervision.kill)

    def _kill_strays(self) -> None:
        """Adopted processes that belonged to nobody; their own children come to us in turn, or to init."""
        for process in self._keeper.membership.unowned():
            strays.send(process, signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
