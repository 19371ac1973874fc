"""`pserv reload` of 1000 services in 200 files with one changed: how long it takes, and that one service is touched."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from checks import EACH, FILES
from drivers import Load, Pserv
from figures import Book
from stage import BenchError, Stage

SERVICE = """
  s{n}:
    command: {command}
    description: "The server number {n}"
    env:
      DATABASE_URL: "postgres://db:5432/app{n}"
      LOG_LEVEL: ${{LOG_LEVEL:-info}}
      CHANGED: "{changed}"
    tags: [front, web]
    stop: {{signal: QUIT, timeout: 30s}}
    log: {{rotate: {{size: 10MB, keep: 7}}}}
"""
MAIN = "include: apps\ndefaults: {restart: always, stable_after: 1s, env: {LANG: C.UTF-8}}\n"


class Many(Pserv):
    """Its services stand in many files."""

    def configure(self) -> None:
        (self.folder / "apps").mkdir()
        (self.folder / "pserv.yaml").write_text(f"name: {self.folder.name}\n{MAIN}")
        for file in range(FILES):
            self.write(file, changed=0)

    def write(self, file: int, changed: int) -> int:
        """A file of theirs; the index of the service in it that has `changed` in its environment, the others 0."""
        numbers = range(file * EACH, file * EACH + EACH)
        chosen = numbers[changed % EACH]
        services = (
            SERVICE.format(n=n, command=json.dumps(self.service_command(n)), changed=changed if n == chosen else 0)
            for n in numbers
        )
        Path(self.folder, f"apps/{file:03}.yaml").write_text(f"services:{''.join(services)}")
        return chosen


def reloads(stage: Stage, book: Book, rounds: int) -> None:
    """Each time another file is changed; what any command takes to start is subtracted."""
    with Many(stage, Load(FILES * EACH)) as daemon:
        daemon.start()
        daemon.settle()
        for turn in range(rounds):
            changed = daemon.write(turn % FILES, EACH * (turn + 1))
            start = statistics.median(_seconds(daemon, "--version") for _ in range(3))
            book.add("reload.1000", daemon.name, _seconds(daemon, "reload") - start)
            before = dict(daemon.pids)
            daemon.await_services([changed])
            if before[changed] == daemon.pids[changed]:
                raise BenchError(f"{daemon.name}: s{changed} was not restarted")
            _expect_all(daemon)


def _expect_all(daemon: Many) -> None:
    """Raises BenchError when another service runs otherwise than it was seen to start."""
    rows = json.loads(daemon.client("status", "--json"))["services"]
    running = {int(row["name"][1:]): row["pid"] for row in rows}
    if running != daemon.pids:
        raise BenchError(f"{daemon.name}: {len(running.items() ^ daemon.pids.items())} pids changed unasked")


def _seconds(daemon: Many, *words: str) -> float:
    began = time.monotonic()
    daemon.client(*words)
    return time.monotonic() - began
