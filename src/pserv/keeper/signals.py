"""Signals to a run: its main process, its group, the rest, or all of it. When to send which is not decided here."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pserv.keeper import adopting, cgroup, strays
from pserv.keeper.membership import Membership
from pserv.keeper.runs import Run
from pserv.keeper.strays import Process


class Signals:
    """Sends only to ids that are held, and by pidfd to all others: no signal hits another's process."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    def send(self, run: Run, signum: int, scope: str) -> None:
        """To the main process, its group, all but it, or all. Who is gone already needs none."""
        if run.gone:
            return
        if run.folder is None and run.noted is None:
            self.note(run)
        group = adopting.group(run) if scope != "main" else 0
        if scope == "main" and run.end is None:
            _to_main(run, signum)
        if scope in ("group", "all") and not _to_group(group, signum) and run.end is None:
            _to_main(run, signum)  # it has not made its session yet
        if scope in ("rest", "all"):
            for process in self._membership.of([run])[run.number]:
                if process.pid != run.pid and (scope == "rest" or process.group != group):
                    strays.send(process, signum)

    def note(self, run: Run) -> list[Process]:
        """Before a signal makes orphans of them: who descends from the run now."""
        found = self._membership.of([run])[run.number]
        run.noted = (run.noted or set()) | {(process.pid, process.start) for process in found}
        return found

    def strike(self, run: Run, left: list[Process]) -> None:
        """SIGKILL to all of it: to those in `left`, or when that is empty, to whom a new look finds."""
        if run.end is None:
            _to_main(run, signal.SIGKILL)  # it may not have come to its group or cgroup yet
        if run.folder is not None and cgroup.kill(run.folder):
            return
        group = adopting.group(run)
        _to_group(group, signal.SIGKILL)
        for process in left or self._membership.of([run])[run.number]:
            if process.group != group:
                strays.send(process, signal.SIGKILL)


def _to_main(run: Run, signum: int) -> None:
    if run.pidfd < 0:
        _send(os.kill, run.pid, signum)
    else:
        _send(lambda _, number: adopting.send(run, number), run.pid, signum)


def _to_group(group: int, signum: int) -> bool:
    return group > 0 and _send(os.killpg, group, signum)


def _send(send: Callable[[int, int], None], pid: int, signum: int) -> bool:
    """To a main process or its group, whose ids are held. False when there is none; EPERM shows in who survives."""
    try:
        send(pid, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
