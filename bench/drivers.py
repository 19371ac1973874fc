"""The contenders, each behind the same few verbs: pserv, supervisord, and the floor, a loop of fork and exec in C."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

import measure
from stage import BenchError, Stage, Stamp, Stamps, wait_gone

_serial = itertools.count()


class Load(NamedTuple):
    """What a daemon is given to run: so many services, all in one mode of child.c."""

    services: int
    mode: tuple[str, ...] = ("rest",)
    log_folder: Path | None = None
    """Where the services' output goes; by default the daemon's own folder."""


class Daemon(ABC):
    """One daemon with its services, in a folder of its own. As a context manager it is down at the end."""

    name: ClassVar[str]

    def __init__(self, stage: Stage, load: Load) -> None:
        self.stage = stage
        self.load = load
        self.folder = stage.folder / f"{next(_serial)}-{self.name}"
        self.folder.mkdir()
        self.logs = load.log_folder or self.folder
        self.stamps = Stamps(self.folder / "stamps")
        self.pids: dict[int, int] = {}
        """Pid of each service, by index, as far as its stamps were taken."""
        self._up: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.down()
                self.check_stopped()
        finally:
            self.stamps.close()

    def start(self) -> float:
        """Launch the daemon; returns seconds from then to the last service's first instruction."""
        self.configure()
        with open(self.folder / "up.out", "wb") as output:
            began = time.monotonic_ns()
            self._up = subprocess.Popen(
                self.launch(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.env(), cwd=self.folder
            )
        return (self.await_services(range(self.load.services)) - began) / 1e9 if self.load.services else 0.0

    def await_services(self, indexes: range | list[int]) -> int:
        """Wait until a new run of each has stamped; returns the last stamp in nanoseconds."""
        stamps = self.stamps.take(len(indexes))
        self._note(stamps)
        if sorted(stamp.service for stamp in stamps) != sorted(indexes):
            raise BenchError(f"{self.name}: services started twice or the wrong ones did")
        return max(stamp.at for stamp in stamps)

    def _note(self, stamps: list[Stamp]) -> None:
        self.pids.update((stamp.service, stamp.pid) for stamp in stamps)

    def settle(self) -> None:
        """Wait until it is up and every service counts as stable (a second in both daemons)."""
        self.launched()
        time.sleep(1.5)

    def launched(self) -> None:
        """Wait until the launching command is through."""
        if self._up is not None and self.launches_and_returns:
            code = self._up.wait(timeout=120)
            if code != 0:
                raise BenchError(f"{self.name}: exit code {code}: {(self.folder / 'up.out').read_text()}")

    def own_processes(self) -> set[int]:
        """The daemon's processes without its services'."""
        found = measure.descendants(self.root()) - set(self.pids.values())
        if not found:
            raise BenchError(f"{self.name}: the daemon is gone")
        return found

    def check_stopped(self) -> None:
        """Raise BenchError when a service still runs."""
        left = [index for index, pid in self.pids.items() if measure.is_alive(pid)]
        if left:
            raise BenchError(f"{self.name}: {len(left)} services still run after they were stopped")

    def client(self, *arguments: str) -> str:
        """Run the daemon's client and return what it printed; it must succeed."""
        command = [*self.client_command(), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.env(), cwd=self.folder, timeout=300, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def env(self) -> dict[str, str]:
        """A small environment that points nowhere outside the daemon's folder."""
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder)}

    def service_command(self, index: int) -> list[str]:
        return [str(self.stage.child), str(self.stamps.path), str(index), *self.load.mode]

    def log(self, index: int) -> Path:
        """The file that takes the service's output."""
        return self.logs / f"{self.name}-{index}.log"

    launches_and_returns: ClassVar[bool] = True
    """Whether the launching command ends while the daemon goes on."""

    @abstractmethod
    def configure(self) -> None:
        """Write the daemon's configuration."""

    @abstractmethod
    def launch(self) -> list[str]:
        """The command that starts the daemon and all services."""

    @abstractmethod
    def client_command(self) -> list[str]:
        """What every command of the client begins with."""

    @abstractmethod
    def root(self) -> int:
        """Pid of the daemon's first process."""

    @abstractmethod
    def status(self) -> int:
        """Ask for the table of all services; returns how many of them run."""

    @abstractmethod
    def stop(self) -> None:
        """Stop all services and wait for it; the daemon goes on."""

    @abstractmethod
    def down(self) -> None:
        """End the daemon and what it runs."""


