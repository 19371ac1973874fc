"""What is measured and what is wanted of it: one row a figure; and the book that the samples are written into."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import NamedTuple


class Limit(NamedTuple):
    """What is wanted of Pserv: at most (or at least) `value`, alone or as a multiple of what another took."""

    value: float
    of: str = ""
    """The contender it is a multiple of; empty: `value` is in the figure's unit."""
    least: bool = False

    def holds(self, pserv: float, others: dict[str, float]) -> bool | None:
        """None where the other was not measured."""
        if self.of and self.of not in others:
            return None
        bound = self.value * others[self.of] if self.of else self.value
        return pserv >= bound if self.least else pserv <= bound

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.value:g}{f' × {self.of}' if self.of else ''}"


def p99(samples: list[float]) -> float:
    """Nearest rank: of 30 samples the largest."""
    return sorted(samples)[math.ceil(0.99 * len(samples)) - 1]


class Figure(NamedTuple):
    """One row. Samples are in seconds, bytes or counts; `scale` turns them into the unit shown."""

    key: str
    title: str
    unit: str
    scale: float = 1.0
    limits: tuple[Limit, ...] = ()
    samples: str = ""
    """Key of the samples it is made of, where that is another figure's."""
    idle: str = ""
    """Key of what Pserv takes for the same without load, where a limit is a multiple of that (`of` is then "idle")."""
    of: Callable[[list[float]], float] = statistics.median

    @property
    def source(self) -> str:
        return self.samples or self.key


def _under(ratio: float) -> tuple[Limit, ...]:
    return (Limit(ratio, "supervisord"),)


