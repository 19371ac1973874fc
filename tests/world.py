"""A pretend world for the supervisor: a keeper that spawns nothing, and a clock that moves by assignment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pserv.keeper.protocol import Message
from pserv.model.events import Exited, Gone, HookEnded, Spawned
from pserv.model.spec import DaemonSpec, Document, ServiceSpec
from pserv.model.states import Life
from pserv.supervisor import daemon_note, hook_runs, record
from pserv.supervisor.daemon_note import DAEMON, DaemonNote
from pserv.supervisor.orders import Orders
from pserv.supervisor.record import Note
from pserv.supervisor.supervisor import Supervisor
from pserv.system.launches import Places

PLACES = Places(root="/", logs="/logs")


class PretendClock:
    """Time in the test's hands: assign to `time`."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.offset = 1_700_000_000.0
        """The wall clock is ahead of the monotonic one by this; assign to it, and the clock is set."""

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.offset + self.time

    def chance(self) -> float:
        return 0.5


class PretendKeeper:
    """Stores notes and acknowledgements as the real one does, and remembers every command it was given."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.commands: list[tuple[str, Message]] = []
        self.acknowledged: list[int] = []
        self.finished: int | None = None
        self.live: dict[str, int] = {}
        self.logs: list[dict[str, Message]] = []
        self.last_run = 0

    def do(
        self, key: str, note: str | None = None, ack: tuple[int, ...] = (), commands: tuple[Message, ...] = ()
    ) -> None:
        if note is not None:
            self.notes[key] = note
        self.acknowledged.extend(ack)
        of_transaction = key
        for command in commands:
            key = command.get("key", of_transaction)
            self.commands.append((key, command))
            if command["do"] == "spawn":
                assert key not in self.live, f"a second live run of {key}"
                assert command["run"] > self.last_run, "a run id seen before"
                self.live[key] = self.last_run = command["run"]
            elif command["do"] == "forget":
                assert key not in self.live, f"{key} is forgotten while it lives"
                self.notes.pop(key, None)

    def finish(self, code: int) -> None:
        assert not self.live, f"finished while {self.live} live"
        self.finished = code

    def settings(self, logs: dict[str, Message]) -> None:
        self.logs.append(logs)

    def done(self, name: str) -> list[str]:
        """What was commanded of one service, in order."""
        return [command["do"] for key, command in self.commands if key == name]


class World:
    """A supervisor between a pretend keeper and a pretend clock; `die` puts a new one in its place."""

    def __init__(self, services: Mapping[str, ServiceSpec], **daemon: Any) -> None:
        self.clock = PretendClock()
        self.keeper = PretendKeeper()
        self.bugs: list[str] = []
        self.reports = 0
        self.document = document(services, **daemon)
        self._make(DaemonNote(), safe=False)
        self.orders.declare(self.document)

    def _make(self, note: DaemonNote, *, safe: bool) -> None:
        self.supervisor = Supervisor(
            self.document,
            PLACES,
            self.keeper,
            self.clock,
            on_bug=lambda where, error: self.bugs.append(f"{where}: {error!r}"),
            on_deadlines=lambda: None,
        )
        self.supervisor.last_run = self.keeper.last_run
        self.orders = Orders(self.supervisor, note, safe=safe)

    def boot(self, *names: str) -> None:
        self.orders.align("daemon start", start=names or None)

    def die(self, *, safe: bool = False) -> None:
        """The supervisor dies; another one knows only what the keeper keeps."""
        told = self.keeper.notes.get(DAEMON)
        self._make(DaemonNote() if told is None else daemon_note.decode(told), safe=safe)
        for name, text in self.keeper.notes.items():
            if not name.startswith("@"):
                self.supervisor.adopt(name, record.decode(text))
        self.orders.declare(self.document)
        self.orders.align("resumed supervisor")
        self.orders.resume()

    def life(self, name: str) -> Life:
        return self.supervisor.lives[name]

    def state(self, name: str) -> str:
        return self.life(name).state.value

    def spawned(self, *names: str) -> None:
        """execve of the live run succeeded."""
        for name in names:
            run = self.keeper.live[name]
            self.supervisor.post(name, Spawned(run, 10_000 + run), self._ack())

    def exited(self, name: str, code: int | None = 0, signal: int | None = None, *, gone: bool = True) -> None:
        """The main process of the live run ended."""
        run = self.keeper.live[name]
        if gone:
            del self.keeper.live[name]
        code = None if signal is not None else code
        facts: Message = {"lines": [f"last words of {name}"], "utime": 0.5, "stime": 0.25, "max_rss": 1 << 20}
        self.supervisor.post(name, Exited(run, code, signal, gone=gone), self._ack(), facts)

    def gone(self, name: str) -> None:
        """Nothing is left of the live run."""
        run = self.keeper.live.pop(name)
        self.supervisor.post(name, Gone(run), self._ack())

    def hook_ended(self, name: str, why: str = "") -> None:
        """The hook that a service waits for ended."""
        run = self.keeper.live.pop(hook_runs.key_of(name))
        facts: Message = {"lines": [f"last words of a hook of {name}"]}
        self.supervisor.post(name, HookEnded(run, why), self._ack(), facts)

    def run_all(self) -> None:
        """Every spawn that waits for its outcome succeeds, again and again, until nothing moves."""
        while waiting := [
            name for name in self.keeper.live if name in self.supervisor.lives and not self.life(name).pid
        ]:
            self.spawned(*waiting)

    def wait(self, seconds: float) -> None:
        """Time passes; deadlines on the way are met in order."""
        until = self.clock.time + seconds
        while (due := self.supervisor.next_deadline()) is not None and due <= until:
            self.clock.time = max(self.clock.time, due)
            self.supervisor.tick()
        self.clock.time = until

    def note(self, name: str) -> Note:
        return record.decode(self.keeper.notes[name])

    def _ack(self) -> tuple[int]:
        self.reports += 1
        return (self.reports,)


def document(services: Mapping[str, ServiceSpec], **daemon: Any) -> Document:
    return Document(name="test", root="/", services=dict(services), daemon=DaemonSpec(**daemon))


def service(**options: Any) -> ServiceSpec:
    """A spec with a command of no meaning; dependencies may be a list, of what must be ready."""
    needs = options.get("depends_on")
    if isinstance(needs, (list, tuple)):
        options["depends_on"] = {name: {} for name in needs}
    return msgspec.convert({"exec": "/bin/true", **options}, ServiceSpec)
