"""Another process of a run in the place of its main process (MAINPID, a pid file). Who says so, is not asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pserv.keeper import kernel
from pserv.keeper.loop import READ, Loop
from pserv.keeper.runs import Records, Run

Ended = Callable[[Run, int | None, int | None, bool], None]

_OPTIONS = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Adopting:
    """Makes it so, and hears of its end: it need not be a child of ours yet, if its parent still lives."""

    def __init__(self, loop: Loop, records: Records, ended: Ended) -> None:
        """`ended(run, code, signal, core)`: code 0 when the end of another's child could not be seen."""
        self._loop = loop
        self._records = records
        self._ended = ended

    def adopt(self, run: Run, pid: int) -> bool:
        """Whether this is now the main process, whose end is the run's. It must be one of the run's processes."""
        if pid == run.pid:
            return True
        if run.end is not None or run.gone or pid in self._records.leaders:
            return False
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, AttributeError):  # gone, or this system cannot hold a process
            return False
        self.take(run, pid, pidfd)
        return True

    def take(self, run: Run, pid: int, pidfd: int) -> None:
        """Let it be the main process; the descriptor holds it."""
        self.release(run)
        self._records.leaders.pop(run.pid, None)
        run.pid, run.pidfd = pid, pidfd
        self._records.leaders[pid] = run
        self.watch(run)

    def watch(self, run: Run) -> None:
        """SIGCHLD tells the ends of our children only; this one may still be a child of the process before it."""
        if run.pidfd >= 0:
            self._loop.watch(run.pidfd, READ, lambda events: self._look(run))

    def release(self, run: Run) -> None:
        """The main process is not asked for any more."""
        if run.pidfd >= 0:
            self._loop.unwatch(run.pidfd)
            os.close(run.pidfd)
            run.pidfd = -1

    def _look(self, run: Run) -> None:
        self._loop.unwatch(run.pidfd)
        if run.end is not None:
            return
        try:
            info = os.waitid(os.P_PID, run.pid, _OPTIONS)
        except ChildProcessError:
            self._ended(run, *_seen(run.pid))
            return
        if info is not None:
            by_exit = info.si_code == os.CLD_EXITED
            code, signum = (info.si_status, None) if by_exit else (None, info.si_status)
            self._ended(run, code, signum, info.si_code == os.CLD_DUMPED)


def send(run: Run, signum: int) -> None:
    """To an adopted main process, whose number might be another's by now. Raises what pidfd_send_signal(2) does."""
    signal.pidfd_send_signal(run.pidfd, signum)


def group(run: Run) -> int:
    """The process group of the main process; 0 when it is not known any more, or is none of the run's."""
    if run.pidfd < 0:
        return run.pid
    try:
        send(run, 0)
        found = os.getpgid(run.pid)
    except OSError:
        return 0
    return 0 if found == os.getpgrp() else found


def _seen(pid: int) -> tuple[int | None, int | None, bool]:
    """How another's child ended, as long as it is not reaped (exit_code of proc(5), shown to root); else: well."""
    fields = kernel.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 50 or fields[0] != b"Z":
        return 0, None, False
    status = int(fields[49])
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status), os.WCOREDUMP(status)
    return os.WEXITSTATUS(status), None, False