_AS_IDLE = (Limit(3.0, "idle"),)
MS, MB = 1e3, 1e-6
FIGURES: tuple[Figure, ...] = (
    Figure("start.1", "start of 1, until its first instruction", "ms", MS),
    Figure("start.100", "start of 100, until the last one's", "ms", MS, _under(0.15)),
    Figure("start.1000", "start of 1000", "ms", MS, _under(0.2)),
    Figure("restart.1", "restart after kill -9, median", "ms", MS, (Limit(5),)),
    Figure("restart.1.p99", "restart after kill -9, p99", "ms", MS, samples="restart.1", of=p99),
    Figure("restart.100", "… with 100 others present, median", "ms", MS, (Limit(5),)),
    Figure("restart.100.p99", "… with 100 others present, p99", "ms", MS, samples="restart.100", of=p99),
    Figure("crash.100", "100 killed at once, all back", "ms", MS, _under(0.15)),
    Figure("status.1", "`status` of 1", "ms", MS),
    Figure("status.100", "`status` of 100", "ms", MS, _under(0.5)),
    Figure("stop.100", "stop of 100", "ms", MS, (Limit(300),)),
    Figure("stop.slow", "stop of 10 that need 1 s each", "ms", MS, (Limit(1300),)),
    Figure("pss.0", "memory (PSS), no service", "MB", MB),
    Figure("pss.1", "memory (PSS), 1 service", "MB", MB, _under(1.15)),
    Figure("pss.100", "memory (PSS), 100 services", "MB", MB, _under(1.0)),
    Figure("pss.1000", "memory (PSS), 1000 services", "MB", MB, _under(1.0)),
    *(Figure(f"rss.{n}", f"memory (RSS), {n} services", "MB", MB) for n in (0, 1, 100, 1000)),
    *(Figure(f"occupied.{n}", f"memory (distinct pages), {n} services", "MB", MB) for n in (0, 1, 100, 1000)),
    Figure("descriptors.100", "descriptors a service, of 100", "", limits=(Limit(6),)),
    Figure("descriptors.1000", "descriptors a service, of 1000", "", limits=(Limit(6),)),
    Figure("idle.switches", "context switches in 20 idle seconds", "", limits=(Limit(0),)),
    Figure("idle.cpu", "CPU in 20 idle seconds", "ms", MS),
    Figure(
        "capture.64k",
        "log capture, 64 KiB writes",
        "MB/s",
        MB,
        (Limit(1.3, "supervisord", True), Limit(0.95, "floor", True)),
    ),
    Figure("capture.64k.cpu", "CPU per GiB of it", "s", limits=(Limit(1.1, "floor"),)),
    Figure("capture.line", "log capture, a write per 100-byte line", "MB/s", MB, (Limit(1.0, "floor", True),)),
    Figure("capture.line.cpu", "CPU per GiB of it", "s", limits=(Limit(1.1, "floor"),)),
    Figure("capture.disk", "log capture to the disk, 64 KiB writes", "MB/s", MB),
    Figure("capture.disk.cpu", "CPU per GiB of it", "s"),
    Figure("ready.notify", "from READY=1 to ready, median", "ms", MS, (Limit(2),)),
    Figure("ready.notify.p99", "from READY=1 to ready, p99", "ms", MS, samples="ready.notify", of=p99),
    Figure("ready.port", "from an open port to ready, median", "ms", MS),
    Figure("chain.link", "from READY=1 to the first instruction of who waits for it", "ms", MS, (Limit(10),)),
    Figure("chain.50", "chain of 50, each ready after 10 ms, from nothing to ready", "ms", MS),
    Figure("chain.warm", "… from the first one's first instruction", "ms", MS),
    Figure("chain.own", "… what they take for themselves, in sum", "ms", MS),
    Figure("check.1000", "CPU of `check`, 1000 services in 200 files, beyond an interpreter", "ms", MS, (Limit(500),)),
    Figure(
        "reload.1000",
        "`reload`, one of 200 files with 1000 services changed, beyond `--version`",
        "ms",
        MS,
        (Limit(300),),
    ),
    Figure("probes.cpu", "CPU of 1000 http probes, supervisor and keeper", "ms", MS),
    Figure("probes.late", "1000 http probes a second: lateness, p99", "ms", MS),
    Figure("probes.pss", "memory (PSS), 1000 services with an http probe", "MB", MB),
    Figure("floods.rotating", "log rotated at 10 MiB, five kept", "MB/s", MB, (Limit(1.3, "supervisord", True),)),
    Figure("floods.rotating.cpu", "CPU per GiB of it", "s"),
    Figure("floods.eight", "logs of 8 services at once", "MB/s", MB, (Limit(1.4, "supervisord", True),)),
    Figure("floods.eight.cpu", "CPU per GiB of it", "s"),
    Figure("floods.eight.memory", "memory (PSS) that it adds, at most", "MB", MB, (Limit(20),)),
    Figure("floods.quiet", "CPU in the 3 s after it", "ms", MS, (Limit(0),)),
    Figure("floods.status.idle", "`status` of 13, p99", "ms", MS, of=p99),
    Figure(
        "floods.status.flood", "… while 8 of them flood, p99", "ms", MS, _AS_IDLE, of=p99, idle="floods.status.idle"
    ),
    Figure("floods.restart.idle", "restart of one of 13 after kill -9, p99", "ms", MS, of=p99),
    Figure(
        "floods.restart.flood", "… while 8 others flood, p99", "ms", MS, _AS_IDLE, of=p99, idle="floods.restart.idle"
    ),
    Figure("formats.time", "log with timestamps", "MB/s", MB, (Limit(1.0, "s6-log", True),)),
    Figure("formats.time.cpu", "CPU per GiB of it", "s", limits=(Limit(1.0, "s6-log"),)),
    Figure("formats.json", "log as JSON", "MB/s", MB, (Limit(3.0, "svlogd", True), Limit(200, least=True))),
    Figure("formats.json.cpu", "CPU per GiB of it", "s"),
    Figure("reading.start", "start of the command line (`pserv --version`)", "ms", MS),
    Figure("reading.last", "`logs -n 100` of 1000 rotated files, beyond that", "ms", MS, (Limit(100),)),
    Figure("reading.since", "`logs --since` in the middle of these 10 GiB", "ms", MS, (Limit(100),)),
    Figure("reading.one", "… in the middle of one file of 1 GiB", "ms", MS, (Limit(100),)),
    Figure("reading.packed", "… of 1000 compressed files", "ms", MS, (Limit(100),)),
    Figure("reading.follow", "from write(2) of a line to its sight in `logs -f`, p99", "ms", MS, (Limit(20),), of=p99),
)


class Book:
    """The samples, by figure and contender, in the order in which they were taken."""

    def __init__(self) -> None:
        self.samples: dict[str, dict[str, list[float]]] = {}
        self.failures: list[str] = []
        """What could not be measured, a sentence each."""

    def add(self, key: str, contender: str, value: float) -> None:
        self.samples.setdefault(key, {}).setdefault(contender, []).append(value)

    def values(self, figure: Figure) -> dict[str, float]:
        """The figure of each contender that was measured, in the figure's unit."""
        found = self.samples.get(figure.source, {})
        values = {name: figure.of(samples) * figure.scale for name, samples in found.items()}
        idle = self.samples.get(figure.idle, {}).get("pserv")
        return {**values, "idle": figure.of(idle) * figure.scale} if idle else values
