"""Figures of reading logs: the last lines of many files, those since a moment, and how soon a follower shows one."""

from __future__ import annotations

import gzip
import os
import select
import signal
import statistics
import subprocess
import time
from pathlib import Path

from drivers import Load, Pserv
from figures import Book
from stage import BenchError, Stage

FILES = 1000
SIZE = 10 << 20
SPAN = 600
"""Seconds that the lines of one file are from."""
LINE = 100
ONE = 100
"""Times SIZE: the bytes of the one large file."""
FOLLOWED, ROTATED, PACKED, LARGE = range(4)
"""The services, by whose logs they have."""


class Reading(Pserv):
    written = "{timestamps: true, rotate: none}"


def readings(stage: Stage, book: Book, rounds: int) -> None:
    """Files of logs are made, and `pserv logs` is timed with them, without the time in which any command starts."""
    with Reading(stage, Load(4, ("flood", "100", "100", "100"), stage.ram or stage.folder)) as daemon:
        try:
            middle = _make_files(daemon)
            daemon.start()
            daemon.settle()
            since = ["--since", f"@{middle:.1f}", "--until", f"@{middle + 0.1:.1f}"]
            asked = {
                "last": [f"s{ROTATED}", "-n", "100"],
                "since": [f"s{ROTATED}", *since],
                "packed": [f"s{PACKED}", *since],
                "one": [f"s{LARGE}", *since],
            }
            for _ in range(rounds):
                start = statistics.median(_seconds(daemon, "--version") for _ in range(3))
                book.add("reading.start", daemon.name, start)
                for key, words in asked.items():
                    book.add(f"reading.{key}", daemon.name, _seconds(daemon, "logs", *words, lines=True) - start)
            _follow(daemon, book, 20 * rounds)
        finally:
            for path in daemon.logs.glob(f"{daemon.name}-*"):
                path.unlink()


def _seconds(daemon: Reading, *words: str, lines: bool = False) -> float:
    began = time.monotonic()
    told = daemon.client(*words)
    took = time.monotonic() - began
    if lines and not 10 <= told.count("\n") <= 100:
        raise BenchError(f"pserv {' '.join(words)}: {told.count(chr(10))} lines")
    return took


def _make_files(daemon: Reading) -> float:
    """The moment in the middle of all. Rotated files around it are as their names say, the others are links."""
    end = int(time.time()) // SPAN * SPAN
    begin = end - FILES * SPAN
    first, template = _stamp(begin)[:15], _lines(begin)
    middle = begin + FILES // 2 * SPAN

    def content(at: int) -> bytes:
        return template.replace(first.encode(), _stamp(at)[:15].encode())

    other = {ROTATED: daemon.logs / f"{daemon.name}-other", PACKED: daemon.logs / f"{daemon.name}-other.gz"}
    other[ROTATED].write_bytes(template)
    other[PACKED].write_bytes(gzip.compress(template, 1))
    for number in range(FILES):
        at = begin + number * SPAN
        for index, packing in ((ROTATED, ""), (PACKED, ".gz")):
            path = Path(f"{daemon.log(index)}.{number + 1:08}.{_name(at)}-{_name(at + SPAN - 1)}{packing}")
            if abs(at - middle) > SPAN and number < FILES - 1:
                path.hardlink_to(other[index])
            else:
                path.write_bytes(gzip.compress(content(at), 1) if packing else content(at))
    with daemon.log(LARGE).open("wb") as file:
        for number in range(ONE):
            file.write(content(middle + (number - ONE // 2) * SPAN))
    return middle + SPAN / 2


def _lines(begin: int) -> bytes:
    """A file's lines, evenly over its time."""
    each = SIZE // LINE // SPAN
    step = 1_000_000 // each
    rest = [f".{number * step:06}Z {'x' * (LINE - 29)}\n" for number in range(each)]
    return "".join(_stamp(begin + second) + line for second in range(SPAN) for line in rest).encode()


def _stamp(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _name(at: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def _follow(daemon: Reading, book: Book, rounds: int) -> None:
    command = [*daemon.client_command(), "logs", "-f", f"s{FOLLOWED}", "--no-prefix"]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, env=daemon.env(), cwd=daemon.folder)
    assert follower.stdout is not None
    try:
        for _ in range(100):  # until it is there
            _print(daemon)
            if _read(follower.stdout.fileno(), 0.2):
                break
        while _read(follower.stdout.fileno(), 0.5):
            pass
        for _ in range(rounds):
            os.kill(daemon.pids[FOLLOWED], signal.SIGUSR1)
            if not _read(follower.stdout.fileno(), 5.0):
                raise BenchError("pserv logs -f shows nothing")
            seen = time.monotonic_ns()
            began = min(stamp.at for stamp in daemon.stamps.gather(2))
            book.add("reading.follow", daemon.name, (seen - began) / 1e9)
            time.sleep(0.01)
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def _print(daemon: Reading) -> None:
    os.kill(daemon.pids[FOLLOWED], signal.SIGUSR1)
    daemon.stamps.gather(2)


def _read(fd: int, within: float) -> bytes:
    return os.read(fd, 1 << 16) if select.select([fd], [], [], within)[0] else b""
