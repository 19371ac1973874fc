"""How runs end: SIGKILL to the fix point, and telling when nothing is left. Decides nothing.

A main process stays unreaped (WNOWAIT) while something of its run is left, so neither its pid nor its group's id can
be given to another process that a signal would then hit.
"""

from __future__ import annotations

import os
import signal
import time

from pserv.keeper import cgroup, runs, usage
from pserv.keeper.adopting import Adopting
from pserv.keeper.loop import PRIORITY, Loop
from pserv.keeper.membership import Membership
from pserv.keeper.notices import Notices
from pserv.keeper.reaping import Reaping
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Roles
from pserv.keeper.runs import End, Records, Run
from pserv.keeper.signals import Signals
from pserv.keeper.spawning import Spawning
from pserv.keeper.strays import Process
from pserv.keeper.streams import Streams

SURVIVOR_PATIENCE = 1.0
"""Seconds after SIGKILL until what is still there (state D, or not ours to kill) is named and given up on."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.2
_LEAST_GAP = 0.02
"""Seconds between two looks at /proc that only follow from SIGCHLD."""


class Endings:
    """Owns every run from its first signal, or the end of its main process, to the report that it is gone."""

    def __init__(
        self,
        loop: Loop,
        records: Records,
        reports: Reports,
        streams: Streams,
        spawning: Spawning,
        notices: Notices,
        adopting: Adopting,
        roles: Roles,
        membership: Membership,
        signals: Signals,
        drain_timeout: float,
    ) -> None:
        self._loop = loop
        self._records = records
        self._reports = reports
        self._streams = streams
        self._spawning = spawning
        self._notices = notices
        self._adopting = adopting
        self._drain_timeout = drain_timeout
        self._membership = membership
        self._signals = signals
        self._reaping = Reaping(records, roles, membership, self._leader_ended)
        self._ended: list[Run] = []
        """Those of this turn that wait for its look at /proc."""
        self._waiting: dict[int, Run] = {}
        """Runs of which something may be left after the main process ended or SIGKILL was sent, by number."""
        self._due: set[int] = set()
        self._pause = _FIRST_PAUSE
        self._next_look = float("inf")
        self._named: list[str] = []

    def resume(self) -> None:
        """Go on with runs that another keeper program began; without such there is nothing to do."""
        for run in self._records.runs():
            self._spawning.watch(run)
            self._adopting.watch(run)
            if run.killing:
                run.killing = False
                self.kill(run)
            if run.end is not None:
                self._settle(run, self._membership.of([run])[run.number])
        self._reaping.reap()

    # What happens in a turn.

    def child_ended(self) -> None:
        """SIGCHLD: reap, and look again at the runs whose members come to us when they end."""
        self._reaping.reap()
        if self._reaping.hidden or self._named or any(run.events < 0 for run in self._waiting.values()):
            gap = max(_LEAST_GAP, self._membership.took)
            self._look_at(max(time.monotonic(), self._membership.looked + gap))

    def turn_ended(self) -> None:
        """One look at /proc for all that ended in this turn."""
        while self._ended:
            ended, self._ended = self._ended, []
            found = self._membership.of(ended)
            for run in ended:
                self._settle(run, found[run.number])
            if self._reaping.hidden:
                self._reaping.reap()
        if self._membership.looked_now:
            self._tell_unowned()
            self._membership.renew()

    def _leader_ended(self, run: Run, info: os.waitid_result) -> None:
        by_exit = info.si_code == os.CLD_EXITED
        code, signum = (info.si_status, None) if by_exit else (None, info.si_status)
        self._spawning.hear(run)
        self._notices.last_words(run)
        if run.pid != info.si_pid:
            os.waitpid(info.si_pid, os.WNOHANG)  # it has named another main process, whose end is the run's
            return
        self._main_ended(run, code, signum, info.si_code == os.CLD_DUMPED)

    def adopted_ended(self, run: Run, code: int | None, signum: int | None, core: bool) -> None:
        """A main process ended that is not the one we spawned."""
        self._notices.last_words(run)
        self._main_ended(run, code, signum, core)

    def _main_ended(self, run: Run, code: int | None, signum: int | None, core: bool) -> None:
        """Once for each run, when its last words were heard."""
        if run.end is not None:
            return
        run.end = End(code, signum, core, time.monotonic())
        run.state = runs.EXITED
        if run.folder is None:
            self._ended.append(run)
            self._membership.renew()  # it may have forked after the last look
            return
        if signum == signal.SIGKILL and not run.killing:
            run.end.oom = cgroup.killed_for_memory(run.folder)
        self._settle(run, [])

    def _settle(self, run: Run, left: list[Process]) -> None:
        """The main process ended: see whether that was all, and begin to tell it."""
        silent = False
        if run.failure is None and not run.told:
            run.told = True
            # First: what is to be done here is done while the logger writes.
            silent = not self._streams.drain(
                run.number, self._drain_timeout, run.streams, lambda lines, printed: self._tell(run, lines, printed)
            )
        if self._membership.empty(run, left):
            self._gone(run)
        else:
            run.strays |= {process.pid for process in left}
            self._wait_for(run)
        if silent:
            self._tell(run, [], 0)

    def _tell(self, run: Run, lines: list[str], printed: int) -> None:
        """The output is written, or was given up on: report the end, once."""
        run.drained = True
        end = run.end or End(None, None, False, time.monotonic())
        if not run.reaped:
            usage.before_reaping(run.pid, end)
        self._reports.add(
            "exited", run.key, run.number, pid=run.pid, **end.facts(), gone=run.gone, lines=lines, printed=printed
        )
        if run.gone:
            self._forget(run)

    # Waiting until nothing is left.

    def _wait_for(self, run: Run) -> None:
        """Look again when the kernel says so (cgroup), at SIGCHLD, and after growing pauses."""
        if run.number in self._waiting:
            return
        self._waiting[run.number] = run
        self._pause = _FIRST_PAUSE
        if run.folder is not None:
            try:
                run.events = os.open(f"{run.folder}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                run.events = -1
            else:
                self._loop.watch(run.events, PRIORITY, lambda events: self._changed(run))
                self._changed(run)  # reading arms the notification; what came before it is looked at once
                return
        self._look_at(time.monotonic() + self._pause)

    def _changed(self, run: Run) -> None:
        os.lseek(run.events, 0, os.SEEK_SET)
        os.read(run.events, 256)
        self._due.add(run.number)
        self._look_at(time.monotonic())

    def _look_at(self, when: float) -> None:
        if when < self._next_look:
            self._next_look = when
            self._loop.at("look", when, self._look)

    def _look(self) -> None:
        """Look at the runs that wait; strike again at those being killed."""
        self._next_look = float("inf")
        polled = [run for run in self._waiting.values() if run.events < 0 or run.killing]
        asked = polled + [run for number, run in self._waiting.items() if number in self._due and run not in polled]
        self._due.clear()
        found = self._membership.of(asked)
        for run in asked:
            left = found[run.number]
            run.strays |= {process.pid for process in left if run.end is not None}
            if run.end is not None and self._membership.empty(run, left):
                self._gone(run)
            elif run.killing:
                self._signals.strike(run, left)
        if self._reaping.hidden:
            self._reaping.reap_hidden()
            self._reaping.reap()
        if self._named:
            self._membership.census()
        if any(run.number in self._waiting for run in polled):
            self._look_at(time.monotonic() + self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _tell_unowned(self) -> None:
        """Name the adopted that belong to no run, when they are others than before."""
        named = [f"pid {process.pid} ({process.name})" for process in self._membership.unowned()]
        if named != self._named:
            self._named = named
            self._reports.add("unowned", processes=named)

    # The end of a run.

    def revive(self, run: Run) -> None:
        """Another process of the run is to take the place of its main process, which has ended and been told of."""
        self._wait_no_more(run)
        self._records.leaders.pop(run.pid, None)
        usage.at_reaping(run, End(None, None, False, 0.0))
        run.end = None
        run.state = runs.RUNNING
        run.reaped = run.told = run.drained = False
        run.strays = frozenset()

    def _wait_no_more(self, run: Run) -> None:
        self._waiting.pop(run.number, None)
        self._due.discard(run.number)
        if run.events >= 0:
            self._loop.unwatch(run.events)
            os.close(run.events)
            run.events = -1

    def _gone(self, run: Run, survivors: tuple[str, ...] = ()) -> None:
        """Nothing is left, or nothing that SIGKILL could end: give up the pid and the folder."""
        self._wait_no_more(run)
        self._loop.cancel(("survivors", run.number))
        run.gone = True
        self._notices.close(run)
        self._adopting.release(run)
        self._records.leaders.pop(run.pid, None)  # a main process that survived is reaped as an orphan is
        if run.end is not None:
            usage.at_reaping(run, run.end)
        if run.folder is not None:
            cgroup.remove(run.folder)
        if run.failure is not None:
            step, number, detail = run.failure
            self._reports.add(
                "spawn-failed", run.key, run.number, step=step, errno=number, detail=detail, at=time.monotonic()
            )
            self._forget(run)
        elif run.drained:
            self._reports.add("gone", run.key, run.number, survivors=list(survivors), strays=len(run.strays))
            self._forget(run)

    def _forget(self, run: Run) -> None:
        record = self._records.by_key.get(run.key)
        if record is not None and record.run is run:
            record.run = None

    # Killing.

    def kill(self, run: Run) -> None:
        """SIGKILL to all of the run until none is left; survivors are named after a second."""
        if run.gone or run.killing:
            return
        left = self._signals.note(run) if run.folder is None else []
        run.killing = True
        name = ("survivors", run.number)
        self._loop.at(name, time.monotonic() + SURVIVOR_PATIENCE, lambda: self._give_up(run))
        self._wait_for(run)
        self._signals.strike(run, left)

    def _give_up(self, run: Run) -> None:
        """A second after SIGKILL: whoever is there sits in the kernel (state D) or is not ours to kill."""
        left = self._membership.of([run])[run.number]
        if run.end is not None and not left:
            self._gone(run)
        elif run.told and not run.drained:
            self._loop.at(("survivors", run.number), time.monotonic() + 0.1, lambda: self._give_up(run))
        else:
            if not run.told:
                run.told = True
                self._tell(run, [], 0)
            self._gone(run, tuple(str(process) for process in left))
