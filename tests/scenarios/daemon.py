"""A real daemon with real processes for scenarios: started by the command line in its folder, ended without rest."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pserv.api import operations as op
from pserv.api.client import Client
from pserv.model.errors import PservError
from pserv.model.status import DaemonStatus, ServiceStatus, Story
from tests.scenarios.commands import APART, commands

PATIENCE = 20.0
"""Seconds that anything may take before a scenario has failed."""

UNTOLD = 0.5
"""Seconds after which a status is looked at again: not all that it shows is an event (a hook that nobody waits for)."""


class Daemon:
    """`pserv` in a folder; every path it uses is below that folder."""

    def __init__(self, folder: Path, config: str, *, wrapper: Sequence[str] = (), file: str = "pserv.yaml") -> None:
        """`wrapper`: words before each command line, such as those that become another user."""
        self.folder = folder
        self.file = folder / file
        self.wrapper = tuple(wrapper)
        self.write(config)
        self.socket = folder / "run" / "pserv.sock"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PSERV_", "XDG_"))},
            "PSERV_SOCKET": str(self.socket),
            "PSERV_STATE": str(folder / "state"),
            "NO_COLOR": "1",
            "HOME": str(folder),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, config: str) -> None:
        self.file.write_text(config)

    # The command line

    def command(self, *words: str) -> list[str]:
        return [*self.wrapper, sys.executable, "-P", "-m", "pserv", *words]

    def pserv(
        self, *words: str, timeout: float = PATIENCE, check: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end; `check` is the exit code it must have."""
        if self.wrapper or words[0] in APART or self.env.get("PYTHONPATH") != os.environ.get("PYTHONPATH"):
            done = subprocess.run(
                self.command(*words),
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        else:
            done = commands().run(list(words), str(self.folder), self.env, timeout)
        if check is not None:
            assert done.returncode == check, f"pserv {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Run the command line beside the test."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen(self.command(*words), cwd=self.folder, env=self.env, text=True, **options)

    def up(self, *words: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.pserv("up", "-d", *words, check=check, timeout=60)

    # The API

    def client(self) -> Client:
        return Client(str(self.socket))

    def status(self) -> dict[str, ServiceStatus]:
        with self.client() as client:
            return {row.name: row for row in client.call("status", op.Names()).services}

    def row(self, name: str) -> ServiceStatus:
        with self.client() as client:
            (row,) = client.call("status", op.Names((name,))).services
            assert isinstance(row, ServiceStatus)
            return row

    def daemon(self) -> DaemonStatus:
        with self.client() as client:
            status: DaemonStatus = client.call("status", op.Names()).daemon
            return status

    def story(self, name: str) -> Story:
        with self.client() as client:
            (story,) = client.call("story", op.Names((name,)))
            assert isinstance(story, Story)
            return story

    def pid(self, name: str) -> int:
        pid = self.status()[name].pid
        assert pid is not None, f"{name} does not run"
        return pid

    def until(self, name: str, reached: Callable[[ServiceStatus], bool], timeout: float = PATIENCE) -> ServiceStatus:
        """Wait, by the stream of events, until a service is as asked; also across the death of a supervisor."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                with (
                    self.client() as client,
                    client.stream("events", op.Events((name,), 0, True), timeout=UNTOLD) as changes,
                ):
                    row = self.row(name)
                    if reached(row):
                        return row
                    for _ in changes:
                        row = self.row(name)
                        if reached(row):
                            return row
                        if time.monotonic() > deadline:
                            break
            except (PservError, OSError):
                continue  # the supervisor was replaced, or nothing came for a while: look again
        raise AssertionError(f"{name} is not as asked after {timeout} s: {self.status()[name]}")

    def until_state(self, name: str, state: str, timeout: float = PATIENCE) -> ServiceStatus:
        return self.until(name, lambda row: row.state.value == state, timeout)

    def until_restarted(self, name: str, pid: int, timeout: float = PATIENCE) -> ServiceStatus:
        """Wait until it runs with another pid."""
        return self.until(name, lambda row: row.state.value == "running" and row.pid not in (None, pid), timeout)

    def until_line(self, name: str, text: str, count: int = 1, timeout: float = PATIENCE) -> str:
        """Wait until a service has printed a line with this text so many times; the last of these lines."""
        follow = op.Logs((name,), 100_000, True)
        with self.client() as client, client.stream("logs", follow, timeout=timeout) as lines:
            for line in lines:
                if isinstance(line, op.Line) and text in line.text:
                    count -= 1
                    if not count:
                        return line.text
        raise AssertionError(f"{name} has not printed {text!r} {count} times more")

    def kill_supervisor(self) -> int:
        """kill -9 the supervisor and wait until it is dead; its pid."""
        pid = self.daemon().supervisor_pid
        kill(pid)
        return pid

    # The end

    def close(self) -> None:
        """End the daemon, by force where it does not go; afterwards nothing of it is left."""
        try:
            watch = os.pidfd_open(self.daemon().keeper_pid)
        except (PservError, OSError):
            pass  # it has ended
        else:
            self._down(watch)
            os.close(watch)
        for pid in self.marked():
            kill(pid)

    def _down(self, keeper: int) -> None:
        try:
            with self.client() as client:
                for _ in client.stream("down", op.Down(), timeout=PATIENCE):
                    pass
            ended(keeper)
        except (PservError, OSError, AssertionError):
            pass  # by force, then

    def marked(self) -> list[int]:
        """Pids of processes that bear this daemon's mark: the path of its socket is in their environment."""
        mark = f"PSERV_SOCKET={self.socket}".encode()
        return [pid for pid in pids() if pid != os.getpid() and mark in environ(pid) and alive(pid)]


def pids() -> Iterator[int]:
    """All processes."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def environ(pid: int) -> list[bytes]:
    """The initial environment of a process, empty where it cannot be read or is a zombie."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process lives, is no zombie, and was not sent SIGKILL (then its exit code is there: proc(5))."""
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    fields = data[data.rfind(b")") + 2 :].split()
    return fields[0] not in (b"Z", b"X") and fields[-1] != b"9"


def group_members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for pid in pids():
        try:
            data = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue
        fields = data[data.rfind(b")") + 2 :].split()
        if fields[0] not in (b"Z", b"X") and int(fields[2]) == group:
            found.append(pid)
    return found


def kill(pid: int, number: int = signal.SIGKILL, timeout: float = PATIENCE) -> None:
    """Signal a process; for SIGKILL wait until it has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, number)
        if number == signal.SIGKILL:
            ended(fd, timeout)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def ended(pidfd: int, timeout: float = PATIENCE) -> None:
    """Wait until the process of a pidfd has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(timeout * 1000), f"still alive after {timeout} s"


def python(code: str) -> Sequence[str]:
    """argv of a small Python service."""
    return [sys.executable, "-I", "-S", "-c", code]


def ticking(interval: float) -> Sequence[str]:
    """argv of a service that prints `tick` and a number, one more each time, at this interval in seconds."""
    timer = f"alarm = [signal.SIGALRM]; signal.setitimer(signal.ITIMER_REAL, {interval}, {interval})"
    each = "(print('tick', number, flush=True), signal.sigwait(alarm))"
    blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])"
    return python(f"import signal; {blocked}; {timer}; [{each} for number in range(10**9)]")


def children(pid: int) -> list[int]:
    """Pids of the children of a process."""
    found = []
    for child in pids():
        try:
            data = Path(f"/proc/{child}/stat").read_bytes()
        except OSError:
            continue
        if int(data[data.rfind(b")") + 2 :].split()[1]) == pid:
            found.append(child)
    return found


def forks(keeper: int) -> list[int]:
    """The processes of the keeper's own code: supervisor, logger, readers."""
    command = Path(f"/proc/{keeper}/cmdline").read_bytes()
    return [pid for pid in children(keeper) if alive(pid) and command_of(pid) == command]


def command_of(pid: int) -> bytes:
    """As the kernel has it, each word ended by a NUL; empty when there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def naming(text: str) -> list[int]:
    """Living processes whose command line has the text: also those that dropped their environment or changed user."""
    return [pid for pid in pids() if os.fsencode(text) in command_of(pid) and pid != os.getpid() and alive(pid)]
