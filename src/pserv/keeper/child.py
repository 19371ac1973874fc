"""After the fork, in the child: what is done, in which order, until execve; which step failed. The parent is elsewhere.

A step that fails is told with its errno, and the child ends: nothing ever runs with less than was asked for
(supervisor before 3.0b2 ran services as root when setuid failed).

Every page that is written here, and be it for the count of a reference, is copied first: what the parent can make
ready is made ready there.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import os
import resource
import sys
import termios
from collections.abc import Iterable

from pserv.keeper import cgroup, executing, identity, inheriting, mark
from pserv.keeper.host import COOKIE_VARIABLE, Original, write_oom_score_adj
from pserv.keeper.identity import Identity
from pserv.keeper.place import Place
from pserv.keeper.protocol import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

EXIT_BEFORE_EXEC = 127
_DETAIL = 2000  # the report must fit into one atomic write to the pipe, PIPE_BUF

# The functions of `signal` look each number up in an enumeration; these are the same without it.
ALL_SIGNALS = tuple(int(number) for number in _signal.valid_signals())
set_mask = _signal.pthread_sigmask


class Stdio:
    """Descriptors for 0, 1, 2. `owned` shall be the user's; `terminal` is our end of a pty."""

    __slots__ = ("fds", "owned", "terminal")

    def __init__(self, fds: list[int], owned: list[int], terminal: int | None) -> None:
        self.fds = fds
        self.owned = owned
        self.terminal = terminal


class Ready:
    """What the parent makes ready for the child. `folder`: the cgroup to join, None where there is none.

    `environment`: None where it depends on the user, whom only the child looks up. `handed`: descriptors by the number
    that they shall have; `own_pid`: variables that say the child's pid.
    """

    __slots__ = (
        "changed", "cookie", "environment", "folder", "handed", "launch", "mark", "original", "own_pid", "stdio",
    )  # fmt: skip

    def __init__(
        self,
        launch: Message,
        stdio: Stdio,
        original: Original,
        changed: Iterable[int],
        folder: str | None,
        cookie: str,
        handed: dict[int, int] | None = None,
        own_pid: tuple[str, ...] = (),
    ) -> None:
        self.launch = launch
        self.stdio = stdio
        self.original = original
        self.changed = changed
        self.folder = folder
        self.cookie = cookie
        self.mark = mark.limit(cookie)
        self.handed = handed or {}
        self.own_pid = own_pid
        self.environment = (
            environment(launch, original.environment, None, cookie) if launch.get("user") is None else None
        )


def become(ready: Ready, report: int, others: Iterable[int], *, inside: bool) -> NoReturn:
    """Turn this fork into the service. Tells (step, errno, detail) through `report` and exits when it cannot.

    `others`: descriptors of runs that are forked later, whose pipes must not be held by one that hangs before its
    exec. `inside`: it is in its cgroup already.
    """
    place = Place()
    try:
        for fd in others:
            os.close(fd)
        if inside:
            ready.folder = None
        if ready.handed:  # out of the way of those
            report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, max(ready.handed) + 1)
        _become(ready, place)
    except OSError as error:
        _tell(report, place.step, error.errno or 0, place.detail or str(error.filename or ""))
    except BaseException as error:
        _tell(report, place.step, 0, f"{place.detail}: {error}" if place.step == "exec" else str(error))
    finally:
        os._exit(EXIT_BEFORE_EXEC)


def _become(ready: Ready, place: Place) -> None:
    launch = ready.launch
    place.at("setsid")
    os.setsid()
    place.at("signals")
    reset_signals(ready.changed)
    if ready.folder is not None:
        place.at("cgroup", ready.folder)
        cgroup.join(ready.folder)
    place.at("user", str(launch.get("user") or launch.get("group") or ""))
    whom = identity.look_up(launch)
    place.at("stdio")
    _set_stdio(ready.stdio, whom)
    _hand(ready.handed)
    if launch.get("banner"):
        os.write(1, launch["banner"].encode(errors="surrogateescape"))
    if ready.mark is not None:
        mark.put(ready.mark)
    _set_limits(launch, ready.original, place)
    if whom is not None:
        identity.change(whom, place)
    # As systemd: after setuid, because the folder may be one that only the service's user can enter (NFS, 0700).
    if launch.get("cwd"):
        place.at("chdir", launch["cwd"])
        os.chdir(launch["cwd"])
    env = ready.environment
    if env is None:
        place.at("environment")
        env = environment(launch, ready.original.environment, whom, ready.cookie)
    for name in ready.own_pid:
        env.setdefault(name, str(os.getpid()))
    place.at("exec", launch["argv"][0])
    executing.execute(launch["argv"], env, place)


