"""The loop's one path: event -> rules -> effects -> tell. Clock and keeper are passed in; wishes are in `orders`."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

import msgspec

from pserv.keeper.protocol import Message
from pserv.model.effects import Failed, Resolve
from pserv.model.errors import Refused
from pserv.model.events import (
    Change,
    ClockChanged,
    DeadlinePassed,
    Event,
    Exited,
    HookEnded,
    Run,
    Situation,
    Start,
    Stop,
)
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import AT_REST, Life, Phase
from pserv.rules import conditions, machine, references
from pserv.rules.decision import Decision
from pserv.supervisor import effects, given, hook_runs, record
from pserv.supervisor.bus import Bus
from pserv.supervisor.effects import Subject
from pserv.supervisor.history import History
from pserv.supervisor.ports import Clock, Commands, Follower, Hooks
from pserv.supervisor.record import Note, Record
from pserv.system.launches import Places

WITHOUT_A_RUN = AT_REST | {Phase.WAITING, Phase.LISTENING, Phase.BACKOFF, Phase.PREPARING, Phase.CLEANING}

GO_BY_THE_CLOCK = (Phase.WAITING, Phase.PREPARING, Phase.STARTING, Phase.BACKOFF)
"""Where a scheduled service may have a deadline that the wall clock says."""

_GONE = Life(reason="no longer declared")


class Supervisor:
    """Owns the life of every service. What happens comes in by `post`, what is done goes out by `keeper`."""

    def __init__(
        self,
        document: Document,
        places: Places,
        keeper: Commands,
        clock: Clock,
        *,
        on_bug: Callable[[str, Exception], None],
        on_deadlines: Callable[[], None],
    ) -> None:
        """`on_bug` hears of exceptions in handling one service, `on_deadlines` when `next_deadline` may have moved."""
        self.document = document
        self.places = places
        self.specs: dict[str, ServiceSpec] = {}
        self.lives: dict[str, Life] = {}
        self.records: dict[str, Record] = {}
        self.bus = Bus()
        self.history = History()
        self.restarting: dict[str, str] = {}
        """Services that are to be restarted once what depends on them has ended, and who asked; `orders` fills it."""
        self.last_run = 0
        self.bus.call(self.history.add)
        self.follower: Follower | None = None
        self.hooks: Hooks | None = None
        self.resolve: Callable[[str], None] | None = None
        """Begins to read the env files and secrets of a service, unless that is under way; an event follows."""
        self.keeper = keeper
        self.clock = clock
        self._on_bug = on_bug
        self._on_deadlines = on_deadlines
        self._inbox: deque[tuple[str, Event, tuple[int, ...], Message | None]] = deque()
        self._busy = False
        self._deadlines: list[tuple[float, str]] = []

    def adopt(self, name: str, note: Note) -> None:
        """Take over a service from the keeper's table."""
        self.lives[name] = note.life
        own = self.records[name] = Record()
        own.crash, own.launched, own.logs = note.crash, note.launched, note.logs
        own.ends = note.ends
        own.said, own.dropped = note.said, note.dropped
        self._set_deadline(name, note.life)

    def admit(self, name: str) -> None:
        """A service that was not known before."""
        self.lives[name] = Life(since=self.clock.now())
        self.records[name] = Record()

    def drop(self, name: str, why: str) -> None:
        """Forget a service that is at rest."""
        forget: tuple[Message, ...] = ({"do": "forget"},)
        if self.records[name].values is not None:
            forget = (*forget, {"do": "forget", "key": record.VALUES + name})
        del self.lives[name], self.records[name]
        self.specs.pop(name, None)
        self.keeper.do(name, commands=forget)
        self.tell(name, "removed", why)

    def life(self, name: str) -> Life:
        """Its life; one at rest where a reload took the service away while somebody asked for it."""
        return self.lives.get(name, _GONE)

    def stale(self, name: str) -> bool:
        """Whether a run lives that was made from another launch than the service is declared with now."""
        return self.lives[name].phase not in WITHOUT_A_RUN and self.launched_otherwise(name)

    def launched_otherwise(self, name: str) -> bool:
        """Whether its last run was made from another launch than it is declared with now."""
        launched = self.records[name].launched
        if not launched or (references.needed(self.specs[name]) and self.records[name].values is None):
            return False  # nobody knows what it got
        return launched != given.fingerprint(name, self.specs[name], self.records[name], self.places)

    def given(self, name: str) -> ServiceSpec:
        """The spec with what its env files and secrets are now. Its `env` must not be shown."""
        return given.given(name, self.specs[name], self.records[name], self.places)

    def hidden(self, name: str, text: str) -> str:
        """What may hold a value that the service was given, as it may be shown."""
        return given.hidden(self.records.get(name), text)

    def log_told(self, name: str, path: str, trouble: str) -> None:
        """Something is wrong with a log of this service, or with "" no more; outlives this process."""
        own = self.records[name]
        own.logs = {each: text for each, text in own.logs.items() if each != path}
        if trouble:
            own.logs[path] = trouble
        self.keeper.do(name, self._note(name, self.lives[name]))

    def told(self, name: str, ack: tuple[int, ...], *, keep: bool, commands: tuple[Message, ...] = ()) -> None:
        """What a service said was heard; `keep`: its record changed by it. Outlives this process."""
        life = self.lives.get(name)
        self.keeper.do(name, self._note(name, life) if keep and life is not None else None, ack, commands)

    # What comes in

    def post(self, name: str, event: Event, ack: tuple[int, ...] = (), facts: Message | None = None) -> None:
        """Let something happen to a service; `ack` are the keeper's reports that say so, `facts` the report itself.

        All that follows has happened on return, or, when called from within, before the outermost call returns.
        Raises Refused when an event that is no report makes no sense now.
        """
        self._inbox.append((name, event, ack, facts))
        if self._busy:
            return
        self._busy = True
        refused: Refused | None = None
        try:
            while self._inbox:
                try:
                    self._handle(*self._inbox.popleft())
                except Refused as error:
                    refused = refused or error
                if not self._inbox and self.follower is not None:
                    self.follower.quiet()
        finally:
            self._busy = False
        self._on_deadlines()
        if refused is not None and not ack:
            raise refused

    def tick(self) -> None:
        """Post what is due; call it when `next_deadline` has come."""
        while (due := self.next_deadline()) is not None and due <= self.clock.now():
            _, name = heapq.heappop(self._deadlines)
            self.post(name, DeadlinePassed())

    def next_deadline(self) -> float | None:
        """When `tick` is due, on the monotonic clock."""
        while self._deadlines:
            at, name = self._deadlines[0]
            life = self.lives.get(name)
            if life is not None and life.deadline == at:
                return at
            heapq.heappop(self._deadlines)
        return None

    def tell(self, service: str, kind: str, reason: str) -> None:
        """Tell listeners and history of something that is no change of phase."""
        self.bus.tell(Change(self.history.seq + 1, self.clock.wall(), service, kind, reason=reason))

    # One event

    def _handle(self, name: str, event: Event, ack: tuple[int, ...], facts: Message | None) -> None:
        life = self.lives.get(name)
        if life is None:
            self._acknowledge(name, ack)
            return
        try:
            self._note_down(name, life, event, facts)
            decision = machine.decide(self.specs[name], life, event, self._situation(name))
            commands = self._commands(name, life, event, decision, facts or {})
        except Refused:
            self._acknowledge(name, ack)
            raise
        except Exception as bug:
            self._on_bug(f"{name}: {type(event).__name__} while {life.phase}", bug)
            self._acknowledge(name, ack)
            return
        if self.resolve is not None and any(isinstance(effect, Resolve) for effect in decision.effects):
            self.resolve(name)
        if decision.life == life and not commands:
            self._acknowledge(name, ack)
        else:
            self._carry_out(name, life, decision, ack, commands)

    def _note_down(self, name: str, life: Life, event: Event, facts: Message | None) -> None:
        """What the record of a service has to know of an event before it is decided on."""
        own = self.records[name]
        if isinstance(event, (Start, Run, Stop)):
            own.prepared = False
        of_start = isinstance(event, HookEnded) and life.phase is Phase.PREPARING
        if (isinstance(event, Exited) or of_start) and facts is not None:
            own.printed = tuple(self.hidden(name, line) for line in facts.get("lines", ()))

    def _commands(self, name: str, life: Life, event: Event, decision: Decision, facts: Message) -> tuple[Message, ...]:
        """What the keeper is to do of what was decided."""
        subject = Subject(name, self.specs[name], decision.life, self.records[name], self.places, facts)
        commands = effects.commands(decision.effects, subject)
        if life.hook is not None and decision.life.hook is None:
            commands = ({"do": "forget", "key": hook_runs.key_of(name)}, *commands)
        return (*commands, *effects.sockets(life, event, subject))

    def _carry_out(
        self, name: str, life: Life, decision: Decision, ack: tuple[int, ...], commands: tuple[Message, ...]
    ) -> None:
        """Have the keeper do and remember it, then tell."""
        self.last_run = max(self.last_run, effects.last_run(decision.effects))
        self.lives[name] = decision.life
        if decision.life.ended is not life.ended and decision.life.ended is not None:
            self.records[name].add(decision.life.ended, scheduled=self.specs[name].schedule is not None)
        self.keeper.do(name, self._note(name, decision.life), ack, commands)
        self._set_deadline(name, decision.life)
        self._tell_change(name, life, decision.life)
        if self.hooks is not None:  # before the follower, who ends the daemon when nothing is under way
            self.hooks.changed(name, life, decision.life)
        if self.follower is not None:
            failed = any(isinstance(effect, Failed) for effect in decision.effects)
            self.follower.changed(name, life, decision.life, failed=failed)

    def _note(self, name: str, life: Life) -> str:
        own = self.records[name]
        return record.encode(Note(life, own.crash, own.launched, own.logs, own.said, own.ends, own.dropped))

    def _situation(self, name: str) -> Situation:
        now = self.clock.now()
        needs = conditions.outlook(name, self.specs, self.lives, now, self.restarting)
        situation = Situation(now, self.clock.chance(), self.last_run + 1, needs.blocked, needs.hopeless, needs.until)
        spec, life = self.specs[name], self.lives[name]
        if life.phase is Phase.STARTING and (answer := self.records[name].refusal(life.run)):
            situation = msgspec.structs.replace(situation, answer=answer)
        if references.needed(spec) and not self.records[name].prepared:
            read = self.records[name].values is not None
            situation = msgspec.structs.replace(situation, references=references.told(spec), read=read)
        if spec.schedule is None:
            return situation
        from pserv.supervisor import timetable

        due = timetable.coming(spec, self.clock, life.due)
        return msgspec.structs.replace(situation, wall=self.clock.wall(), due=due)

    def clock_changed(self) -> None:
        """The wall clock was set, or the machine slept: what goes by it is looked at again."""
        for name, life in list(self.lives.items()):
            if self.specs[name].schedule is not None and life.phase in GO_BY_THE_CLOCK:
                self.post(name, ClockChanged())

    def _acknowledge(self, name: str, ack: tuple[int, ...]) -> None:
        if ack:
            self.keeper.do(name, ack=ack)

    def _set_deadline(self, name: str, life: Life) -> None:
        if life.deadline is not None:
            heapq.heappush(self._deadlines, (life.deadline, name))

    def _tell_change(self, name: str, old: Life, new: Life) -> None:
        kind = _kind(old, new)
        if not kind:
            return
        seq, at = self.history.seq + 1, self.clock.wall()
        self.bus.tell(Change(seq, at, name, kind, new.phase, new.goal, new.reason, new.run, new.pid))


def _kind(old: Life, new: Life) -> str:
    """What happened, as a kind of `Change`; "" where nothing is to be told."""
    if (old.phase, old.goal, old.run) != (new.phase, new.goal, new.run):
        return "state"
    if old.health != new.health and new.health:
        return new.health
    if (old.ready_at is None) is not (new.ready_at is None):
        return "unready" if new.ready_at is None else "ready"
    return "state" if old.reason != new.reason else ""
