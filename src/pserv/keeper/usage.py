"""What a main process has used, as the kernel tells at its end. Nothing is waited for here."""

from __future__ import annotations

import os
import resource

from pserv.keeper import kernel, strays
from pserv.keeper.runs import End, Run

_TICK = os.sysconf("SC_CLK_TCK")


def at_reaping(run: Run, end: End) -> None:
    """Give up the pid of an ended main process, which tells all that it used."""
    try:
        _, _, usage = os.wait4(run.pid, os.WNOHANG)
    except ChildProcessError:
        return
    run.reaped = True
    end.utime, end.stime = round(usage.ru_utime, 6), round(usage.ru_stime, 6)
    end.max_rss = _peak(usage.ru_maxrss)


def before_reaping(pid: int, end: End) -> None:
    """What /proc still knows of a main process that cannot be reaped yet; its peak memory is not among it."""
    process = strays.read(pid)
    if process is not None:
        end.utime, end.stime = process.ticks[0] / _TICK, process.ticks[1] / _TICK


def _peak(told: int) -> int:
    """Bytes of ru_maxrss; 0 where it may be our own.

    Linux counts what the process was before execve, too (getrusage(2) does not say so; exec_mmap in fs/exec.c does):
    our fork, which is no larger than we are.
    """
    if not strays.HAS_PROC:
        return told
    peak = told * 1024
    own = kernel.read("/proc/self/statm").split()
    return peak if not own or peak > int(own[1]) * resource.getpagesize() else 0