def changed_signals() -> list[int]:
    """Those whose action is not the default in this process. Slow to find out: once, not in every child."""
    return [number for number in ALL_SIGNALS if _signal.getsignal(number) != _signal.SIG_DFL]


def reset_signals(changed: Iterable[int], ignored: Iterable[int] = ()) -> None:
    """Default actions and an empty mask: nohup's ignored HUP and Python's ignored PIPE are not the service's."""
    for number in changed:
        _signal.signal(number, _signal.SIG_DFL)
    for number in ignored:
        _signal.signal(number, _signal.SIG_IGN)
    set_mask(_signal.SIG_SETMASK, ())


def _set_stdio(stdio: Stdio, whom: Identity | None) -> None:
    if whom is not None and os.geteuid() == 0:
        for fd in stdio.owned:
            os.fchown(fd, whom.uid, -1)
    if stdio.terminal is not None:
        fcntl.ioctl(stdio.terminal, termios.TIOCSCTTY, 0)
    sources = stdio.fds
    if any(fd < number for number, fd in enumerate(sources)):
        # Out of the way of 0 to 2, so that none is overwritten before it was used; the copies close on exec.
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in sources]
    for number, fd in enumerate(sources):
        os.dup2(fd, number)


def _hand(handed: dict[int, int]) -> None:
    """Give descriptors the numbers that the service expects, past its exec."""
    beyond = max(handed, default=0) + 1
    sources = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, beyond) for number, fd in handed.items()}
    for number, fd in sources.items():
        os.dup2(fd, number)


def _set_limits(launch: Message, original: Original, place: Place) -> None:
    place.at("limits", "nofile")
    resource.setrlimit(resource.RLIMIT_NOFILE, original.nofile)
    for name, pair in (launch.get("limits") or {}).items():
        place.at("limits", name)
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise LookupError(f"no such limit on this system: {name}")
        soft, hard = (resource.RLIM_INFINITY if value in (-1, "unlimited") else value for value in pair)
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1] if hard is None else hard))
    if launch.get("nice") is not None:
        place.at("nice", str(launch["nice"]))
        os.setpriority(os.PRIO_PROCESS, 0, launch["nice"])
    wanted = launch.get("oom_score_adj")
    if wanted is not None or original.oom_score_adj is not None:
        value = original.oom_score_adj if wanted is None else wanted
        place.at("oom_score_adj", str(value))
        write_oom_score_adj(int(value or 0))
    if launch.get("umask") is not None:
        place.at("umask", f"{launch['umask']:04o}")
        os.umask(launch["umask"])


def environment(launch: Message, inherited: dict[str, str], whom: Identity | None, cookie: str) -> dict[str, str]:
    """What is inherited, then what follows from the user, then what was declared, then the sign of the run."""
    env = inheriting.inherited(launch.get("inherit", False), inherited)
    if whom is not None and launch.get("user") is not None:
        env |= {"HOME": whom.home, "USER": whom.name, "LOGNAME": whom.name, "SHELL": whom.shell}
    env |= launch.get("env") or {}
    env[COOKIE_VARIABLE] = cookie
    return env


def _tell(report: int, step: str, number: int, detail: str) -> None:
    body = "\0".join((step, str(number), detail)).encode(errors="surrogateescape")
    try:
        os.write(report, body[:_DETAIL])
    except OSError:
        print(f"pserv: {step}: {os.strerror(number)} {detail}", file=sys.stderr)  # noqa: T201 - the keeper is gone
