"""What a child does between fork and execve, as a list that is made ready before the fork. It is walked in `child`.

Every page that a child writes, and be it for the count of a reference, is copied first: so what need not be done is not
in the list, and what the parent can work out is worked out there.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import os
import resource
import signal
import termios
from collections.abc import Callable, Iterable

from pserv.keeper import child, executing, identity, inheriting, kernel, mark
from pserv.keeper.host import COOKIE_VARIABLE, OOM_SCORE_ADJ, Original
from pserv.keeper.identity import Identity
from pserv.keeper.place import Place
from pserv.keeper.protocol import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Step = tuple[str, str, Callable[..., object], tuple[object, ...]]
"""Its name and its object, as a failure is told with; the call."""

_KINDS = 64
"""So many rules of what is inherited are remembered."""


class Stdio:
    """Descriptors for 0, 1, 2. `owned` shall be the user's; `terminal` is our end of a pty."""

    __slots__ = ("fds", "owned", "terminal")

    def __init__(self, fds: list[int], owned: list[int], terminal: int | None) -> None:
        self.fds = fds
        self.owned = owned
        self.terminal = terminal


class Inheritance:
    """What the daemon was started with, and what of it services get, as execve takes it."""

    def __init__(self, original: Original) -> None:
        self.original = original
        self.ignored = [number for number in child.ALL_SIGNALS if _signal.getsignal(number) == _signal.SIG_IGN]
        """Signals that execve would leave ignored."""
        self._variables: dict[str, dict[bytes, bytes]] = {}

    def variables(self, rule: bool | list[str]) -> dict[bytes, bytes]:
        """Those that are inherited; not to be changed."""
        name = str(rule)
        if name not in self._variables:
            if len(self._variables) >= _KINDS:
                self._variables.clear()
            self._variables[name] = _encoded(inheriting.inherited(rule, self.original.environment))
        return self._variables[name]


