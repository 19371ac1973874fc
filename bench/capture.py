"""Figures of plain log capture: throughput, CPU, and that nothing was lost; the floor is `child | cat > file`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple

import measure
from drivers import Daemon, Floor, Load
from figures import Book
from stage import FLOOD_BEGINS, FLOOD_ENDS, BenchError, Stage

GIB = 1 << 30


class Flood(NamedTuple):
    """So many bytes, in writes of `chunk` bytes, in lines of `line` bytes."""

    key: str
    total: int
    chunk: int
    line: int

    @property
    def mode(self) -> tuple[str, ...]:
        return ("flood", str(self.total), str(self.chunk), str(self.line))


def floods(quick: bool) -> tuple[Flood, Flood, Flood]:
    """In memory with big writes, in memory with small ones, to the disk with big ones."""
    divisor = 4 if quick else 1
    return (
        Flood("capture.64k", GIB // 4 // divisor, 1 << 16, 128),
        Flood("capture.line", (1 << 26) // divisor // 100 * 100, 100, 100),
        Flood("capture.disk", GIB // 4 // divisor, 1 << 16, 128),
    )


class Cat(Floor):
    """`child | cat >> file`, for each service."""

    def __init__(self, stage: Stage, load: Load) -> None:
        super().__init__(stage, load)
        self._children: list[subprocess.Popen[bytes]] = []
        self._writers: list[subprocess.Popen[bytes]] = []

    def start(self) -> float:
        began = time.monotonic_ns()
        for index in range(self.load.services):
            command = self.service_command(index)
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self.env())
            self._children.append(child)
            with open(self.log(index), "ab") as file:
                words = self.writer(index)
                self._writers.append(subprocess.Popen(words, stdin=child.stdout, stdout=file, stderr=DEVNULL))
            if child.stdout is not None:
                child.stdout.close()
        return (self.await_services(range(self.load.services)) - began) / 1e9

    def writer(self, index: int) -> list[str]:
        """What reads the service's output; its own goes to the log."""
        return ["cat"]

    def own_processes(self) -> set[int]:
        return {writer.pid for writer in self._writers}

    def down(self) -> None:
        for child in self._children:
            child.kill()
        for each in (*self._children, *self._writers):
            each.wait(timeout=60)


def captures(stage: Stage, book: Book, contenders: tuple[type[Daemon], ...], flood: Flood, rounds: int) -> None:
    """Rounds of one flood, in memory where there is a file system for it, so that the disk's speed is no figure.

    In each round one flood goes ahead unmeasured and three follow, each into the emptied file: so they find the pages
    that the one before left. A virtual machine may get untouched memory from its host page by page, and then a fifth
    of the speed is all that can be seen.
    """
    folder = stage.folder if flood.key == "capture.disk" else stage.ram or stage.folder
    for _ in range(rounds):
        for contender in contenders:
            kind = Cat if contender is Floor else contender
            with kind(stage, Load(1, flood.mode, folder)) as daemon:
                daemon.start()
                daemon.launched()
                try:
                    _one_flood(daemon, Book(), flood)
                    for _ in range(3):
                        _one_flood(daemon, book, flood)
                finally:
                    daemon.log(0).unlink(missing_ok=True)


def _one_flood(daemon: Daemon, book: Book, flood: Flood) -> None:
    own = daemon.own_processes()
    cpu = measure.cpu_seconds(own)
    os.kill(daemon.pids[0], signal.SIGUSR1)
    began = daemon.stamps.take(1, FLOOD_BEGINS)[0].at
    daemon.stamps.take(1, FLOOD_ENDS)
    ended = _wait_full(daemon.log(0), flood.total)
    book.add(f"{flood.key}.cpu", daemon.name, (measure.cpu_seconds(own) - cpu) * GIB / flood.total)
    book.add(flood.key, daemon.name, flood.total / ((ended - began) / 1e9))
    arguments = ["verify", str(daemon.log(0)), str(flood.total), str(flood.chunk), str(flood.line)]
    checked = subprocess.run([daemon.stage.child, *arguments], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        raise BenchError(f"{daemon.name}: {checked.stderr.strip()}")
    os.truncate(daemon.log(0), 0)


def _wait_full(path: Path, size: int) -> int:
    """Until the last bytes, which the writer left in the pipe, are in the file; nanoseconds of the monotonic clock.

    The only place that polls: nothing tells of a file's growth without slowing its writer.
    """
    deadline = time.monotonic() + 30
    while os.stat(path).st_size < size:
        if time.monotonic() > deadline:
            raise BenchError(f"{path.name}: {os.stat(path).st_size} of {size} bytes arrived")
        time.sleep(0.0002)
    return time.monotonic_ns()
