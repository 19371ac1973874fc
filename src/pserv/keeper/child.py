"""After the fork, in the child: what is done, in which order, until execve; which step failed. The parent is elsewhere.

A step that fails is told with its errno, and the child ends: nothing ever runs with less than was asked for
(supervisor before 3.0b2 ran services as root when setuid failed).
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import resource
import signal
import sys
import termios
from collections.abc import Iterable
from typing import NoReturn

from pserv.keeper import cgroup, mark
from pserv.keeper.host import COOKIE_VARIABLE, Original, write_oom_score_adj
from pserv.keeper.protocol import Message

NEVER_INHERITED = ("NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "INVOCATION_ID", "JOURNAL_STREAM", COOKIE_VARIABLE)
"""Beginnings of the names of variables that speak to the daemon, not to its services."""

EXIT_BEFORE_EXEC = 127
_DETAIL = 2000  # the report must fit into one atomic write to the pipe, PIPE_BUF
_SHELL = "/bin/sh"


class Stdio:
    """Descriptors for 0, 1, 2; None is /dev/null. `owned` shall be the user's; `terminal` is our end of a pty."""

    __slots__ = ("fds", "owned", "terminal")

    def __init__(self, fds: list[int | None], owned: list[int], terminal: int | None) -> None:
        self.fds = fds
        self.owned = owned
        self.terminal = terminal


class Identity:
    """Whom to become: what the user and group names mean, looked up in the child since NSS may hang."""

    __slots__ = ("gid", "groups", "home", "name", "shell", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int] | None, account: pwd.struct_passwd | None) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.name = account.pw_name if account else str(uid)
        self.home = account.pw_dir if account else "/"
        self.shell = account.pw_shell if account else _SHELL


class Place:
    """Where the child stands: the step it is at, and the object of the step, for the report."""

    __slots__ = ("detail", "step")

    def __init__(self) -> None:
        self.step = "start"
        self.detail = ""

    def at(self, step: str, detail: str = "") -> None:
        self.step = step
        self.detail = detail


def become(
    launch: Message,
    stdio: Stdio,
    original: Original,
    changed: Iterable[int],
    folder: str | None,
    cookie: str,
    report: int,
) -> NoReturn:
    """Turn this fork into the service. Tells (step, errno, detail) through `report` and exits when it cannot.

    `changed`: signals to set to their default; `folder`: the cgroup to join, None where it is there already.
    """
    place = Place()
    try:
        _become(launch, stdio, original, changed, folder, cookie, place)
    except OSError as error:
        _tell(report, place.step, error.errno or 0, place.detail or str(error.filename or ""))
    except BaseException as error:
        _tell(report, place.step, 0, f"{place.detail}: {error}" if place.step == "exec" else str(error))
    finally:
        os._exit(EXIT_BEFORE_EXEC)


def _become(
    launch: Message,
    stdio: Stdio,
    original: Original,
    changed: Iterable[int],
    folder: str | None,
    cookie: str,
    place: Place,
) -> None:
    place.at("setsid")
    os.setsid()
    place.at("signals")
    reset_signals(changed)
    if folder is not None:
        place.at("cgroup", folder)
        cgroup.join(folder)
    place.at("user", str(launch.get("user") or launch.get("group") or ""))
    identity = look_up(launch)
    place.at("stdio")
    _set_stdio(stdio, identity)
    mark.put(cookie)
    _set_limits(launch, original, place)
    if identity is not None:
        _change_identity(identity, place)
    # As systemd: after setuid, because the folder may be one that only the service's user can enter (NFS, 0700).
    if launch.get("cwd"):
        place.at("chdir", launch["cwd"])
        os.chdir(launch["cwd"])
    place.at("environment")
    env = environment(launch, original.environment, identity, cookie)
    place.at("exec", launch["argv"][0])
    _execute(list(launch["argv"]), env, place)


def changed_signals() -> list[int]:
    """Those whose action is not the default in this process. Slow to find out: once, not in every child."""
    return [int(number) for number in signal.valid_signals() if signal.getsignal(number) is not signal.SIG_DFL]


