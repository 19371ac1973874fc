"""Figures of daemons that run side by side and are asked, hurt and left alone in turn: restart, crash, status, idle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import measure
from drivers import Daemon, Floor, Load, Supervisord
from figures import Book
from stage import Stage

STABLE = 1.15
"""Seconds after which a run counts as stable in all daemons, so that its end begins a new streak of restarts."""

RARELY = 3
"""In each so many rounds supervisord takes part: it needs a second for most, and always the same one."""


def takes_part(contender: type[Daemon], turn: int) -> bool:
    """Whether this one is measured in that round."""
    return contender is not Supervisord or turn % RARELY == 0


@contextmanager
def side_by_side(stage: Stage, contenders: tuple[type[Daemon], ...], load: Load) -> Iterator[list[Daemon]]:
    """All of them up with the same load, and settled."""
    with ExitStack() as stack:
        daemons: list[Daemon] = []
        for contender in contenders:
            daemon = stack.enter_context(contender(stage, load))
            daemon.start()
            daemons.append(daemon)
        for daemon in daemons:
            daemon.settle()
        yield daemons


def restarts(stage: Stage, book: Book, contenders: tuple[type[Daemon], ...], others: int, rounds: int) -> None:
    """From kill -9 to the new run's first instruction; always the first restart of a streak, which no policy delays."""
    key = f"restart.{others or 1}"
    with side_by_side(stage, contenders, Load(others + 1)) as daemons:
        for turn in range(rounds):
            victim = turn % (others + 1)
            for daemon in daemons:
                if takes_part(type(daemon), turn):
                    book.add(key, daemon.name, _kill(daemon, [victim]))
            if not others:
                time.sleep(STABLE)


def crashes(daemons: list[Daemon], book: Book, rounds: int) -> None:
    """All services killed at once, until the last is back."""
    for _ in range(rounds):
        for daemon in daemons:
            book.add(f"crash.{len(daemon.pids)}", daemon.name, _kill(daemon, sorted(daemon.pids)))
        time.sleep(STABLE)


def _kill(daemon: Daemon, victims: list[int]) -> float:
    pids = [daemon.pids[victim] for victim in victims]
    began = time.monotonic_ns()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return (daemon.await_services(victims) - began) / 1e9


def statuses(daemons: list[Daemon], book: Book, rounds: int) -> None:
    """The client's whole process, from its start to its end, all services running."""
    for _ in range(rounds):
        for daemon in daemons:
            began = time.monotonic()
            running = daemon.status()
            book.add(f"status.{daemon.load.services}", daemon.name, time.monotonic() - began)
            if running != daemon.load.services:
                book.failures.append(f"{daemon.name}: status tells of {running} running, not {daemon.load.services}")


def idle(daemons: list[Daemon], book: Book, seconds: float) -> None:
    """What the daemons do while nothing happens; the figures are for 20 seconds."""
    watched = {daemon: daemon.own_processes() for daemon in daemons if not isinstance(daemon, Floor)}
    time.sleep(2)  # until the last timers of what came before have run out
    before = {d: (measure.context_switches(own), measure.cpu_seconds(own)) for d, own in watched.items()}
    time.sleep(seconds)
    for daemon, own in watched.items():
        switches, cpu = before[daemon]
        book.add("idle.switches", daemon.name, (measure.context_switches(own) - switches) * 20 / seconds)
        book.add("idle.cpu", daemon.name, (measure.cpu_seconds(own) - cpu) * 20 / seconds)
