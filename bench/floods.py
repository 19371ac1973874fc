"""Figures of floods: into files that rotate, of eight services at once, and what `status` and restarts take then."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import measure
from alive import STABLE
from capture import GIB, Cat, Flood
from drivers import Daemon, Load, Pserv, Supervisord
from figures import Book
from formats import Piped
from stage import FLOOD_BEGINS, FLOOD_ENDS, BenchError, Stage, installed

SIZE = 10 << 20
KEPT = 5
CHILDREN = 8
VICTIMS = 5
"""So many others are killed in turn, each again once it counts as stable."""
QUIET = 3.0
"""Seconds in which a logger without work should not wake up."""
CIRCUS = "circus==0.19.0"


class Rotating(Pserv):
    """Its defaults."""

    written = f"{{rotate: {{size: {SIZE}, keep: {KEPT}}}}}"


class RotatingSupervisord(Supervisord):
    """Its defaults but for the number of files."""

    rotate = (SIZE, KEPT)


class RotatingS6(Piped):
    name = "s6-log"
    command = ("s6-log", f"n{KEPT}", f"s{SIZE}")


class RotatingSvlogd(Piped):
    name = "svlogd"
    command = ("svlogd",)
    config = f"s{SIZE}\nn{KEPT}\n"


class Circus(Daemon):
    """circusd with one watcher a service."""

    name = "circus"
    launches_and_returns = False

    def configure(self) -> None:
        lines = [f"[circus]\nendpoint = ipc://{self.folder}/endpoint\npubsub_endpoint = ipc://{self.folder}/pubsub"]
        for index in range(self.load.services):
            command, *arguments = self.service_command(index)
            lines += [
                f"[watcher:s{index}]\ncmd = {command}\nargs = {' '.join(arguments)}\ncopy_env = True",
                f"stdout_stream.class = FileStream\nstdout_stream.filename = {self.log(index)}",
                f"stdout_stream.max_bytes = {SIZE}\nstdout_stream.backup_count = {KEPT}",
            ]
        (self.folder / "circus.ini").write_text("\n".join(lines) + "\n")

    def launch(self) -> list[str]:
        return [str(installed("circus", CIRCUS) / "circusd"), str(self.folder / "circus.ini")]

    def client_command(self) -> list[str]:
        return [str(installed("circus", CIRCUS) / "circusctl"), "--endpoint", f"ipc://{self.folder}/endpoint"]

    def root(self) -> int:
        if self._up is None:
            raise BenchError("circusd was not started")
        return self._up.pid

    def status(self) -> int:
        return self.client("status").count("active")

    def stop(self) -> None:
        self.client("stop", "--waiting")

    def down(self) -> None:
        if self._up is not None:
            self._up.send_signal(signal.SIGTERM)
            self._up.wait(timeout=60)
            self._up = None


def flood(quick: bool) -> Flood:
    return Flood("floods", GIB // (8 if quick else 1), 1 << 16, 128)


def rotating(stage: Stage, book: Book, flood: Flood, rounds: int) -> None:
    """One service into files of 10 MiB of which five are kept; `floor` is cat, which does not rotate."""
    missing = [name for name in ("s6-log", "svlogd") if shutil.which(name) is None]
    if missing:
        raise BenchError(f"no {' and no '.join(missing)}: apt-get install s6 runit")
    slow = flood._replace(total=flood.total // 8)
    kinds: list[tuple[type[Daemon], Flood]] = [
        (Cat, flood), (RotatingSupervisord, flood), (Rotating, flood),
        (RotatingS6, slow), (RotatingSvlogd, slow), (Circus, slow),
    ]  # fmt: skip
    for _ in range(rounds):
        for kind, of in kinds:
            with kind(stage, Load(1, of.mode, stage.ram or stage.folder)) as daemon:
                daemon.start()
                daemon.launched()
                try:
                    _flood(daemon)
                    own = daemon.own_processes()
                    for _ in range(2):
                        cpu = measure.cpu_seconds(own)
                        seconds = _flood(daemon)
                        book.add("floods.rotating", daemon.name, of.total / seconds)
                        book.add("floods.rotating.cpu", daemon.name, (measure.cpu_seconds(own) - cpu) * GIB / of.total)
                    if kind is Rotating:
                        _check_whole(daemon)
                finally:
                    _remove(daemon)


def eight(stage: Stage, book: Book, flood: Flood, rounds: int) -> None:
    """Eight services at once, each into a file of its own that does not rotate; `floor` are eight cats."""
    part = flood._replace(total=flood.total // CHILDREN // flood.chunk * flood.chunk)
    for turn in range(rounds):
        for kind in (Cat, Supervisord, Pserv):
            with kind(stage, Load(CHILDREN, part.mode, stage.ram or stage.folder)) as daemon:
                daemon.start()
                daemon.settle()
                try:
                    own = daemon.own_processes()
                    before = measure.memory(own).pss
                    with Largest(own) as largest:
                        _flood(daemon)
                    book.add("floods.eight.memory", daemon.name, max(0.0, largest.pss - before))
                    for index in range(CHILDREN):
                        os.truncate(daemon.log(index), 0)
                    cpu = measure.cpu_seconds(own)
                    seconds = _flood(daemon)
                    book.add("floods.eight", daemon.name, CHILDREN * part.total / seconds)
                    used = (measure.cpu_seconds(own) - cpu) * GIB / CHILDREN / part.total
                    book.add("floods.eight.cpu", daemon.name, used)
                    if not turn:
                        time.sleep(STABLE)
                        cpu = measure.cpu_seconds(own)
                        time.sleep(QUIET)
                        book.add("floods.quiet", daemon.name, measure.cpu_seconds(own) - cpu)
                finally:
                    _remove(daemon)


class Largest:
    """The most memory that some processes have at once while this is entered; looked at twenty times a second."""

    def __init__(self, pids: set[int]) -> None:
        self.pss = 0.0
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Largest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.pss = max(self.pss, measure.memory(self._pids).pss)


def latencies(stage: Stage, book: Book, flood: Flood, rounds: int) -> None:
    """`status`, and a restart after kill -9 of one that is silent, while eight services flood and while none does."""
    for kind, times in ((RotatingSupervisord, max(1, rounds // 3)), (Rotating, rounds)):
        endless = (flood.mode[0], str(GIB << 8), *flood.mode[2:])
        with kind(stage, Load(CHILDREN + VICTIMS, endless, stage.ram)) as daemon:
            daemon.start()
            daemon.settle()
            try:
                for when in ("idle", "flood"):
                    if when == "flood":
                        for index in range(VICTIMS, VICTIMS + CHILDREN):
                            os.kill(daemon.pids[index], signal.SIGUSR1)
                        daemon.stamps.take(CHILDREN, FLOOD_BEGINS)
                    for turn in range(times):
                        _one_latency(daemon, book, when, turn % VICTIMS)
            finally:
                _remove(daemon)


def _one_latency(daemon: Daemon, book: Book, when: str, victim: int) -> None:
    began = time.monotonic()
    daemon.status()
    book.add(f"floods.status.{when}", daemon.name, time.monotonic() - began)
    time.sleep(STABLE / (VICTIMS - 1))
    began_ns = time.monotonic_ns()
    os.kill(daemon.pids[victim], signal.SIGKILL)
    book.add(f"floods.restart.{when}", daemon.name, (daemon.await_services([victim]) - began_ns) / 1e9)


def _flood(daemon: Daemon) -> float:
    """Seconds from the first byte to the last, which may still be in a pipe."""
    for pid in daemon.pids.values():
        os.kill(pid, signal.SIGUSR1)
    stamps = daemon.stamps.gather(2 * len(daemon.pids))
    began = min(stamp.at for stamp in stamps if stamp.kind == FLOOD_BEGINS)
    return (max(stamp.at for stamp in stamps if stamp.kind == FLOOD_ENDS) - began) / 1e9


def _check_whole(daemon: Daemon) -> None:
    """No rotated file ends within a line, nor is one larger than it may be. (The end of the last may be in a pipe.)"""
    for path in _files(daemon):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - 1))
            cut = path != daemon.log(0) and file.read() not in (b"", b"\n")
            if cut or size > SIZE:
                raise BenchError(f"{path.name}: a line was cut")


def _files(daemon: Daemon) -> list[Path]:
    return [path for path in daemon.logs.glob(f"{daemon.name}-*") if path.is_file()]


def _remove(daemon: Daemon) -> None:
    for path in _files(daemon):
        path.unlink(missing_ok=True)
