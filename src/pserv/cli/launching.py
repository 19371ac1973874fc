"""Starting the daemon as a process of its own, and learning that it is ready. What is then asked of it is in `up`."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

from pserv.model.errors import ExitCode, PservError

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

INTERRUPTED = 130
"""128 + SIGINT, as a shell has it."""


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


def start(
    files: list[str], *, socket: str, attached: bool, exit_when: str | None = None, names: list[str] | None = None
) -> Started:
    """Starts a daemon in a session of its own and waits until it is ready.

    A fork of this process, which has an interpreter and the first of the daemon's code already: the program started
    anew would take 10 ms longer to be as far. `attached`: it shares our output and holds our lease. `names`: the
    services to start instead of the autostarted. Raises PservError with the daemon's own words.
    """
    ready, told = os.pipe()
    held, lease = os.pipe() if attached else (-1, -1)
    passed = [fd for fd in (told, held) if fd >= 0]
    sys.stdout.flush()  # what is in the buffers is not the child's to print
    sys.stderr.flush()
    try:
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            if attached:
                os.close(lease)
            if socket:
                os.environ["PSERV_SOCKET"] = os.path.abspath(socket)
            _be_daemon(files, told, held, exit_when, names)
        started = Started(pid, lease)
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


def _be_daemon(files: list[str], told: int, held: int, exit_when: str | None, names: list[str] | None) -> NoReturn:
    """In the child: what else a program has from its start, then the daemon. Never returns to the command that forked.

    Nothing that the daemon has no use for may be imported before the fork: it would stay in the keeper.
    """
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2) if held < 0 else (0,):
            os.dup2(nothing, fd)
        if nothing > 2:
            os.close(nothing)
        if not sys.flags.safe_path and sys.path:
            # Else modules that lie in the working directory would be taken for ours and the library's.
            del sys.path[0]
        from pserv import boot

        boot.leave_command(files, {told, held})
        code = boot.daemon(files, lease_fd=held, ready_fd=told, exit_when=exit_when, start=names)
    except KeyboardInterrupt:  # before it had a session of its own
        code = INTERRUPTED
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _answer(ready: int, started: Started) -> dict[str, Any]:
    """What the daemon says of itself when it is ready. Raises PservError with its own words when it is not."""
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(ready, 65536)):
        line += piece
    if not line:
        code = started.wait()
        how = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        raise PservError(f"cannot start the daemon: it ended before it was ready ({how})", "pserv daemon tells why")
    from pserv.keeper import quickjson

    told: dict[str, Any] = quickjson.loads(line.decode())
    if "socket" in told:
        return told
    started.wait()
    error = PservError(told["error"], told.get("hint", ""))
    code = told.get("exit_code", 1)
    error.exit_code = code if code in ExitCode.ALL else ExitCode.FAILED
    raise error
