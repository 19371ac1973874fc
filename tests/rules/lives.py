"""One example of the machine, and the lives that examples begin with: one for each phase."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import Effect, Listen, RunHook, Spawn
from pserv.model.errors import Refused
from pserv.model.events import Event, Restart, Situation
from pserv.model.events import Run as RunNow
from pserv.model.hooks import Hook, Hooks
from pserv.model.listening import Socket
from pserv.model.probe import Health, Ready, Tcp
from pserv.model.spec import ServiceSpec
from pserv.model.states import Due, Ended, Goal, HookRun, Life, Phase, Result
from pserv.model.stop import Stop as StopSpec
from pserv.model.stop import StopStep
from pserv.rules import machine

NOW = 100.0
RUN = 7
NEXT = 8
SURVIVORS = ("pid 9 (cp), state D",)
SPEC = ServiceSpec(exec="web", max_retries=3)
"""TERM, 10 s; on-failure; stable after 10 s; start_timeout 60 s."""
STEPS = replace(SPEC, stop=StopSpec(steps=(StopStep(3, 30.0), StopStep(15, 5.0))))
ONESHOT = ServiceSpec(exec="migrate", type="oneshot", max_runtime=30.0)
BRIEF = replace(SPEC, max_runtime=5.0)
NOTIFY = replace(SPEC, type="notify")
FORKING = replace(SPEC, type="forking")
NAMED = replace(FORKING, pid_file="/run/old.pid")
PORT = Tcp(1)
READY = replace(SPEC, ready=Ready(tcp=PORT))
S6 = replace(SPEC, ready=Ready(fd=3))
PROBED = replace(NAMED, ready=Ready(tcp=PORT))
HEALTH = replace(SPEC, health=Health(tcp=PORT, interval=2.0, timeout=1.0, failures=2))
"""A round of failing checks takes 6 s."""

SOCKETS = {"http": Socket(listen="8080")}
LAZY = replace(SPEC, sockets=SOCKETS, lazy=True)
WAITS = "waits for a connection on tcp *:8080"
ORDER = 60
"""The order to listen that such a life waits for."""

FIRST, SECOND = Hook(command=("first",)), Hook(command=("second",), timeout=5.0, on_failure="ignore")

OK = Ended(Result.SUCCESS, 6, 40.0, 5.0, code=0)
BAD = Ended(Result.EXIT_CODE, 6, 40.0, 5.0, code=1)


class Case:
    """`after` and `effects` are what must follow; `after` None where the event must be refused.

    `late`: the news must be dropped before the table is asked.
    """

    def __init__(
        self,
        before: Life,
        event: Event,
        after: Life | None,
        *effects: Effect,
        spec: ServiceSpec = SPEC,
        blocked: str = "",
        hopeless: str = "",
        until: float | None = None,
        late: bool = False,
        wall: float = 0.0,
        due: Due | None = None,
        answer: str = "",
        references: str = "",
        read: bool = False,
    ) -> None:
        self.before, self.event, self.after, self.effects = before, event, after, effects
        self.spec, self.late = spec, late
        self.situation = Situation(NOW, 0.5, NEXT, blocked, hopeless, until, wall, due, answer, references, read)

    @property
    def cell(self) -> tuple[Phase, type[Event]]:
        return self.before.phase, type(self.event)

    def __repr__(self) -> str:
        return f"{self.before.phase}-{self.event}-{self.after and self.after.phase}-{self.situation.blocked}"

    def check(self, table: machine.Table) -> None:
        """Raises AssertionError, or whatever the damaged cell raises."""
        try:
            decision = machine.decide(self.spec, self.before, self.event, self.situation, table)
        except Refused:
            assert self.after is None
            return
        assert decision.life == self.after
        assert decision.effects == self.effects
        assert self.late or decision.life.phase in table[self.cell].to


def stopped(**fields: Any) -> Life:
    return replace(
        Life(Phase.STOPPED, Goal.DOWN, "stopped by operator", 50.0, 6, ended=OK, order="stopped by operator"), **fields
    )


def up(phase: Phase, reason: str, **fields: Any) -> Life:
    """Wanted up, at rest or waiting, with a streak behind it that an order forgives."""
    life = Life(phase, Goal.UP, reason, 50.0, 6, attempt=2, restarts=4, ended=BAD, order="started by operator")
    return replace(life, **fields)


def waiting(**fields: Any) -> Life:
    return up(Phase.WAITING, "waiting for db", **fields)


def listening(**fields: Any) -> Life:
    life = up(Phase.LISTENING, f"started by operator; {WAITS}", attempt=0, restarts=0, ended=OK)
    return replace(life, **{"listens": ORDER, "listening": True, **fields})


def backoff(**fields: Any) -> Life:
    return up(
        Phase.BACKOFF,
        "exit code 1 after 5 s; restart 2 in 1 s; policy on-failure",
        **{"since": 98.5, "deadline": 99.5, **fields},
    )


def exited(**fields: Any) -> Life:
    return up(Phase.EXITED, "exit code 0 after 5 s; policy on-failure", **{"ended": OK, **fields})


def failed(**fields: Any) -> Life:
    return up(Phase.FAILED, "gave up after 3 retries: exit code 1; policy on-failure", **fields)


def live(phase: Phase, **fields: Any) -> Life:
    """A run that was spawned 4 s ago."""
    life = Life(
        phase,
        Goal.UP,
        "started by operator",
        96.0,
        RUN,
        pid=70,
        started=96.0,
        ready_at=96.0,
        well_at=96.0,
        attempt=1,
        restarts=3,
        deadline=106.0,
        ended=BAD,
        order="started by operator",
    )
    return replace(life, **fields)


def starting(**fields: Any) -> Life:
    """The spawn was ordered, nothing is known of it yet."""
    unborn = {"pid": 0, "started": 0.0, "ready_at": None, "well_at": None, "deadline": 156.0}
    return live(Phase.STARTING, **{**unborn, **fields})


def waited_for(**fields: Any) -> Life:
    """A run that was spawned 3 s ago and is not ready yet."""
    told = "started by operator; waits for READY=1"
    return starting(**{"pid": 70, "started": 97.0, "reason": told, **fields})


def running(**fields: Any) -> Life:
    return live(Phase.RUNNING, **fields)


TERM_SENT = "stopped by operator: sent SIGTERM, then SIGKILL in 10 s"


def stopping(**fields: Any) -> Life:
    life = live(
        Phase.STOPPING, goal=Goal.DOWN, order="stopped by operator", reason=TERM_SENT, deadline=99.0, kill_at=99.0
    )
    return replace(life, **{"since": 89.0, **fields})


def ending(**fields: Any) -> Life:
    """The main process crashed, the rest of its run has had TERM."""
    crash = Ended(Result.EXIT_CODE, RUN, 98.0, 2.0, code=1)
    reason = "exit code 1: waits for what it left behind"
    return live(Phase.ENDING, **{"pid": 0, "ended": crash, "reason": reason, "since": 98.0, "deadline": 99.0, **fields})


def rested(before: Life, phase: Phase, reason: str, **fields: Any) -> Life:
    """What a life is without a run: nothing of the run or of its stop is kept but what is told of them."""
    life = Life(
        phase,
        before.goal,
        reason,
        NOW,
        before.run,
        attempt=before.attempt,
        restarts=before.restarts,
        killed=before.killed,
        ended=before.ended,
        survivors=before.survivors,
        order=before.order,
    )
    return replace(life, **fields)


def begun(
    before: Life, event: Event, reason: str, *effects: Effect, spec: ServiceSpec = SPEC, **fields: Any
) -> Iterator[Case]:
    """The ways that a start may go: spawned, blocked, hopeless, prepared by a hook; lazy, unless that is over."""
    up = rested(before, Phase.STARTING, reason, goal=Goal.UP, **fields)
    if not up.woken and not isinstance(event, (Restart, RunNow)):
        lazy = replace(spec, lazy=True, sockets=SOCKETS)
        since = before.since if before.phase in (Phase.WAITING, Phase.LISTENING) else NOW
        waits = replace(up, phase=Phase.LISTENING, since=since, listening=True, listens=NEXT)
        waits = replace(waits, reason=f"{reason}; {WAITS}")
        yield Case(before, event, waits, *effects, Listen(NEXT), spec=lazy)
        if spec.lazy:
            return
    up = replace(up, listening=bool(spec.sockets))
    limit = spec.time_to_start
    waited = NOW - before.since if before.phase is Phase.WAITING else 0.0
    spawned = replace(up, run=NEXT, killed=False, survivors=(), waited=waited)
    spawned = replace(spawned, deadline=None if limit is None else NOW + limit)
    yield Case(before, event, spawned, *effects, Spawn(NEXT), spec=spec)
    since = before.since if before.phase in (Phase.WAITING, Phase.LISTENING) else NOW
    waits = replace(up, phase=Phase.WAITING, reason="waiting for x", since=since)
    yield Case(before, event, waits, *effects, spec=spec, blocked="waiting for x")
    queued = replace(waits, listening=True)  # clients may queue before its dependencies are there
    yield Case(before, event, queued, *effects, spec=replace(spec, sockets=SOCKETS), blocked="waiting for x")
    patient = replace(waits, deadline=104.0)
    yield Case(before, event, patient, *effects, spec=spec, blocked="waiting for x", until=104.0)
    since = before.since if before.phase is Phase.FAILED else NOW
    fails = replace(up, listening=False, phase=Phase.FAILED, reason="needs y, which failed: z", since=since)
    yield Case(before, event, fails, *effects, spec=spec, blocked="w", hopeless="needs y, which failed: z")
    prepared = replace(spec, hooks=Hooks(pre_start=(FIRST, SECOND), pre_stop=spec.hooks.pre_stop))
    hook = HookRun("pre_start", 0, NEXT, "pre_start 'first'", NOW, 60.0, False, reason)
    told = f"{reason}: runs pre_start 'first'"
    prepares = replace(spawned, phase=Phase.PREPARING, deadline=160.0, hook=hook, reason=told)
    yield Case(before, event, prepares, *effects, RunHook(NEXT), spec=prepared)
