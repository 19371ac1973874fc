"""After the fork, in the child: it walks its steps until execve, and tells which failed. The parent is elsewhere.

A step that fails is told with its errno, and the child ends: nothing ever runs with less than was asked for
(supervisor before 3.0b2 ran services as root when setuid failed).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import os
import sys
from collections.abc import Iterable

from pserv.keeper import cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pserv.keeper.steps import Steps

EXIT_BEFORE_EXEC = 127
_DETAIL = 2000  # the report must fit into one atomic write to the pipe, PIPE_BUF

# The functions of `signal` look each number up in an enumeration; these are the same without it.
ALL_SIGNALS = tuple(int(number) for number in _signal.valid_signals())
set_mask = _signal.pthread_sigmask


def become(steps: Steps, report: int, others: Iterable[int], folder: str | None, *, caught: bool) -> NoReturn:
    """Turn this fork into the service. Tells (step, errno, detail) through `report` and exits when it cannot.

    `others`: descriptors of runs that are forked later, whose pipes must not be held by one that hangs before its
    exec. `folder`: the cgroup that it has to join. `caught`: signals are still caught as in the parent.
    """
    place = steps.place
    try:
        for fd in others:
            os.close(fd)
        if steps.beyond:  # out of the way of what is handed
            report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, steps.beyond)
        if folder is not None:
            place.at("cgroup", folder)
            cgroup.join(folder)
        if caught:
            place.at("signals")
            reset_signals(changed_signals())
        for place.step, place.detail, function, arguments in steps.list:
            function(*arguments)
    except OSError as error:
        _tell(report, place.step, error.errno or 0, place.detail or str(error.filename or ""))
    except BaseException as error:
        _tell(report, place.step, 0, f"{place.detail}: {error}" if place.step == "exec" else str(error))
    finally:
        os._exit(EXIT_BEFORE_EXEC)


def changed_signals() -> list[int]:
    """Those whose action is not the default in this process."""
    return [number for number in ALL_SIGNALS if _signal.getsignal(number) != _signal.SIG_DFL]


def reset_signals(changed: Iterable[int], ignored: Iterable[int] = ()) -> None:
    """Default actions and an empty mask: nohup's ignored HUP and Python's ignored PIPE are not the service's."""
    for number in changed:
        _signal.signal(number, _signal.SIG_DFL)
    for number in ignored:
        _signal.signal(number, _signal.SIG_IGN)
    set_mask(_signal.SIG_SETMASK, ())


def _tell(report: int, step: str, number: int, detail: str) -> None:
    body = "\0".join((step, str(number), detail)).encode(errors="surrogateescape")
    try:
        os.write(report, body[:_DETAIL])
    except OSError:
        print(f"pserv: {step}: {os.strerror(number)} {detail}", file=sys.stderr)  # noqa: T201 - the keeper is gone
