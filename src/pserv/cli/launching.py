"""Starting the daemon as a process of its own, and learning that it is ready. What is then asked of it is in `up`."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

import pserv
from pserv.keeper import quickjson
from pserv.model.errors import ExitCode, PservError

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

_IGNORED = [getattr(_signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(_signal, name)]
"""By every Python, but not by what the daemon runs."""


class Started:
    """A daemon that is ready. It ends in order when `lease` is closed; without a lease it stays.

    `starting`: the services that it starts by itself.
    """

    __slots__ = ("lease", "pid", "socket", "starting")

    def __init__(self, pid: int, lease: int) -> None:
        self.pid = pid
        self.lease = lease
        self.socket = ""
        self.starting: list[str] = []

    def release(self) -> None:
        """Close the lease: the order to end, which needs no supervisor to take it."""
        if self.lease >= 0:
            os.close(self.lease)
            self.lease = -1

    def wait(self) -> int:
        """Its exit code, once it ended; minus the number of the signal that killed it."""
        if self.pid < 0:
            raise ChildProcessError("the daemon was waited for already")
        _, status = os.waitpid(self.pid, 0)
        self.pid = -1
        return os.waitstatus_to_exitcode(status)

    def terminate(self) -> None:
        """Ask it to end, unless it has."""
        if self.pid > 0:
            os.kill(self.pid, _signal.SIGTERM)


def start(files: list[str], *, options: list[str], socket: str, attached: bool) -> Started:
    """Starts `pserv daemon` in a session of its own and waits until it is ready.

    `attached`: it shares our output and holds our lease. Raises PservError with the daemon's own words.
    """
    ready, told = os.pipe()
    held, lease = os.pipe() if attached else (-1, -1)
    # -P: else modules that lie in the working directory would be taken for ours and the library's.
    # By its file: what -m imports to find it takes 10 ms, and would stay in the keeper.
    program = os.path.join(os.path.dirname(pserv.__file__), "__main__.py")
    command = [sys.executable, "-P", program, "daemon", *options, "--ready-fd", str(told)]
    for file in files:
        command += ["--config", file]
    if socket:
        command += ["--socket", socket]
    if attached:
        command += ["--lease-fd", str(held)]
    passed = [fd for fd in (told, held) if fd >= 0]
    try:
        started = Started(_spawn(command, passed, quiet=not attached), lease)
    except OSError as error:
        raise PservError(f"cannot start the daemon: {error.strerror}") from error
    finally:
        for fd in passed:
            os.close(fd)
    try:
        answer = _answer(ready, started)
        started.socket, started.starting = str(answer["socket"]), list(answer.get("starting", ()))
    except BaseException:
        started.release()
        started.terminate()
        raise
    finally:
        os.close(ready)
    return started


def _spawn(command: list[str], passed: list[int], *, quiet: bool) -> int:
    """Its pid. posix_spawn(3) rather than `subprocess`, whose import takes as long as the process that it starts."""
    for fd in passed:
        os.set_inheritable(fd, True)
    closed = (0, 1, 2) if quiet else (0,)
    actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in closed]
    options: dict[str, Any] = {"file_actions": actions, "setsigdef": _IGNORED}
    try:
        return os.posix_spawn(command[0], command, os.environ, setsid=True, **options)
    except NotImplementedError:  # where the system's has no such flag (FreeBSD) the daemon does it itself
        return os.posix_spawn(command[0], command, os.environ, **options)


def _answer(ready: int, started: Started) -> dict[str, Any]:
    """What the daemon says of itself when it is ready. Raises PservError with its own words when it is not."""
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(ready, 65536)):
        line += piece
    if not line:
        code = started.wait()
        how = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        raise PservError(f"cannot start the daemon: it ended before it was ready ({how})", "pserv daemon tells why")
    told: dict[str, Any] = quickjson.loads(line.decode())
    if "socket" in told:
        return told
    started.wait()
    error = PservError(told["error"], told.get("hint", ""))
    code = told.get("exit_code", 1)
    error.exit_code = code if code in ExitCode.ALL else ExitCode.FAILED
    raise error
