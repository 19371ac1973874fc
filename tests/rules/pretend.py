"""A pretend world for the machine of one service: a keeper with processes that obey or do not, a clock, invariants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from pserv.model.effects import Adopt, Effect, EndHook, Failed, Kill, KillHook, Listen, RunHook, Signal, Spawn
from pserv.model.events import (
    Configured,
    Connected,
    DeadlinePassed,
    DependenciesChanged,
    Event,
    Exited,
    Extended,
    Gone,
    Healthy,
    HookEnded,
    HookGone,
    Hurry,
    ListenFailed,
    MainChanged,
    MainUnknown,
    Ready,
    Restart,
    Situation,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Unhealthy,
    Unready,
    WatchdogExpired,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase, Result, State
from pserv.rules import forking, machine, restart, standing

LIVING = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.ENDING})
HOOKED = frozenset({Phase.PREPARING, Phase.CLOSING, Phase.CLEANING})
TIMED = frozenset({Phase.STOPPING, Phase.ENDING, Phase.BACKOFF, *HOOKED})
UNTIMED = frozenset({Phase.STOPPED, Phase.EXITED, Phase.FAILED})
ALIVE = frozenset({Phase.STARTING, Phase.RUNNING})

NOTES = msgspec.json.Encoder()
NOTE = msgspec.json.Decoder(Life)

Dependency = Literal["ready", "blocked", "patient", "hopeless"]
"""`patient`: waited for, but not for ever."""
PATIENCE = 20.0
"""Seconds that a `patient` service waits."""


class Run:
    """What the keeper knows of one run: its main process, and how many others are left of it."""

    __slots__ = ("asked", "born", "forked", "killed", "main", "ready", "rest", "run", "well")

    def __init__(self, run: int, now: float) -> None:
        self.run, self.born = run, now
        self.forked = True
        """The child was made, execve has not been reported."""
        self.main = True
        self.rest = 0
        self.killed = False
        self.ready = False
        """It said so, or its probe did."""
        self.well: bool | None = None
        """The last verdict of its health probe that counted."""
        self.asked = 0.0
        """The latest time that it asked to be given."""


class HookRun:
    """What the keeper knows of the run of a hook."""

    __slots__ = ("killed", "main", "run")

    def __init__(self, run: int) -> None:
        self.run = run
        self.main = True
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
        self.last_attempt = 0
        """The last run of the service itself, or of a hook before it."""
        self.hook: HookRun | None = None
        self.finished: list[tuple[str, int, int]] = []
        """Kind, index and run of every hook that ended by itself, with success."""
        self.dependency: Dependency = "ready"
        self.automatic: list[float] = []
        """When each restart was ordered since an operator last interfered."""
        self.counted_before = 0
        """The streak when the spec was exchanged: it was counted by another max_retries."""
        self.reconfigured = False
        """The spec was exchanged: what the run said until then counted by another."""
        self.failures = 0
        self.expected_failures = 0

    # What happens

    def post(self, event: Event) -> tuple[Effect, ...]:
        before = self.life
        situation = self.situation()
        decision = machine.decide(self.spec, before, event, situation, self.table)
        assert decision == machine.decide(self.spec, before, event, situation, self.table), "not a pure decision"
        self.life = decision.life
        for effect in decision.effects:
            self.carry_out(effect)
        self.check(before, event)
        return decision.effects

    def situation(self) -> Situation:
        since = self.life.since if self.life.phase is Phase.WAITING else self.now
        until = since + PATIENCE if self.dependency == "patient" else None
        hopeless = "needs db, which failed: exit code 1" if self.dependency == "hopeless" else ""
        if until is not None and until <= self.now:
            hopeless, until = "needs db, which is not ready after 20 s", None
        blocked = "waiting for db" if self.dependency in ("blocked", "patient") and not hopeless else ""
        return Situation(self.now, self.chance, self.last_run + 1, blocked, hopeless, until)

    def order(self, event: Start | Stop | Restart) -> None:
        self.automatic.clear()
        self.post(event)

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Spawn(run):
                assert self.live is None, "a second live run"
                assert self.hook is None, "a spawn beside its hook"
                assert run > self.last_run, "a run id seen before"
                self.live, self.last_run, self.last_attempt = Run(run, self.now), run, run
                self.reconfigured = False
                self.automatic.append(self.now)
            case Listen(run):
                assert self.live is None, "listens beside a run"
                assert self.spec.sockets, "listens on nothing"
                assert run > self.last_run, "a run id seen before"
                self.last_run = run
            case Adopt(run):
                assert self.live is not None, "nobody is left"
                assert not self.live.main, "there is a main process"
                assert run == self.live.run
            case Signal(run) | Kill(run):
                assert self.live is not None, "a signal to nobody"
                assert run == self.live.run, "a signal to another run"
                self.live.killed |= isinstance(effect, Kill)
            case RunHook(run):
                assert self.hook is None, "a second hook"
                assert run > self.last_run, "a run id seen before"
                self.hook, self.last_run = HookRun(run), run
                if self.life.phase is Phase.PREPARING:
                    assert self.live is None, "a pre_start hook beside a run"
                    self.last_attempt = run
                assert (self.life.phase is not Phase.CLEANING) or self.live is None, "a post_stop hook beside a run"
            case EndHook(run) | KillHook(run):
                assert self.hook is not None, "a signal to no hook"
                assert run == self.hook.run, "a signal to another hook"
                self.hook.killed |= isinstance(effect, KillHook)
            case Failed(run):
                assert run == self.last_attempt
                self.failures += 1

    def depend(self, dependency: Dependency) -> None:
        self.dependency = dependency
        self.post(DependenciesChanged())

    def configure(self, spec: ServiceSpec) -> None:
        """The spec is exchanged under the service; a streak that was counted by the old one may exceed the new."""
        self.spec, self.counted_before = spec, max(self.life.attempt, self.life.hung)
        self.reconfigured = True
        self.post(Configured())

    def connects(self) -> None:
        """Somebody does, or is still there."""
        if self.life.phase is Phase.LISTENING:
            self.automatic.clear()
            self.post(Connected(self.life.listens, "http"))
            assert self.life.phase is not Phase.LISTENING

    def listen_fails(self) -> None:
        if self.life.phase is Phase.LISTENING:
            self.post(ListenFailed(self.life.listens, 98, "tcp *:8080", "Address already in use"))

    def spawn_succeeds(self) -> None:
        if self.live is not None and self.live.forked:
            self.live.forked = False
            self.post(Spawned(self.live.run, 10_000 + self.live.run, self.now))

    def spawn_fails(self) -> None:
        if self.live is not None and self.live.forked:
            run, self.live = self.live.run, None
            self.expected_failures += self.life.phase is Phase.STARTING or self.life.verdict is not None
            self.post(SpawnFailed(run, "exec", 2, "/no/such", "No such file or directory"))

    # What the run tells of itself, and its probes of it

    def tells_ready(self, ready: bool) -> None:
        """READY=1 or a probe's success; or that it is not any more."""
        if self.live is not None and self.live.main:
            self.live.ready = ready
            self.post(Ready(self.live.run, "READY=1", self.now) if ready else Unready(self.live.run, "RELOADING=1"))

    def tells_health(self, well: bool, ends: bool) -> None:
        if self.live is None or self.live.forked or not self.live.main:
            return
        counts = self.life.phase is Phase.RUNNING or (well and self.life.phase is Phase.STARTING)
        self.live.well = well if counts else self.live.well
        by_health = self.spec.ready_by == "probe" and self.spec.ready is None
        self.live.ready |= well and by_health and self.life.phase in ALIVE
        self.post(Healthy(self.live.run, "http 200") if well else Unhealthy(self.live.run, "http 500", ends))
        if not well and counts:
            stops = ends and Result.WATCHDOG in restart.RESTARTS[self.spec.policy]
            assert self.life.state is (State.STOPPING if stops else State.RUNNING)

    def is_silent(self) -> None:
        if self.live is not None and not self.live.forked and self.live.main:
            lives = self.life.phase in ALIVE
            self.post(WatchdogExpired(self.live.run, "WATCHDOG=1 did not come for 30 s"))
            assert not lives or (self.life.phase is Phase.STOPPING and self.life.verdict is Result.WATCHDOG)

    def asks_for_time(self, seconds: float) -> None:
        """A deadline may move away, and never comes nearer."""
        if self.live is not None and not self.live.forked:
            before = self.life
            if before.phase in (Phase.STARTING, Phase.RUNNING, Phase.CLOSING, Phase.STOPPING):
                self.live.asked = max(self.live.asked, self.now + seconds)
            self.post(Extended(self.live.run, self.now + seconds))
            if before.deadline is not None:
                assert self.life.deadline is not None
                assert self.life.deadline >= before.deadline

    def main_ends(self, code: int | None, signal: int | None = None, rest: int = 0) -> None:
        if self.live is None or self.live.forked or not self.live.main:
            return
        self.live.main, self.live.rest = False, rest
        event = Exited(self.live.run, code, signal, gone=not rest, at=self.now)
        if forking.goes_on(self.spec, self.life, event, self.situation()):
            self.live.ready, self.live.well = False, None
            self.post(event)
            return
        clean = restart.classify(self.spec, self.life, event, self.now).result is Result.SUCCESS
        asked = self.life.phase in (Phase.CLOSING, Phase.STOPPING) and self.life.verdict is None
        self.expected_failures += not clean and not asked
        if not rest:
            self.live = None
        self.post(event)

    def main_is_found(self) -> None:
        """The keeper knows the main process of a run that went to the background."""
        if self.live is not None and not self.live.main and self.life.forked and not self.live.killed:
            self.live.main, self.live.rest = True, max(self.live.rest - 1, 0)
            self.post(MainChanged(self.live.run, 20_000 + self.live.run))

    def main_is_not_found(self) -> None:
        if self.live is not None and not self.live.main:
            seeks = self.life.phase is Phase.STARTING
            self.post(MainUnknown(self.live.run, "there is no process 5"))
            assert not seeks or (self.life.phase is Phase.STOPPING) is (self.spec.pid_file is None)

    def rest_ends(self, survivors: tuple[str, ...] = ()) -> None:
        """What was left of the run ends, or survives SIGKILL."""
        if self.live is not None and not self.live.main and (self.live.killed or not survivors):
            run, self.live = self.live.run, None
            self.expected_failures += self.life.forked and (
                self.life.phase is Phase.STARTING or bool(self.life.verdict)
            )
            self.post(Gone(run, survivors))

    def main_survives(self) -> None:
        """SIGKILL was sent to a process in uninterruptible sleep: the keeper gives it up, and names it."""
        if self.live is not None and self.live.killed and self.live.main:
            run, self.live = self.live.run, None
            self.expected_failures += self.life.verdict is not None
            self.post(Gone(run, ("pid 5 (cp), state D",)))
            assert self.life.phase in (Phase.STOPPED, Phase.FAILED, Phase.CLOSING), "started beside what survived"

    def kill_works(self) -> None:
        if self.live is not None and self.live.killed:
            self.live.forked = False
            self.main_ends(None, 9)
            self.rest_ends()
        if self.hook is not None and self.hook.killed:
            self.hook_ends("killed by SIGKILL")

    def hook_ends(self, why: str = "", *, gone: bool = True) -> None:
        """The hook that is waited for ends, or what is left of it after its main process."""
        hook, told = self.hook, self.life.hook
        if hook is None or told is None:
            return
        failed = told.failure or (why if hook.main else "")
        over = gone or not hook.main
        if over:
            self.hook = None
            self.expected_failures += bool(failed) and not told.ignored and self.life.phase is Phase.PREPARING
        if hook.main:
            hook.main = False
            self.post(HookEnded(hook.run, why, gone))
        else:
            self.post(HookGone(hook.run))

    def hurry(self) -> None:
        self.post(Hurry())

    def stale(self, back: int) -> None:
        """News of a run before the last change nothing."""
        before, run = self.life, self.last_run - 1 - back
        facts: tuple[Event, ...] = (Spawned(run, 5), SpawnFailed(run, "exec", 2), Exited(run, 1), Gone(run, ("pid 5",)))
        news = (Ready(run), Unready(run, "x"), Healthy(run), Unhealthy(run, "x"), WatchdogExpired(run, "x"))
        facts = () if run == self.last_attempt else (*facts, *news, Extended(run, self.now + 1000.0))
        hooked = before.hook is not None and before.hook.run == run
        if run != before.listens:
            facts = (*facts, Connected(run), ListenFailed(run, 98))
        for event in facts if hooked else (*facts, HookEnded(run, "exit code 1"), HookGone(run)):
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
        self.check_sockets(life)
        self.check_goal(life, event)
        self.check_restarts(life)
        assert self.failures == self.expected_failures, "crash records are kept of failures only, and of each"

    def check_run(self, life: Life) -> None:
        assert (None if self.hook is None else self.hook.run) == (None if life.hook is None else life.hook.run)
        assert (life.hook is not None) is (life.phase in HOOKED)
        assert life.run == self.last_attempt
        if life.phase is Phase.CLOSING:
            assert (self.live is not None and not self.live.main) is life.left
            assert (self.live is not None) <= (bool(life.pid) or life.left)
            return
        assert (self.live is not None) is (life.phase in LIVING), "the machine and the keeper disagree on what lives"
        if self.live is not None:
            assert self.live.main is (life.phase is not Phase.ENDING and not life.forked)
            assert bool(life.pid) is (self.live.main and not self.live.forked)
            assert life.killed is self.live.killed
        self.check_readiness(life)

    def check_readiness(self, life: Life) -> None:
        """Ready is what said so, and stable is counted only while it is ready and well."""
        run = self.live
        if life.phase in ALIVE:
            assert run is not None
            if self.spec.ready_by == "fork":
                known = life.adopted is not None or run.ready or self.reconfigured
                assert (life.ready_at is not None) <= known
            elif self.spec.ready_by == "exec":
                assert (life.ready_at is not None) <= (not run.forked or run.ready)
            elif not self.reconfigured:
                assert (life.ready_at is not None) is (run.ready and self.spec.ready_by != "end")
            assert (life.well_at is not None) is (life.ready_at is not None and life.health != "unhealthy")
            assert life.well_at is None or life.ready_at is None or life.well_at >= life.ready_at
            if life.health and not self.reconfigured:
                assert run.well is (life.health == "healthy")
        if life.phase is Phase.RUNNING and not self.reconfigured:
            assert (life.adopted is not None) is (self.spec.type == "forking")
        if life.phase is Phase.STARTING and life.pid and (self.spec.type != "forking" or life.adopted is not None):
            assert life.ready_at is None, "ready, and not running"
        if life.phase not in LIVING | HOOKED:
            assert (life.ready_at, life.well_at, life.health, life.extended) == (None, None, "", None)
        assert (life.phase is Phase.RUNNING and standing.settled(life)) <= (life.ready_at is not None)
        assert not life.hung or life.phase in LIVING | HOOKED

    def check_sockets(self, life: Life) -> None:
        """Its sockets are open from its first start until it is at rest or told to stop, and closed then."""
        assert (life.phase is Phase.LISTENING) <= (bool(life.listens) and life.listening and not life.woken)
        assert life.listening <= (life.phase not in UNTIMED)
        if (life.phase in ALIVE and not self.reconfigured) or (life.phase is Phase.WAITING and not life.resting):
            assert life.listening is bool(self.spec.sockets)
        if life.phase in (Phase.STOPPING, Phase.ENDING) and life.goal is Goal.DOWN:
            assert not life.listening

    def check_deadline(self, life: Life) -> None:
        assert life.deadline is None or math.isfinite(life.deadline)
        if life.phase in UNTIMED:
            assert life.deadline is None
        if life.phase in TIMED:
            ended = life.killed if life.hook is None else life.hook.killed
            assert life.deadline is not None or ended, "nothing would ever happen again"
        if life.phase is Phase.STARTING and self.spec.time_to_start is not None:
            assert life.deadline is not None
        if life.phase is Phase.BACKOFF:
            assert life.deadline is not None
            longest = max(self.spec.backoff.maximum, restart.FLOOR)
            assert life.deadline - life.since <= longest + 1e-6

    def check_goal(self, life: Life, event: Event) -> None:
        assert (life.phase is Phase.STOPPED) <= (life.goal is Goal.DOWN)
        assert (life.goal is Goal.DOWN) <= (life.state in (State.STOPPED, State.STOPPING))
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
        match code % 34:
            case 0 | 1:
                world.order(Start())
            case 2:
                world.order(Stop())
            case 3:
                world.order(Restart())
            case 4:
                world.depend(("ready", "ready", "ready", "blocked", "patient", "hopeless")[detail % 6])
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
            case 15 | 16:
                world.kill_works()
            case 17 | 18:
                world.tells_ready(True)
            case 19:
                world.tells_ready(False)
            case 20:
                world.tells_health(True, True)
            case 21:
                world.tells_health(False, detail % 2 == 0)
            case 22:
                world.is_silent()
            case 23:
                world.asks_for_time(detail / 8)
            case 30 | 31:
                world.main_is_found()
            case 32:
                world.main_is_found() if detail % 2 else world.main_is_not_found()
            case 24 | 25 | 26:
                world.hook_ends("exit code 1" * (detail % 3 == 0), gone=detail // 4 % 3 > 0)
            case 27 | 28:
                world.connects()
            case 29:
                world.listen_fails() if detail % 4 == 0 else world.connects()
            case _:
                world.hurry() if detail % 8 == 0 else world.hook_ends()
