"""Records and runs: what is remembered of each key, and which commands are refused. Nothing is carried out here."""

from __future__ import annotations

import signal

from pserv.keeper.inbox import Inbox
from pserv.keeper.protocol import Message
from pserv.keeper.worker import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STARTING, RUNNING, EXITED = "starting", "running", "exited"
SCOPES = ("main", "group", "rest", "all")
_NONE: frozenset[int] = frozenset()
_TARGETS = ("file", "null", "inherit", "stdout", "passed")


class End:
    """How a main process ended. `at` is CLOCK_MONOTONIC seconds, times are seconds, `max_rss` bytes (0: not known)."""

    __slots__ = ("at", "code", "core", "max_rss", "oom", "signal", "stime", "utime")

    def __init__(self, code: int | None, signum: int | None, core: bool, at: float) -> None:
        self.code = code
        self.signal = signum
        self.core = core
        self.at = at
        self.oom = False
        self.utime = 0.0
        self.stime = 0.0
        self.max_rss = 0

    def facts(self) -> Message:
        return {name: getattr(self, name) for name in self.__slots__}


class Run:
    """One spawned process and all that comes of it, from the fork until nothing of it is left.

    `status`: the pipe through which the child tells a failed step, -1 once it has closed. `failure`: what it told.
    `noted`: (pid, start) of descendants seen before the first signal. `strays`: pids found left after the main process.
    `pidfd`: holds a main process that is not the one we spawned, else -1.
    """

    __slots__ = (
        "at", "drained", "end", "events", "failure", "folder", "gone", "inbox", "key", "killing", "lines", "noted",
        "number", "pid", "pidfd", "printed", "reaped", "state", "status", "strays", "streams", "told", "wait",
    )  # fmt: skip

    def __init__(
        self, key: str, number: int, pid: int, folder: str | None, status: int, streams: list[Stream], at: float
    ) -> None:
        self.key = key
        self.number = number
        self.pid = pid
        self.folder = folder
        self.status = status
        self.streams = streams
        self.at = at
        self.state = STARTING
        self.failure: tuple[str, int, str] | None = None
        self.end: End | None = None
        self.reaped = False
        self.gone = False
        self.drained = False
        self.told = False
        self.killing = False
        self.lines: tuple[str, ...] = ()
        self.printed = 0
        self.noted: set[tuple[int, int]] | None = None
        self.strays: frozenset[int] = _NONE
        self.events = -1
        self.wait = 0.0
        self.inbox = Inbox()
        self.pidfd = -1

    def described(self) -> Message:
        return {
            "run": self.number, "pid": self.pid, "state": self.state, "at": self.at, "killing": self.killing,
        }  # fmt: skip


class Record:
    """What is kept of a key. `note` is the supervisor's, opaque; `last_run` is this key's latest.

    `stored`: name and descriptor of what its runs gave us to keep. `sockets`: name and identity of those that listen
    for it (`keeper.sockets`); `listens`: since which `listen` it waits for a connection, 0 while it does not.
    """

    __slots__ = ("key", "last_run", "listens", "note", "run", "sockets", "stored")

    def __init__(self, key: str) -> None:
        self.key = key
        self.note: str | None = None
        self.last_run: int | None = None
        self.run: Run | None = None
        self.stored: list[tuple[str, int]] = []
        self.sockets: list[tuple[str, str]] = []
        self.listens = 0

    def described(self) -> Message:
        run = self.run.described() if self.run is not None else None
        return {"key": self.key, "note": self.note, "last_run": self.last_run, "run": run}