class Steps:
    """Those of one child. `place`: the one it is at; `beyond`: the number after those that it is handed."""

    __slots__ = ("_cookie", "_env", "_inheritance", "_launch", "_whom", "beyond", "list", "place")

    def __init__(
        self,
        launch: Message,
        stdio: Stdio,
        inheritance: Inheritance,
        cookie: str,
        handed: dict[int, int] | None = None,
        own_pid: tuple[str, ...] = (),
    ) -> None:
        """`handed`: descriptors by the number that they shall have; `own_pid`: variables that say the child's pid."""
        self.place = Place()
        self.list: list[Step] = []
        self.beyond = max(handed) + 1 if handed else 0
        self._launch = launch
        self._inheritance = inheritance
        self._cookie = cookie
        self._whom: Identity | None = None
        self._env: dict[bytes, bytes] = {}
        self._add("setsid", "", os.setsid)
        for number in inheritance.ignored:
            self._add("signals", "", _signal.signal, number, _signal.SIG_DFL)
        self._add("signals", "", child.set_mask, signal.SIG_SETMASK, ())
        another = any(launch.get(name) is not None for name in ("user", "group", "groups"))
        if another:
            self._add("user", str(launch.get("user") or launch.get("group") or ""), self._look_up)
        self._add_stdio(stdio, handed, another)
        sign = mark.limit(cookie)
        if sign is not None:
            self._add("stdio", "", mark.put, sign)
        self._add_limits()
        if another:
            self._add("user", "", self._change)
        # As systemd: after setuid, because the folder may be one that only the service's user can enter (NFS, 0700).
        if launch.get("cwd"):
            self._add("chdir", launch["cwd"], os.chdir, launch["cwd"])
        self._add_environment(own_pid)
        self._add("exec", launch["argv"][0], executing.execute, launch["argv"], self._env, self.place)

    def _add(self, name: str, detail: str, function: Callable[..., object], *arguments: object) -> None:
        self.list.append((name, detail, function, arguments))

    def _add_stdio(self, stdio: Stdio, handed: dict[int, int] | None, another: bool) -> None:
        if another and stdio.owned:
            self._add("stdio", "", self._own, stdio.owned)
        if stdio.terminal is not None:
            self._add("stdio", "", fcntl.ioctl, stdio.terminal, termios.TIOCSCTTY, 0)
        if any(fd < number for number, fd in enumerate(stdio.fds)):
            self._add("stdio", "", _rearrange, stdio.fds)
        else:
            for number, fd in enumerate(stdio.fds):
                self._add("stdio", "", os.dup2, fd, number)
        if handed:
            self._add("stdio", "", _hand, handed)
        if self._launch.get("banner"):
            self._add("stdio", "", os.write, 1, self._launch["banner"].encode(errors="surrogateescape"))

    def _add_limits(self) -> None:
        launch, original = self._launch, self._inheritance.original
        self._add("limits", "nofile", resource.setrlimit, resource.RLIMIT_NOFILE, original.nofile)
        for name, pair in (launch.get("limits") or {}).items():
            self._add("limits", name, _limit, name, pair)
        if launch.get("nice") is not None:
            self._add("nice", str(launch["nice"]), os.setpriority, os.PRIO_PROCESS, 0, launch["nice"])
        wanted = launch.get("oom_score_adj")
        if wanted is not None or original.oom_score_adj is not None:
            value = int((original.oom_score_adj if wanted is None else wanted) or 0)
            self._add("oom_score_adj", str(value), kernel.write, OOM_SCORE_ADJ, str(value).encode())
        if launch.get("umask") is not None:
            self._add("umask", f"{launch['umask']:04o}", os.umask, launch["umask"])

    def _add_environment(self, own_pid: tuple[str, ...]) -> None:
        if self._launch.get("user") is not None:
            self._add("environment", "", self._make_environment)
        else:
            try:
                self._make_environment()
            except ValueError as error:  # what cannot be said in bytes; the child tells it
                self._add("environment", "", _fail, error)
        if own_pid:
            self._add("environment", "", self._tell_pid, own_pid)

    def done(self) -> None:
        """In the parent: what refers to itself would wait for the collector of cycles."""
        self.list.clear()

    # What only the child can do.

    def _look_up(self) -> None:
        self._whom = identity.look_up(self._launch)

    def _own(self, fds: Iterable[int]) -> None:
        if self._whom is not None and os.geteuid() == 0:
            for fd in fds:
                os.fchown(fd, self._whom.uid, -1)

    def _change(self) -> None:
        if self._whom is not None:
            identity.change(self._whom, self.place)

    def _make_environment(self) -> None:
        """What is inherited, then what follows from the user, then what was declared, then the sign of the run."""
        more: dict[str, str] = {}
        if self._whom is not None and self._launch.get("user") is not None:
            whom = self._whom
            more = {"HOME": whom.home, "USER": whom.name, "LOGNAME": whom.name, "SHELL": whom.shell}
        more |= self._launch.get("env") or {}
        more[COOKIE_VARIABLE] = self._cookie
        self._env |= self._inheritance.variables(self._launch.get("inherit", False))
        self._env |= _encoded(more)

    def _tell_pid(self, names: Iterable[str]) -> None:
        for name in names:
            self._env.setdefault(os.fsencode(name), b"%d" % os.getpid())


def _encoded(variables: dict[str, str]) -> dict[bytes, bytes]:
    """As execve takes it: encoding takes the child longer than to read what was encoded in a row."""
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def _rearrange(fds: list[int]) -> None:
    """Some are in each other's way: none may be overwritten before it was used. The copies close on exec."""
    for number, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in fds]):
        os.dup2(fd, number)


def _hand(handed: dict[int, int]) -> None:
    """Give descriptors the numbers that the service expects, past its exec."""
    beyond = max(handed, default=0) + 1
    sources = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, beyond) for number, fd in handed.items()}
    for number, fd in sources.items():
        os.dup2(fd, number)


def _limit(name: str, pair: list[int | str | None]) -> None:
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if number is None:
        raise LookupError(f"no such limit on this system: {name}")
    soft, hard = (resource.RLIM_INFINITY if value in (-1, "unlimited") else value for value in pair)
    resource.setrlimit(number, (soft, resource.getrlimit(number)[1] if hard is None else hard))  # type: ignore[arg-type]


def _fail(error: Exception) -> NoReturn:
    raise error
