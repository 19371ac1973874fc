"""A pretend world for the machine of one service: a keeper with processes that obey or do not, a clock, invariants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Effect,
    Event,
    Exited,
    Failed,
    Gone,
    Kill,
    Restart,
    Signal,
    Situation,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase, Result
from pserv.rules import machine, restart

LIVING = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.ENDING})
TIMED = frozenset({Phase.STOPPING, Phase.ENDING, Phase.BACKOFF})
UNTIMED = frozenset({Phase.STOPPED, Phase.WAITING, Phase.EXITED, Phase.FAILED})

NOTES = msgspec.json.Encoder()
NOTE = msgspec.json.Decoder(Life)

Dependency = Literal["ready", "blocked", "hopeless"]


class Run:
    """What the keeper knows of one run: its main process, and how many others are left of it."""

    __slots__ = ("born", "forked", "killed", "main", "rest", "run")

    def __init__(self, run: int, now: float) -> None:
        self.run, self.born = run, now
        self.forked = True
        """The child was made, execve has not been reported."""
        self.main = True
        self.rest = 0
        self.killed = False


class World:
    """Acts like a supervisor that only this service has, and checks after every event what must always hold."""

    def __init__(self, spec: ServiceSpec, table: machine.Table = machine.TABLE) -> None:
        self.spec, self.table = spec, table
        self.now = 1000.0
        self.chance = 0.5
        self.life = Life(since=self.now)
        self.live: Run | None = None
        self.last_run = 0
        self.dependency: Dependency = "ready"
        self.automatic: list[float] = []
        """When each restart was ordered since an operator last interfered."""
        self.counted_before = 0
        """The streak when the spec was exchanged: it was counted by another max_retries."""
        self.failures = 0
        self.expected_failures = 0

    # What happens

    def post(self, event: Event) -> tuple[Effect, ...]:
        before = self.life
        blocked = {"ready": "", "blocked": "waiting for db", "hopeless": ""}[self.dependency]
        hopeless = "needs db, which failed: exit code 1" if self.dependency == "hopeless" else ""
        situation = Situation(self.now, self.chance, self.last_run + 1, blocked, hopeless)
        decision = machine.decide(self.spec, before, event, situation, self.table)
        assert decision == machine.decide(self.spec, before, event, situation, self.table), "not a pure decision"
        self.life = decision.life
        for effect in decision.effects:
            self.carry_out(effect)
        self.check(before, event)
        return decision.effects

    def order(self, event: Start | Stop | Restart) -> None:
        self.automatic.clear()
        self.post(event)

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Spawn(run):
                assert self.live is None, "a second live run"
                assert run > self.last_run, "a run id seen before"
                self.live, self.last_run = Run(run, self.now), run
                self.automatic.append(self.now)
            case Signal(run) | Kill(run):
                assert self.live is not None, "a signal to nobody"
                assert run == self.live.run, "a signal to another run"
                self.live.killed |= isinstance(effect, Kill)
            case Failed(run):
                assert run == self.last_run
                self.failures += 1

    def depend(self, dependency: Dependency) -> None:
        self.dependency = dependency
        self.post(DependenciesChanged())

    def configure(self, spec: ServiceSpec) -> None:
        """The spec is exchanged under the service; a streak that was counted by the old one may exceed the new."""
        self.spec, self.counted_before = spec, self.life.attempt
        self.post(Configured())

    def spawn_succeeds(self) -> None:
        if self.live is not None and self.live.forked:
            self.live.forked = False
            self.post(Spawned(self.live.run, 10_000 + self.live.run, self.now))

    def spawn_fails(self) -> None:
        if self.live is not None and self.live.forked:
            run, self.live = self.live.run, None
            self.expected_failures += self.life.phase is Phase.STARTING or self.life.verdict is not None
            self.post(SpawnFailed(run, "exec", 2, "/no/such", "No such file or directory"))

    def main_ends(self, code: int | None, signal: int | None = None, rest: int = 0) -> None:
        if self.live is None or self.live.forked or not self.live.main:
            return
        self.live.main, self.live.rest = False, rest
        event = Exited(self.live.run, code, signal, gone=not rest, at=self.now)
        clean = restart.classify(self.spec, self.life, event, self.now).result is Result.SUCCESS
        asked = self.life.phase is Phase.STOPPING and self.life.verdict is None
        self.expected_failures += not clean and not asked
        if not rest:
            self.live = None
        self.post(event)

    def rest_ends(self, survivors: tuple[str, ...] = ()) -> None:
        """What was left of the run ends, or survives SIGKILL."""
        if self.live is not None and not self.live.main and (self.live.killed or not survivors):
            run, self.live = self.live.run, None
            self.post(Gone(run, survivors))

    def main_survives(self) -> None:
        """SIGKILL was sent to a process in uninterruptible sleep: the keeper gives it up, and names it."""
        if self.live is not None and self.live.killed and self.live.main:
            run, self.live = self.live.run, None
            self.expected_failures += self.life.verdict is not None
            self.post(Gone(run, ("pid 5 (cp), state D",)))
            assert self.life.phase in (Phase.STOPPED, Phase.FAILED), "started again beside what survived"

    def kill_works(self) -> None:
        if self.live is not None and self.live.killed:
            self.live.forked = False
            self.main_ends(None, 9)
            self.rest_ends()

    def stale(self, back: int) -> None:
        """News of a run before the last change nothing."""
        before, run = self.life, self.last_run - 1 - back
        for event in (Spawned(run, 5), SpawnFailed(run, "exec", 2), Exited(run, 1), Gone(run, ("pid 5",))):
            assert self.post(event) == ()
            assert self.life is before

    def pass_time(self, seconds: float) -> None:
        """Time passes, and deadlines on the way are met at their time."""
        until = self.now + seconds
        while self.life.deadline is not None and self.life.deadline <= until:
            self.meet_deadline()
        self.now = until

    def meet_deadline(self) -> None:
        """Time passes until the deadline. A deadline that is met is never left as it is."""
        deadline = self.life.deadline
        if deadline is not None:
            self.now = max(self.now, deadline)
            before = self.life
            self.post(DeadlinePassed())
            assert self.life != before

    # What must always hold

    def check(self, before: Life, event: Event) -> None:
        life = self.life
        assert life is before or life.phase in self.table[before.phase, type(event)].to
        assert NOTE.decode(NOTES.encode(life)) == life, "a resumed supervisor would know another life"
        assert life.reason, "no reason"
        assert life.since <= self.now
        assert (life.since == before.since) or life.since == self.now
        self.check_run(life)
        self.check_deadline(life)
        self.check_goal(life, event)
        self.check_restarts(life)
        assert self.failures == self.expected_failures, "crash records are kept of failures only, and of each"

    def check_run(self, life: Life) -> None:
        assert (self.live is not None) is (life.phase in LIVING), "the machine and the keeper disagree on what lives"
        assert life.run == self.last_run
        if self.live is not None:
            assert self.live.main is (life.phase is not Phase.ENDING)
            assert bool(life.pid) is (self.live.main and not self.live.forked)
            assert life.killed is self.live.killed
        assert (life.phase is Phase.RUNNING) <= (life.ready_at is not None)

    def check_deadline(self, life: Life) -> None:
        assert life.deadline is None or math.isfinite(life.deadline)
        if life.phase in UNTIMED:
            assert life.deadline is None
        if life.phase in TIMED:
            assert life.deadline is not None or life.killed, "nothing would ever happen again"
        if life.phase is Phase.STARTING and self.spec.time_to_start is not None:
            assert life.deadline is not None
        if life.phase is Phase.BACKOFF:
            assert life.deadline is not None
            longest = max(self.spec.backoff.maximum, restart.FLOOR)
            assert life.deadline - life.since <= longest + 1e-6

    def check_goal(self, life: Life, event: Event) -> None:
        assert (life.phase is Phase.STOPPED) <= (life.goal is Goal.DOWN)
        assert (life.goal is Goal.DOWN) <= (life.phase in (Phase.STOPPED, Phase.STOPPING, Phase.ENDING))
        match event:
            case Stop():
                assert life.goal is Goal.DOWN
            case Start() | Restart():
                assert life.goal is Goal.UP

    def check_restarts(self, life: Life) -> None:
        assert 0 <= life.attempt <= life.restarts
        if self.spec.max_retries is not None:
            assert life.attempt <= max(self.spec.max_retries, self.counted_before)
        # Never a tight loop: of three runs in a row that nobody asked for, one waited or one lasted.
        for first, third in zip(self.automatic, self.automatic[2:], strict=False):
            assert third - first >= restart.FLOOR - 1e-6, "a tight loop"
        del self.automatic[:-2]


def run_history(world: World, codes: Sequence[int]) -> None:
    """A history made from numbers, so that thousands of them cost little: what happens, and how."""
    numbers = iter(codes)
    for code in numbers:
        detail = next(numbers, 0)
        world.chance = detail / 256
        match code % 16:
            case 0 | 1:
                world.order(Start())
            case 2:
                world.order(Stop())
            case 3:
                world.order(Restart())
            case 4:
                world.depend(("ready", "ready", "blocked", "hopeless")[detail % 4])
            case 5 | 6 | 7:
                world.spawn_succeeds()
            case 8:
                world.spawn_fails()
            case 9:
                world.main_ends((0, 1, 143, 3)[detail % 4], rest=detail // 4 % 3)
            case 10:
                world.main_ends(None, (9, 15, 11, 1)[detail % 4], rest=detail // 4 % 3)
            case 11:
                world.rest_ends(("pid 5 (cp), state D",) * (detail % 2))
                world.main_survives()
            case 12:
                world.pass_time(detail / 8)
            case 13:
                world.meet_deadline()
            case 14:
                world.stale(detail % 2)
            case _:
                world.kill_works()
