"""`make bench`: measure Pserv, supervisord and the floor in one run, in turn; print a table, write JSON."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import NamedTuple

import alive
import capture
import checks
import floods
import formats
import life
import probes
import reading
import ready
import reloads
import report
from drivers import CONTENDERS, Daemon, Load, Pserv
from figures import Book
from stage import RESULTS, BenchError, Stage, stage, sweep

LATEST = RESULTS / "latest.json"
LOGS = ("log", "floods", "formats", "reading")
PARTS = ("start", "memory", "stop", "restart", "crash", "status", "idle", *LOGS, "ready", "probes", "check", "reload")
Who = tuple[type[Daemon], ...]


class Measurement(NamedTuple):
    """One thing to do and the parts of the bench that it serves."""

    parts: set[str]
    take: Callable[[], None]


def main() -> int:
    options = _options()
    if options.markdown:
        print(report.markdown(report.from_json(LATEST.read_text(encoding="utf-8"))))
        return 0
    signal.signal(signal.SIGTERM, _interrupted)
    book, about, began = Book(), report.facts(), time.monotonic()
    if about["load"] > 0.3:
        _tell(f"warning: the machine is busy (load {about['load']:.1f}): the figures will be too high")
    RESULTS.mkdir(exist_ok=True)
    try:
        with stage() as scene:
            _warm_up(scene, options.who)
            for measurement in plan(scene, book, options):
                _take(measurement, book)
    except KeyboardInterrupt:
        return 130
    except BenchError as error:
        _tell(f"cannot run the bench: {error}")
        return 1
    life.descriptors_each(book)
    about["seconds"] = time.monotonic() - began
    LATEST.write_text(report.as_json(book, about), encoding="utf-8")
    print(report.table(book))
    for failure in book.failures:
        print(f"failed: {failure}")
    _tell(f"{about['seconds']:.0f} s; {LATEST}")
    return 1 if book.failures else 0


def _options() -> argparse.Namespace:
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PART,…", type=_words(PARTS), default=set(PARTS), help=", ".join(PARTS))
    parser.add_argument("--who", metavar="NAME,…", type=_words(names), default=set(names), help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="few repetitions, small floods: to try the bench itself")
    parser.add_argument("--repeat", metavar="N", type=int, help="so many repetitions of everything")
    parser.add_argument(
        "--markdown", action="store_true", help="measure nothing: print the last results for the README"
    )
    options = parser.parse_args()
    options.who = tuple(contender for contender in CONTENDERS if contender.name in options.who)
    return options


def _words(known: list[str] | tuple[str, ...]) -> Callable[[str], set[str]]:
    def read(text: str) -> set[str]:
        words = set(text.split(","))
        if unknown := words - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return words

    return read


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def plan(scene: Stage, book: Book, options: argparse.Namespace) -> list[Measurement]:
    """What is asked for, in order; the measurements share nothing."""
    who: Who = options.who
    captured = capture.floods(options.quick)

    def rounds(normally: int, quick: int = 1) -> int:
        return int(options.repeat or (quick if options.quick else normally))

    def lives(count: int, normally: int, *parts: str) -> Measurement:
        return Measurement({"memory", *parts}, partial(life.starts, scene, book, who, count, rounds(normally)))

    everything = [
        lives(0, 3),
        lives(1, 5, "start"),
        lives(100, 4, "start", "stop"),
        lives(1000, 2, "start"),
        Measurement({"stop"}, partial(life.slow_stops, scene, book, who, rounds(2))),
        Measurement({"restart"}, partial(alive.restarts, scene, book, who, 0, rounds(30, 3))),
        Measurement({"restart"}, partial(alive.restarts, scene, book, who, 100, rounds(30, 3))),
        Measurement({"status"}, partial(_one, scene, book, who, rounds(20, 3))),
        Measurement({"status", "idle", "crash"}, partial(_hundred, scene, book, options, rounds)),
        Measurement({"formats"}, partial(formats.captures, scene, book, formats.flood(options.quick), rounds(2))),
        Measurement({"floods"}, partial(floods.rotating, scene, book, floods.flood(options.quick), rounds(1))),
        Measurement({"floods"}, partial(floods.eight, scene, book, floods.flood(options.quick), rounds(2))),
        Measurement({"floods"}, partial(floods.latencies, scene, book, floods.flood(options.quick), rounds(24, 3))),
        *(Measurement({"log"}, partial(capture.captures, scene, book, who, flood, rounds(2))) for flood in captured),
    ]
    if Pserv in who:
        everything += [
            Measurement({"reading"}, partial(reading.readings, scene, book, rounds(4))),
            Measurement({"ready"}, partial(ready.chains, scene, book, rounds(3))),
            Measurement({"ready"}, partial(ready.ports, scene, book, rounds(2))),
            Measurement({"check"}, partial(checks.checks, scene, book, rounds(10, 3))),
            Measurement({"reload"}, partial(reloads.reloads, scene, book, rounds(10, 3))),
            Measurement({"probes"}, partial(probes.costs, scene, book, 100 if options.quick else 1000)),
        ]
    return [measurement for measurement in everything if measurement.parts & options.only]


def _one(scene: Stage, book: Book, who: Who, rounds: int) -> None:
    with alive.side_by_side(scene, who, Load(1)) as daemons:
        alive.statuses(daemons, book, rounds)


def _hundred(scene: Stage, book: Book, options: argparse.Namespace, rounds: Callable[[int, int], int]) -> None:
    with alive.side_by_side(scene, options.who, Load(100)) as daemons:
        if "status" in options.only:
            alive.statuses(daemons, book, rounds(20, 3))
        if "idle" in options.only:
            alive.idle(daemons, book, 4 if options.quick else 20)
        if "crash" in options.only:
            alive.crashes(daemons, book, rounds(7, 2))


def _warm_up(scene: Stage, who: Who) -> None:
    """Once each, unmeasured: compiled modules and programs are then in the page cache of all."""
    for contender in who:
        with contender(scene, Load(1)) as daemon:
            daemon.start()
            daemon.settle()
            daemon.status()
            daemon.stop()


def _take(measurement: Measurement, book: Book) -> None:
    """One that fails is told, and the others go on."""
    began = time.monotonic()
    try:
        measurement.take()
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        book.failures.append(f"{', '.join(sorted(measurement.parts))}: {error}")
        _tell(book.failures[-1])
        sweep()
    _tell(f"{', '.join(sorted(measurement.parts))}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