def reset_signals(changed: Iterable[int], ignored: Iterable[int] = ()) -> None:
    """Default actions and an empty mask: nohup's ignored HUP and Python's ignored PIPE are not the service's."""
    for number in changed:
        signal.signal(number, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def look_up(launch: Message) -> Identity | None:
    """Raises LookupError with the name in its text; None when nothing is to change."""
    user, group, extra = launch.get("user"), launch.get("group"), launch.get("groups")
    if user is None and group is None and extra is None:
        return None
    account = _account(str(user) if user is not None else str(os.getuid()))
    if user is not None and account is None and not str(user).isdecimal():
        raise LookupError(f"no such user: {user}")
    uid = account.pw_uid if account else int(user) if user is not None else os.getuid()
    gid = _gid(str(group)) if group is not None else account.pw_gid if account else uid
    if extra is not None:
        groups = [gid, *(_gid(str(name)) for name in extra)]
    elif user is not None:
        groups = os.getgrouplist(account.pw_name, gid) if account else [gid]
    else:
        groups = None
    return Identity(uid, gid, groups, account)


def _account(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        return None


def _gid(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"no such group: {group}") from None


def _set_stdio(stdio: Stdio, identity: Identity | None) -> None:
    if identity is not None and os.geteuid() == 0:
        for fd in stdio.owned:
            os.fchown(fd, identity.uid, -1)
    if stdio.terminal is not None:
        fcntl.ioctl(stdio.terminal, termios.TIOCSCTTY, 0)
    # First out of the way of 0 to 2, so that none is overwritten before it was used; the copies close on exec.
    null = os.open(os.devnull, os.O_RDWR)
    sources = [fcntl.fcntl(null if fd is None else fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in stdio.fds]
    for number, fd in enumerate(sources):
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


def _change_identity(identity: Identity, place: Place) -> None:
    """Groups, then group, then user; then see that it is so and cannot be undone."""
    uid, gid = identity.uid, identity.gid
    if os.geteuid() != 0 and uid == os.getuid() and gid == os.getgid() and not _other_groups(identity):
        return  # what we are already, and could not change
    if identity.groups is not None:
        place.at("setgroups", " ".join(map(str, identity.groups)))
        os.setgroups(identity.groups)
    place.at("setgid", str(gid))
    os.setregid(gid, gid)  # with both given the saved id changes too
    place.at("setuid", identity.name)
    os.setreuid(uid, uid)
    place.at("verify", f"uid {uid}, gid {gid}")
    if _ids() != (uid, uid, gid, gid) or not _saved_ids_are(uid, gid):
        raise PermissionError(errno.EPERM, "the ids did not change")
    if identity.groups is not None and set(os.getgroups()) - {gid} != set(identity.groups) - {gid}:
        raise PermissionError(errno.EPERM, "the groups did not change")
    if uid != 0 and _can_become_root():
        raise PermissionError(errno.EPERM, "root can be had back")


def _ids() -> tuple[int, int, int, int]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid()


def _saved_ids_are(uid: int, gid: int) -> bool:
    """True where the system cannot tell (macOS)."""
    return not hasattr(os, "getresuid") or (os.getresuid()[2] == uid and os.getresgid()[2] == gid)


def _other_groups(identity: Identity) -> bool:
    """Whether groups are wanted that this process is not in."""
    return identity.groups is not None and bool(set(identity.groups) - {*os.getgroups(), os.getgid()})


def _can_become_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True


def environment(launch: Message, inherited: dict[str, str], identity: Identity | None, cookie: str) -> dict[str, str]:
    """What is inherited, then what follows from the user, then what was declared, then the sign of the run."""
    rule = launch.get("inherit", False)
    env: dict[str, str] = {}
    for name, value in inherited.items():
        if not name.startswith(NEVER_INHERITED) and (rule is True or (rule and _matches(name, rule))):
            env[name] = value
    if identity is not None and launch.get("user") is not None:
        env |= {"HOME": identity.home, "USER": identity.name, "LOGNAME": identity.name, "SHELL": identity.shell}
    env |= launch.get("env") or {}
    env[COOKIE_VARIABLE] = cookie
    return env


def _matches(name: str, rule: list[str]) -> bool:
    return any(name == word or (word.endswith("*") and name.startswith(word[:-1])) for word in rule)


def _execute(argv: list[str], env: dict[str, str], place: Place) -> NoReturn:
    """execvpe by the service's own PATH; raises the error that matters, as execvp(3) does."""
    name = argv[0]
    if "/" in name:
        _execute_path(name, argv, env, place)
    denied: OSError | None = None
    search = env.get("PATH", os.defpath)
    found = f"{name}: it is in no folder of PATH={search}"
    for folder in search.split(os.pathsep):
        path = os.path.join(folder or ".", name)
        try:
            _execute_path(path, argv, env, place)
        except OSError as error:
            if error.errno == errno.EACCES:
                denied, found = (denied, found) if denied else (error, place.detail)
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR) or os.path.exists(path):
                raise
    place.at("exec", found)
    raise denied or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _execute_path(path: str, argv: list[str], env: dict[str, str], place: Place) -> NoReturn:
    place.at("exec", path)
    try:
        os.execve(path, argv, env)
    except OSError as error:
        error.filename = path
        if error.errno == errno.ENOEXEC:  # a script without #! is the shell's, as for execvp(3)
            os.execve(_SHELL, [_SHELL, path, *argv[1:]], env)
        place.detail += _why(path, error.errno, env)
        raise


def _why(path: str, number: int | None, env: dict[str, str]) -> str:
    """What the errno of execve does not say."""
    if number == errno.ENOENT and os.path.exists(path):
        return f": its interpreter {_interpreter(path)} does not exist"
    if number == errno.EACCES and os.path.isdir(path):
        return ": it is a folder"
    if number == errno.EACCES and os.path.exists(path) and not os.access(path, os.X_OK):
        return ": it is not executable (chmod +x)"
    if number == errno.E2BIG and env:
        largest = max(env, key=lambda name: len(env[name]))
        return f": the largest variable is {largest} with {len(env[largest])} characters"
    return ""


def _interpreter(path: str) -> str:
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    return first[2:].decode(errors="replace").strip() if first.startswith(b"#!") else "(of the ELF file)"


def _tell(report: int, step: str, number: int, detail: str) -> None:
    body = "\0".join((step, str(number), detail)).encode(errors="surrogateescape")
    try:
        os.write(report, body[:_DETAIL])
    except OSError:
        print(f"pserv: {step}: {os.strerror(number)} {detail}", file=sys.stderr)  # noqa: T201 - the keeper is gone
