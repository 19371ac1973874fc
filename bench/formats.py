"""Figures of logs with a format: lines with timestamps against `s6-log t`, JSON against svlogd; the floor is cat."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import measure
from capture import GIB, Cat, Flood
from drivers import Daemon, Load, Pserv
from figures import Book
from stage import FLOOD_BEGINS, FLOOD_ENDS, BenchError, Stage

_SETTLE = 0.3
"""Seconds after which a writer that had all it gets has written it."""


def flood(quick: bool) -> Flood:
    """Four of them are less than what s6-log rotates at, at most; it counts what was cut off, too."""
    return Flood("formats", (1 << 25) // (2 if quick else 1), 1 << 16, 128)


class Piped(Cat):
    """`child | a logger`, which writes `current` in a folder of its own."""

    command: ClassVar[tuple[str, ...]]
    config: ClassVar[str] = "s0\n"
    """Of svlogd: no rotation."""

    def log(self, index: int) -> Path:
        return self.logs / f"{self.folder.name}-{index}.d" / "current"

    def start(self) -> float:
        for index in range(self.load.services):
            folder = self.log(index).parent
            folder.mkdir()
            (folder / "config").write_text(self.config)
        return super().start()

    def writer(self, index: int) -> list[str]:
        return [*self.command, str(self.log(index).parent)]

    def down(self) -> None:
        super().down()
        for index in range(self.load.services):
            shutil.rmtree(self.log(index).parent, ignore_errors=True)


class S6Log(Piped):
    name = "s6-log"
    command = ("s6-log", "n3", "s268435455", "t")


class Svlogd(Piped):
    name = "svlogd"
    command = ("svlogd",)


class Timestamps(Pserv):
    written = "{timestamps: true, rotate: none}"


class Json(Pserv):
    written = "{format: json, rotate: none}"


class ParsedJson(Pserv):
    written = "{format: json, parse: json, rotate: none}"


Strip = Callable[[bytes], bytes]

CONTENDERS: tuple[tuple[str, type[Daemon], Strip], ...] = (
    ("floor", Cat, lambda line: line),
    ("s6-log", S6Log, lambda line: line[26:]),
    ("svlogd", Svlogd, lambda line: line),
    ("time", Timestamps, lambda line: line[28:]),
    ("json", Json, lambda line: json.loads(line)["message"].encode() + b"\n"),
)


def captures(stage: Stage, book: Book, flood: Flood, rounds: int) -> None:
    """Rounds in turn, each with one flood ahead that is checked and not measured, and three that are."""
    missing = [name for name in ("s6-log", "svlogd") if shutil.which(name) is None]
    if missing:
        raise BenchError(f"no {' and no '.join(missing)}: apt-get install s6 runit")
    for _ in range(rounds):
        for who, kind, strip in CONTENDERS:
            with kind(stage, Load(1, flood.mode, stage.ram or stage.folder)) as daemon:
                daemon.start()
                daemon.launched()
                try:
                    _one(daemon, flood)
                    _check(daemon, flood, strip)
                    for _ in range(3):
                        rate, cpu = _one(daemon, flood)
                        for figure, name in _figures(who):
                            book.add(f"formats.{figure}", name, rate)
                            book.add(f"formats.{figure}.cpu", name, cpu)
                finally:
                    daemon.log(0).unlink(missing_ok=True)


def _figures(who: str) -> tuple[tuple[str, str], ...]:
    """The figures that a measurement stands in, and under which name."""
    if who in ("time", "json"):
        return ((who, "pserv"),)
    return (("time", who), ("json", who))


def _one(daemon: Daemon, flood: Flood) -> tuple[float, float]:
    """Bytes a second, and seconds of CPU for a GiB."""
    os.truncate(daemon.log(0), 0)
    own = daemon.own_processes()
    cpu = measure.cpu_seconds(own)
    os.kill(daemon.pids[0], signal.SIGUSR1)
    began = daemon.stamps.take(1, FLOOD_BEGINS)[0].at
    daemon.stamps.take(1, FLOOD_ENDS)
    ended = _wait_full(daemon.log(0), flood)
    return flood.total / ((ended - began) / 1e9), (measure.cpu_seconds(own) - cpu) * GIB / flood.total


def _wait_full(path: Path, flood: Flood) -> int:
    """Until all lines are in the file, each as long as the first; nanoseconds of the monotonic clock."""
    deadline = time.monotonic() + 120
    with path.open("rb") as file:
        while not (first := file.readline()).endswith(b"\n"):
            file.seek(0)
            _sleep(path, deadline)
    while os.stat(path).st_size < len(first) * flood.total // flood.line:
        _sleep(path, deadline)
    return time.monotonic_ns()


def _sleep(path: Path, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise BenchError(f"{path}: only {os.stat(path).st_size} bytes arrived")
    time.sleep(0.0002)


def _check(daemon: Daemon, flood: Flood, strip: Strip) -> None:
    """Without what was added to the lines, they are those that were printed."""
    time.sleep(_SETTLE)
    plain = daemon.logs / f"{daemon.folder.name}.plain"
    try:
        with daemon.log(0).open("rb") as file, plain.open("wb") as out:
            out.writelines(map(strip, file))
        arguments = ["verify", str(plain), str(flood.total), str(flood.chunk), str(flood.line)]
        checked = subprocess.run([daemon.stage.child, *arguments], capture_output=True, text=True, check=False)
    finally:
        plain.unlink(missing_ok=True)
    if checked.returncode != 0:
        raise BenchError(f"{daemon.name}: {checked.stderr.strip()}")
