"""What services say of themselves, turned into events; and the watchdog: one timer a service, moved without a wake-up.

What has no place in a service's life (its STATUS, that it reloads) is kept beside it in the note.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pserv.keeper.protocol import Message
from pserv.model import units
from pserv.model.events import Change, Event, Extended, MainChanged, Ready, Unready, WatchdogExpired
from pserv.model.states import AT_REST, Life, Phase
from pserv.supervisor.record import Said
from pserv.supervisor.supervisor import Supervisor
from pserv.system import notify
from pserv.system.notify import Notice
from pserv.system.tasks import Tasks

if TYPE_CHECKING:
    from pserv.system.timers import Timer

UNDER_WAY = (Phase.STARTING, Phase.RUNNING, Phase.CLOSING, Phase.STOPPING)
"""While a run is in these, what its processes say counts."""


class Watch:
    """The watchdog of one run. A sign of life only moves `due`; the timer looks there when it rings."""

    __slots__ = ("due", "every", "run", "timer")

    def __init__(self, run: int, every: float, due: float, timer: Timer) -> None:
        self.run = run
        self.every = every
        self.due = due
        self.timer = timer


class Notices:
    """Takes the reports `notice` and `ready` of the keeper."""

    def __init__(self, tasks: Tasks, supervisor: Supervisor) -> None:
        self._tasks = tasks
        self._supervisor = supervisor
        self._watches: dict[str, Watch] = {}
        supervisor.bus.call(self._changed)

    # What is said

    def ready(self, name: str, report: Message, ack: tuple[int, ...]) -> None:
        """A line came on the descriptor of `ready: {fd: N}`."""
        spec = self._supervisor.specs.get(name)
        fd = spec.ready.fd if spec is not None and spec.ready is not None else None
        why = "a line" if fd is None else f"a line on descriptor {fd}"
        self._supervisor.post(name, Ready(int(report["run"]), why, report.get("at")), ack)

    def take(self, name: str, report: Message, ack: tuple[int, ...]) -> None:
        """One datagram: what follows from it is done before it is acknowledged, and doing it twice does no harm."""
        life = self._supervisor.lives.get(name)
        run = int(report["run"])
        if life is None or life.run != run:
            self._supervisor.keeper.do(name, ack=ack)
            return
        notice = notify.read(self._supervisor.hidden(name, str(report["text"])))
        own = self._supervisor.records[name]
        before = own.said
        own.said = heard(before, notice, report, life)
        self._tell_reload(name, before, own.said)
        for event in self._events(name, life, notice, report):
            self._supervisor.post(name, event)
        self._supervisor.told(name, ack, keep=own.said != before)
        watch = self._watches.get(name)
        if notice.watchdog is not None:
            self._disarm(name)
            self._look_at(name)
        elif watch is not None and watch.run == run and notice.alive:
            watch.due = self._tasks.time() + watch.every

    def _events(self, name: str, life: Life, notice: Notice, report: Message) -> list[Event]:
        run, at = life.run, float(report["at"])
        events: list[Event] = []
        if report.get("main"):
            events.append(MainChanged(run, int(report["main"])))
        if notice.extend is not None:
            events.append(Extended(run, at + notice.extend))
        # READY=1 is a promise of its own where the service is asked for it; elsewhere a probe or execve says so.
        asked = life.phase is not Phase.STARTING or self._supervisor.specs[name].ready_by == "notify"
        if notice.ready and asked:
            events.append(Ready(run, "READY=1", at))
        if notice.stopping:
            events.append(Unready(run, "it is going down by itself (STOPPING=1)"))
        if notice.hung:
            events.append(WatchdogExpired(run, "it asked for its end (WATCHDOG=trigger)"))
        return [event for event in events if life.phase in UNDER_WAY]

    def _tell_reload(self, name: str, before: Said, after: Said) -> None:
        if after.reloading is not None and before.reloading is None:
            self._supervisor.tell(name, "notify", "reloading (RELOADING=1)")
        elif before.reloading is not None and after.reloading is None and before.run == after.run:
            took = units.show_duration(max(0.0, self._tasks.time() - before.reloading))
            self._supervisor.tell(name, "notify", f"reloaded after {took}")

    # The watchdog

    def resume(self) -> None:
        """Arm what runs; a run that an earlier supervisor watched has its whole time again."""
        for name in self._supervisor.lives:
            self._look_at(name)

    def stop(self) -> None:
        """Let nobody's time run out until the next `resume`."""
        for name in list(self._watches):
            self._disarm(name)

    def _changed(self, change: Change) -> None:
        if change.kind == "state" and change.service:
            self._look_at(change.service)
        elif change.kind == "removed":
            self._disarm(change.service)

    def _look_at(self, name: str) -> None:
        life, watch = self._supervisor.lives.get(name), self._watches.get(name)
        if life is None or life.phase is not Phase.RUNNING:
            if watch is not None:
                self._disarm(name)
            if life is not None and life.phase in AT_REST and self._supervisor.records[name].said.stored:
                self._discard(name)
            return
        if watch is not None and watch.run == life.run:
            return
        self._disarm(name)
        every = self._interval(name, life.run)
        if every:
            due = self._tasks.time() + every
            self._watches[name] = Watch(life.run, every, due, self._tasks.at(due, partial(self._ring, name)))

    def _interval(self, name: str, run: int) -> float:
        """Seconds; 0 where none is promised."""
        said, spec = self._supervisor.records[name].said, self._supervisor.specs[name]
        if said.run == run and said.watchdog is not None:
            return said.watchdog
        return spec.watchdog or 0.0

    def _disarm(self, name: str) -> None:
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.timer.cancel()

    def _ring(self, name: str) -> None:
        watch = self._watches[name]
        if watch.due > self._tasks.time():
            watch.timer = self._tasks.at(watch.due, partial(self._ring, name))
            return
        del self._watches[name]
        why = f"no WATCHDOG=1 for {units.show_duration(watch.every)}"
        self._supervisor.post(name, WatchdogExpired(watch.run, why))

    def _discard(self, name: str) -> None:
        """Stopped, failed or done: what it stored is for its next run by a restart, as systemd has it."""
        own = self._supervisor.records[name]
        own.said = msgspec.structs.replace(own.said, stored=0)
        self._supervisor.told(name, (), keep=True, commands=({"do": "discard"},))


def heard(before: Said, notice: Notice, report: Message, life: Life) -> Said:
    """What is kept of a run's words, after these: those of an earlier run are forgotten, but for what it stored."""
    said = before if before.run == life.run else Said(run=life.run, stored=before.stored)
    changes: dict[str, object] = {}
    if notice.status is not None:
        changes["status"] = notice.status
    if notice.reloading:
        changes["reloading"] = notice.reload_began or float(report["at"])
    if notice.ready:
        changes["reloading"] = None
    for field in ("watchdog", "errno", "exit_status"):
        if getattr(notice, field) is not None:
            changes[field] = getattr(notice, field)
    if "stored" in report:
        changes["stored"] = int(report["stored"])
    return msgspec.structs.replace(said, **changes) if changes else said


def told(said: Said, *, lives: bool) -> list[str]:
    """What a run says of itself, or said before it ended, in sentences."""
    sentences = []
    if said.status:
        sentences.append(f"it {'says' if lives else 'said last'}: {said.status}")
    if said.errno is not None:
        sentences.append(f"what went wrong, it says: {os.strerror(said.errno)} (ERRNO={said.errno})")
    if said.exit_status is not None:
        sentences.append(f"how it ends, it says: exit status {said.exit_status}")
    if said.stored:
        sentences.append(f"{said.stored} descriptors are kept for its next run")
    return sentences