class Records:
    """All records, and the runs by the pid of their main process as long as it is not reaped (`leaders`)."""

    def __init__(self) -> None:
        self.by_key: dict[str, Record] = {}
        self.leaders: dict[int, Run] = {}
        self.last_run = 0

    def runs(self) -> list[Run]:
        """Those of which something is, or may be, left."""
        return [record.run for record in self.by_key.values() if record.run is not None]

    def described(self) -> list[Message]:
        return [record.described() for record in self.by_key.values()]

    def refusal(self, message: Message, descriptors: int) -> str | None:
        """Why this transaction cannot be carried out as a whole; None when it can. Changes nothing."""
        key, note = message.get("key"), message.get("note")
        if not isinstance(key, str) or not key:
            return "a transaction needs a key"
        if note is not None and not isinstance(note, str):
            return f"{key}: the note is no text"
        spawned: dict[str, int] = {}
        last = self.last_run
        for command in message.get("commands") or ():
            what, whose = command.get("do"), command.get("key", key)
            if not isinstance(whose, str) or not whose:
                return f"cannot {what} for {key}: the key is no text"
            record = self.by_key.get(whose)
            live = whose in spawned or (record is not None and record.run is not None)
            if what == "spawn":
                problem = _spawn_problem(command, last, live, descriptors)
                descriptors -= _descriptors_of(command.get("launch") or {})
                if problem is None:
                    last = spawned[whose] = command["run"]
            elif what == "listen":
                problem = _listen_problem(command, last, live)
                last = last if problem is not None else command["run"]
            elif what == "open":
                problem = "a run of it lives" if live else _sockets_problem(command.get("sockets"))
            elif what == "forget":
                problem = "a run of it lives" if live else None
            elif what in ("discard", "close"):
                problem = None
            else:
                problem = _other_problem(command, spawned.get(whose, record.last_run if record is not None else None))
            if problem is not None:
                return f"cannot {what} {whose}: {problem}"
        return "descriptors that nobody takes" if descriptors else None


def passed(launch: Message) -> tuple[int, int, int]:
    """How many of the message's descriptors are for stdin, stdout, stderr of this launch."""
    if launch.get("inherited"):
        return 1, 1, 1
    outputs = [(launch.get(name) or {}).get("kind") == "passed" for name in ("stdout", "stderr")]
    return int(launch.get("stdin") in ("fd", "passed")), int(outputs[0]), int(outputs[1])


def _descriptors_of(launch: Message) -> int:
    return sum(passed(launch))


def _spawn_problem(command: Message, last: int, live: bool, descriptors: int) -> str | None:
    run, launch = command.get("run"), command.get("launch")
    if not isinstance(run, int) or run <= last:
        return f"run {run} was seen before, the last is {last}"
    if live:
        return "a run of it lives"
    if not isinstance(launch, dict):
        return "no launch"
    return _launch_problem(launch) or ("a descriptor is missing" if _descriptors_of(launch) > descriptors else None)


def _listen_problem(command: Message, last: int, live: bool) -> str | None:
    run = command.get("run")
    if not isinstance(run, int) or run <= last:
        return f"run {run} was seen before, the last is {last}"
    return "a run of it lives" if live else _sockets_problem(command.get("sockets"))


def _sockets_problem(sockets: Any) -> str | None:
    if not isinstance(sockets, list) or not all(isinstance(each, dict) and "name" in each for each in sockets):
        return "sockets are no list of sockets"
    return None


def _launch_problem(launch: Message) -> str | None:
    argv, env = launch.get("argv"), launch.get("env") or {}
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        return "argv is no list of words"
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        return "env is no table of words"
    if not isinstance(launch.get("cwd") or "", str):
        return "cwd is no path"
    if problem := _sockets_problem(launch.get("sockets") or []):
        return problem
    for name in ("stdout", "stderr"):
        kind: Any = (launch.get(name) or {"kind": "null"}).get("kind")
        if kind not in _TARGETS or (name == "stdout" and kind == "stdout"):
            return f"{name} goes nowhere known: {kind}"
    return None


def _other_problem(command: Message, latest: int | None) -> str | None:
    run = command.get("run")
    if command.get("do") not in ("signal", "kill", "adopt"):
        return "unknown command"
    if not isinstance(run, int) or latest is None or run > latest:
        return f"no such run: {run}"
    if command["do"] == "signal":
        if command.get("signal") not in signal.valid_signals():
            return f"no such signal: {command.get('signal')}"
        if command.get("scope", "main") not in SCOPES:
            return f"no such scope: {command.get('scope')}"
    return None
