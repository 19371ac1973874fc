"""Figures of a daemon's whole life with so many services: start, memory and descriptors at rest, stop."""

from __future__ import annotations

import time

import measure
from alive import takes_part
from drivers import Daemon, Floor, Load
from figures import Book
from stage import Stage


def starts(stage: Stage, book: Book, contenders: tuple[type[Daemon], ...], count: int, rounds: int) -> None:
    """Start, look at memory and descriptors, stop; in turn, so that a drift of the machine meets all alike."""
    for turn in range(rounds):
        for contender in contenders:
            if takes_part(contender, turn) and (count or contender is not Floor):
                with contender(stage, Load(count)) as daemon:
                    _one_life(daemon, book, count)


def _one_life(daemon: Daemon, book: Book, count: int) -> None:
    seconds = daemon.start()
    if count:
        book.add(f"start.{count}", daemon.name, seconds)
    daemon.settle()
    if not isinstance(daemon, Floor):
        daemon.status()  # what a client's first question leads to belongs to the daemon's size
        own = daemon.own_processes()
        memory = measure.memory(own)
        book.add(f"pss.{count}", daemon.name, memory.pss)
        book.add(f"rss.{count}", daemon.name, memory.rss)
        if memory.occupied is not None:
            book.add(f"occupied.{count}", daemon.name, memory.occupied)
        book.add(f"descriptors.total.{count}", daemon.name, measure.descriptors(own))
    if count == 100:
        _stop(daemon, book, "stop.100")


def slow_stops(stage: Stage, book: Book, contenders: tuple[type[Daemon], ...], rounds: int) -> None:
    """Stop of ten services that need a second each."""
    for _ in range(rounds):
        for contender in contenders:
            with contender(stage, Load(10, ("slow",))) as daemon:
                daemon.start()
                daemon.settle()
                _stop(daemon, book, "stop.slow")


def _stop(daemon: Daemon, book: Book, key: str) -> None:
    began = time.monotonic()
    daemon.stop()
    book.add(key, daemon.name, time.monotonic() - began)
    daemon.check_stopped()


def descriptors_each(book: Book) -> None:
    """From the totals: what each service adds to those of a daemon without services."""
    for count in (100, 1000):
        for name, totals in book.samples.get(f"descriptors.total.{count}", {}).items():
            alone = book.samples.get("descriptors.total.0", {}).get(name)
            if alone:
                for total in totals:
                    book.add(f"descriptors.{count}", name, (total - min(alone)) / count)