class Floor(Daemon):
    """Fork and exec in C: no log, no configuration, no client; what the kernel alone takes."""

    name = "floor"
    launches_and_returns = False

    def configure(self) -> None:
        pass

    def launch(self) -> list[str]:
        return [
            str(self.stage.floor),
            str(self.load.services),
            str(self.stage.child),
            str(self.stamps.path),
            *self.load.mode,
        ]

    def client_command(self) -> list[str]:
        """The least that a client in Python takes."""
        return [str(self.stage.pserv_bin / "python"), "-c", "pass"]

    def root(self) -> int:
        if self._up is None:
            raise BenchError("the floor was not started")
        return self._up.pid

    def status(self) -> int:
        self.client()
        return self.load.services

    def stop(self) -> None:
        """TERM to all and wait for all; the floor ends with them."""
        self.down()

    def down(self) -> None:
        if self._up is not None:
            self._up.send_signal(signal.SIGTERM)
            self._up.wait(timeout=60)
            self._up = None


class Supervisord(Daemon):
    """supervisord with its defaults, but for the rotation of logs, which would cut the flood's file into pieces."""

    name = "supervisord"
    rotate: ClassVar[tuple[int, int]] = (0, 0)
    """Bytes after which a log is rotated (0: never), and how many are kept."""

    def configure(self) -> None:
        lines = [
            f"[unix_http_server]\nfile={self.folder}/control.sock",
            f"[supervisord]\nlogfile={self.folder}/supervisord.log\npidfile={self.folder}/supervisord.pid",
            f"childlogdir={self.folder}\nminfds={max(1024, 8 * self.load.services)}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            f"[supervisorctl]\nserverurl=unix://{self.folder}/control.sock",
        ]
        for index in range(self.load.services):
            lines += [
                f"[program:s{index}]\ncommand={' '.join(self.service_command(index))}\nautorestart=true",
                f"redirect_stderr=true\nstdout_logfile={self.log(index)}\nstdout_logfile_maxbytes={self.rotate[0]}",
                f"stdout_logfile_backups={self.rotate[1]}",
            ]
        (self.folder / "supervisord.conf").write_text("\n".join(lines) + "\n")

    def launch(self) -> list[str]:
        return [str(self.stage.supervisor_bin / "supervisord"), "-c", str(self.folder / "supervisord.conf")]

    def client_command(self) -> list[str]:
        return [str(self.stage.supervisor_bin / "supervisorctl"), "-c", str(self.folder / "supervisord.conf")]

    def root(self) -> int:
        return int((self.folder / "supervisord.pid").read_text())

    def status(self) -> int:
        return self.client("status").count(" RUNNING ")

    def stop(self) -> None:
        self.client("stop", "all")

    def down(self) -> None:
        root = self.root()
        os.kill(root, signal.SIGTERM)
        if not wait_gone(root, within=60):
            raise BenchError("supervisord does not end")


class Pserv(Daemon):
    """Pserv with its defaults, but for the rotation of logs, and for `stable_after`, which is set to what supervisord's
    `startsecs` is: a second."""

    name = "pserv"
    written: ClassVar[str] = "{rotate: none}"
    """Its option `log`."""

    def configure(self) -> None:
        lines = [f"name: {self.folder.name}-{os.getpid()}", "services:" if self.load.services else "services: {}"]
        for index in range(self.load.services):
            lines += [
                f"  s{index}:",
                f"    command: {json.dumps(self.service_command(index))}",
                "    restart: always",
                "    stable_after: 1s",
                f"    stdout: {self.log(index)}",
                f"    log: {self.written}",
            ]
        (self.folder / "pserv.yaml").write_text("\n".join(lines) + "\n")

    def env(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            **super().env(),
            "PSERV_SOCKET": f"{folder}/pserv.sock",
            "PSERV_STATE": f"{folder}/state",
            "XDG_RUNTIME_DIR": folder,
            "XDG_STATE_HOME": folder,
            "XDG_CONFIG_HOME": folder,
        }

    def launch(self) -> list[str]:
        return [str(self.stage.pserv_bin / "pserv"), "up", "-d", "-c", str(self.folder / "pserv.yaml")]

    def client_command(self) -> list[str]:
        return [str(self.stage.pserv_bin / "pserv")]

    def root(self) -> int:
        return int(json.loads(self.client("status", "--json"))["daemon"]["keeper_pid"])

    def status(self) -> int:
        return self.client("status").count(" running ")

    def stop(self) -> None:
        self.client("stop", "--all")

    def down(self) -> None:
        root = self.root()
        self.client("down")
        if not wait_gone(root, within=60):
            raise BenchError("pserv does not end")


CONTENDERS: tuple[type[Daemon], ...] = (Floor, Supervisord, Pserv)
