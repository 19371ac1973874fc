"""What is held of one output of a run, and of one process of the logger. Who gets what is decided elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from pserv.keeper.link import Link
from pserv.keeper.protocol import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Stream:
    """The read end of one output of one run, held until a worker says that all is written."""

    __slots__ = ("dropped", "fd", "id", "inode", "key", "name", "pid", "run", "target", "terminal", "worker")

    def __init__(self, number: int, key: str, run: int, name: str, target: Message, terminal: bool, fd: int) -> None:
        self.id = number
        self.key = key
        self.run = run
        self.name = name
        self.target = {sys.intern(name): value for name, value in target.items()}
        """Each message has words of its own; those of all targets are the same."""
        self.pid = 0
        """The process whose output it is; 0 until that is forked."""
        self.dropped = (0, 0)
        """Lines and bytes of it that were told as dropped."""
        self.terminal = terminal
        self.fd = fd
        self.inode = 0 if terminal else os.fstat(fd).st_ino
        self.worker: Worker | None = None

    def described(self) -> Message:
        fields: Message = {"id": self.id, "key": self.key, "target": self.target, **self.facts()}
        return {**fields, "terminal": True} if self.terminal else fields

    def facts(self) -> Message:
        """Whose output it is."""
        told: Message = {key: self.target[key] for key in ("prefix", "syslog") if key in self.target}
        return {"run": self.run, "name": self.name, "pid": self.pid, **told}


class Worker:
    """One process of the logger. `stuck` is the id of the one stream it keeps; hold pipe and journal outlive it."""

    __slots__ = ("draining", "ending", "hold", "journal", "link", "number", "pid", "streams", "stuck")

    def __init__(self, number: int, hold: tuple[int, int], journal: int) -> None:
        self.number = number
        self.hold = hold
        self.journal = journal
        self.link: Link | None = None
        self.pid = 0
        self.streams: dict[int, Stream] = {}
        self.stuck: int | None = None
        self.ending = False
        self.draining: set[int] = set()


class Drain:
    """A run whose output is being written before its end is told."""

    __slots__ = ("done", "lines", "printed", "waiting")

    def __init__(self, done: Callable[[list[str], int], None], waiting: set[int]) -> None:
        self.done = done
        self.waiting = waiting
        self.lines: list[str] = []
        self.printed = 0


def how(end: dict[str, Any]) -> str:
    """A wait status that `roles.described` has taken apart, in words."""
    return f"killed by signal {end['signal']}" if end["signal"] else f"exit code {end['code']}"
