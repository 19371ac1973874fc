"""Another process in the place of a main process that has ended: of runs that went to the background. On order only."""

from __future__ import annotations

import os
from collections.abc import Callable

from pserv.keeper.membership import Membership
from pserv.keeper.reports import Reports
from pserv.keeper.runs import Run

_NAMED = 5
"""So many processes are named where one was sought."""


class Following:
    """Finds it, sees that it is one of the run's, and tells what came of it."""

    def __init__(
        self,
        reports: Reports,
        member: Callable[[Run, int], bool | None],
        membership: Membership,
        take: Callable[[Run, int, int], None],
        revive: Callable[[Run], None],
    ) -> None:
        """`member`, `take` and `revive` are those of `Notices`, `Adopting` and `Endings`."""
        self._reports = reports
        self._member = member
        self._membership = membership
        self._take = take
        self._revive = revive

    def adopt(self, run: Run, pid: int | None) -> None:
        """This process, or where None is given the only one that is left, goes on for the main process."""
        if run.gone or run.killing:
            return  # the end of it is told
        found, why = (pid, self._refusal(run, pid)) if pid is not None else self._only(run)
        if found is None and not why:
            return  # nothing is left: that is told
        if found is not None and not why and not self._follows(run, found):
            why = f"process {found} cannot be held: it has ended, or this system has no pidfd_open"
        if why:
            self._reports.add("unadopted", run.key, run.number, pid=found, text=why)
        else:
            self._reports.add("adopted", run.key, run.number, pid=found)

    def _follows(self, run: Run, pid: int) -> bool:
        if pid == run.pid:
            return True
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            return False
        self._revive(run)
        self._take(run, pid, pidfd)
        return True

    def _refusal(self, run: Run, pid: int) -> str:
        """Why this cannot be its main process; "" where it can."""
        if pid == run.pid and run.end is None:
            return ""
        if pid == run.pid:
            return f"process {pid} is the one that was started, and has ended"
        if run.end is None:
            return f"its main process {run.pid} has not ended"
        if not run.drained:
            return "its end is not told yet"
        belongs = self._member(run, pid)
        if belongs is None:
            return f"there is no process {pid}"
        return "" if belongs else f"process {pid} is none of this service's"

    def _only(self, run: Run) -> tuple[int | None, str]:
        """As systemd guesses: who is left without a parent of the run is the main process, where that is one."""
        if run.end is None:
            return run.pid, ""
        self._membership.renew()
        left = [process for process in self._membership.of([run])[run.number] if process.pid != run.pid]
        pids = {process.pid for process in left}
        tops = [process for process in left if process.parent not in pids]
        if len(tops) <= 1:
            return (tops[0].pid if tops else None), ""
        named = ", ".join(f"{process.pid} ({process.name})" for process in tops[:_NAMED])
        more = ", …" if len(tops) > _NAMED else ""
        return None, f"left {len(tops)} processes in the background, {named}{more}, and no pid_file names the main one"
