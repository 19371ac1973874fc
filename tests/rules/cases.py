"""Every cell of the machine's table by example: what was, what happened, what must follow, to the last field.

`test_machine` runs them on the table, `test_mutations` on tables that were damaged on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.errors import Refused
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Effect,
    Event,
    Exited,
    Failed,
    Gone,
    Hurry,
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
from pserv.model.spec import ServiceSpec, StopStep
from pserv.model.spec import Stop as StopSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
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
        late: bool = False,
    ) -> None:
        self.before, self.event, self.after, self.effects = before, event, after, effects
        self.spec, self.late = spec, late
        self.situation = Situation(NOW, 0.5, NEXT, blocked, hopeless)

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
        attempt=1,
        restarts=3,
        deadline=106.0,
        ended=BAD,
        order="started by operator",
    )
    return replace(life, **fields)


def starting(**fields: Any) -> Life:
    """The spawn was ordered, nothing is known of it yet."""
    return live(Phase.STARTING, **{"pid": 0, "started": 0.0, "ready_at": None, "deadline": 156.0, **fields})


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
    before: Life, event: Event, reason: str, *effects: Effect, spec: ServiceSpec = SPEC, told: str = "", **fields: Any
) -> Iterator[Case]:
    """The three ways that a start may go: spawned, blocked, hopeless."""
    up = rested(before, Phase.STARTING, reason, goal=Goal.UP, **fields)
    limit = spec.time_to_start
    spawned = replace(up, run=NEXT, killed=False, survivors=(), deadline=None if limit is None else NOW + limit)
    yield Case(before, event, spawned, *effects, Spawn(NEXT), spec=spec)
    since = before.since if before.phase is Phase.WAITING else NOW
    waits = replace(up, phase=Phase.WAITING, reason="waiting for x", since=since)
    yield Case(before, event, waits, *effects, spec=spec, blocked="waiting for x")
    since = before.since if before.phase is Phase.FAILED else NOW
    fails = replace(up, phase=Phase.FAILED, reason="needs y, which failed: z", since=since)
    yield Case(before, event, fails, *effects, spec=spec, blocked="w", hopeless="needs y, which failed: z")


def crowded(life: Life) -> Life:
    """The same with every field in use, likely or not: what leaves a life alone leaves all of it alone."""
    return replace(
        life,
        goal=Goal.UP,
        pid=70,
        started=90.0,
        ready_at=91.0,
        attempt=5,
        restarts=9,
        deadline=99.25,
        step=1,
        again=True,
        verdict=Result.TIMEOUT,
        fault="not ready after 60 s",
        kill_at=111.0,
        ended=BAD,
        survivors=SURVIVORS,
    )


def idle() -> Iterator[Case]:
    """What is allowed and never changes anything."""
    nothing: dict[Life, tuple[Event, ...]] = {
        stopped(): (Stop(), Hurry(), DependenciesChanged(), Configured()),
        waiting(): (Hurry(),),
        starting(): (Start(), Hurry(), DependenciesChanged()),
        running(): (Start(), Hurry(), DependenciesChanged()),
        stopping(): (DependenciesChanged(),),
        ending(): (DependenciesChanged(), Configured()),
        backoff(): (Hurry(), DependenciesChanged()),
        exited(): (Hurry(), DependenciesChanged(), Configured()),
        failed(): (Hurry(), DependenciesChanged(), Configured()),
    }
    for life, events in nothing.items():
        for event in events:
            yield Case(life, event, life)
            yield Case(crowded(life), event, crowded(life))


def nothing_to_do() -> Iterator[Case]:
    """What changes nothing because it is so already."""
    so_already: dict[Life, tuple[Event, ...]] = {
        stopped(): (Exited(6, 0), Gone(6)),
        waiting(): (Gone(6),),
        stopping(): (Stop("reload"),),
        backoff(): (Gone(6),),
        exited(): (Gone(6),),
        failed(): (Gone(6), Exited(6, 0)),
        stopping(killed=True, deadline=None, step=1): (Hurry(), Configured()),
        ending(killed=True, deadline=None, goal=Goal.DOWN): (Hurry(), Stop()),
    }
    for life, events in so_already.items():
        for event in events:
            yield Case(life, event, life)


def late() -> Iterator[Case]:
    """News of another run, and deadlines that were moved."""
    for life in (stopped(), waiting(), starting(), running(), stopping(), ending(), backoff(), exited(), failed()):
        for run in (life.run - 1, life.run + 1):
            for event in (Spawned(run, 1), SpawnFailed(run, "exec", 2), Exited(run, 1), Gone(run, SURVIVORS)):
                yield Case(life, event, life, late=True)
        for deadline in (None, NOW + 0.001):
            yield Case(replace(life, deadline=deadline), DeadlinePassed(), replace(life, deadline=deadline), late=True)


def refused() -> Iterator[Case]:
    """Facts that cannot be: the table has no cell for them."""
    facts = {
        Spawned: Spawned(RUN, 1),
        SpawnFailed: SpawnFailed(RUN, "exec", 2),
        Exited: Exited(RUN, 0),
        Gone: Gone(RUN),
        DeadlinePassed: DeadlinePassed(),
    }
    impossible: dict[Life, tuple[type[Event], ...]] = {
        stopped(): (Spawned, SpawnFailed, DeadlinePassed),
        waiting(): (Spawned, SpawnFailed, Exited, DeadlinePassed),
        starting(): (Gone,),
        running(): (Spawned, SpawnFailed, Gone),
        ending(): (Spawned, SpawnFailed, Exited),
        backoff(): (Spawned, SpawnFailed, Exited),
        exited(): (Spawned, SpawnFailed, Exited, DeadlinePassed),
        failed(): (Spawned, SpawnFailed, DeadlinePassed),
    }
    for life, events in impossible.items():
        for event in events:
            yield Case(replace(life, run=RUN, deadline=99.0), facts[event], None)


def orders() -> Iterator[Case]:
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0}
    for life in (stopped(attempt=2), waiting(), backoff(), exited(), failed(), failed(survivors=SURVIVORS)):
        for event, verb in ((Start("reload"), "started by reload"), (Restart(), "restarted by operator")):
            yield from begun(life, event, verb, order=verb, **forgiven)
    for life in (waiting(), backoff(), exited(), failed(killed=True)):
        order = "stopped by the end of the daemon"
        yield Case(life, Stop("the end of the daemon"), rested(life, Phase.STOPPED, order, goal=Goal.DOWN, order=order))
    for life in (starting(), running()):
        sent = {"phase": Phase.STOPPING, "since": NOW, "deadline": 110.0, "kill_at": 110.0}
        down = replace(life, goal=Goal.DOWN, order="stopped by operator", reason=TERM_SENT, **sent)
        yield Case(life, Stop(), down, Signal(RUN, 15, "main"))
        again = replace(life, again=True, order="restarted by operator", **sent)
        again = replace(again, reason="restarted by operator: sent SIGTERM, then SIGKILL in 10 s")
        yield Case(life, Restart(), again, Signal(RUN, 15, "main"))
        steps = replace(down, reason="stopped by operator: sent SIGQUIT, then SIGTERM in 30 s", deadline=130.0)
        yield Case(life, Stop(), replace(steps, kill_at=135.0), Signal(RUN, 3, "main"), spec=STEPS)
    for life in (stopping(), ending(), stopping(goal=Goal.UP, verdict=Result.TIMEOUT, fault="not ready after 60 s")):
        for event, order in ((Start(), "started by operator"), (Restart("reload"), "restarted by reload")):
            reason = f"{order}: waits until its last run is gone"
            yield Case(life, event, replace(life, goal=Goal.UP, again=True, order=order, reason=reason))
    order, reason = "stopped by operator", "stopped by operator: waits until its run is gone"
    for life in (stopping(goal=Goal.UP, again=True), ending(deadline=99.0), ending(again=True), ending(deadline=None)):
        down = replace(life, goal=Goal.DOWN, again=False, order=order, reason=reason)
        yield Case(life, Stop(), down)
    impatient = replace(SPEC, stop=StopSpec(timeout=0.5))
    life = ending(deadline=102.0)
    down = replace(life, goal=Goal.DOWN, order=order, reason=reason, deadline=100.5)
    yield Case(life, Stop(), down, spec=impatient)


def time_and_configuration() -> Iterator[Case]:
    for event in (DependenciesChanged(), Configured()):
        yield from begun(waiting(), event, "restart 2; last run: exit code 1")
        yield from begun(waiting(attempt=0), event, "started by operator")
    yield from begun(backoff(), DeadlinePassed(), "restart 2; last run: exit code 1")
    slow = replace(SPEC, start_timeout=300.0)
    yield Case(starting(), Configured(), starting(deadline=396.0), spec=slow)
    yield Case(starting(started=97.0), Configured(), starting(started=97.0, deadline=127.0), spec=ONESHOT)
    yield Case(running(), Configured(), running(deadline=101.0), spec=BRIEF)
    lasted = running(started=80.0, ready_at=80.0)
    yield Case(lasted, Configured(), replace(lasted, deadline=90.0))
    yield Case(running(attempt=0), Configured(), running(attempt=0, deadline=None))
    yield Case(stopping(deadline=104.0, kill_at=104.0), Configured(), stopping(deadline=104.0, kill_at=104.0))
    quick = replace(SPEC, stop=StopSpec(timeout=1.0))
    yield Case(
        stopping(deadline=104.0, kill_at=104.0), Configured(), stopping(deadline=101.0, kill_at=101.0), spec=quick
    )
    yield Case(stopping(step=1, deadline=104.0), Configured(), stopping(step=1, deadline=100.0), spec=quick)
    never = replace(SPEC, restart="never")
    life = backoff(deadline=120.0, since=99.0)
    yield Case(life, Configured(), replace(life, deadline=100.1))
    yield Case(backoff(), Configured(), backoff())
    yield Case(life, Configured(), rested(life, Phase.FAILED, "exit code 1 after 5 s; policy never"), spec=never)
    life = replace(life, ended=OK)
    yield Case(life, Configured(), rested(life, Phase.EXITED, "exit code 0 after 5 s; policy never"), spec=never)
    timed_out = {"phase": Phase.STOPPING, "since": NOW, "deadline": 110.0, "kill_at": 110.0, "verdict": Result.TIMEOUT}
    sent = ": sent SIGTERM, then SIGKILL in 10 s"
    overdue = [
        (starting(deadline=100.0), SPEC, "not ready after 1 min"),
        (starting(started=70.0, deadline=100.0), ONESHOT, "still running after its max_runtime of 30 s"),
        (running(started=95.0, deadline=100.0), BRIEF, "still running after its max_runtime of 5 s"),
    ]
    for life, spec, fault in overdue:
        after = replace(life, fault=fault, reason=fault + sent, **timed_out)
        yield Case(life, DeadlinePassed(), after, Signal(RUN, 15, "main"), spec=spec)
    life = running(ready_at=90.0, started=90.0, deadline=100.0)
    stable = replace(life, attempt=0, deadline=None, reason="stable again after restart 1")
    yield Case(life, DeadlinePassed(), stable)
    patient = replace(SPEC, stable_after=20.0)
    yield Case(life, DeadlinePassed(), replace(life, deadline=110.0), spec=patient)
    lasting = replace(SPEC, max_runtime=40.0)
    yield Case(life, DeadlinePassed(), replace(stable, deadline=130.0), spec=lasting)
    yield Case(running(attempt=0, deadline=99.0), DeadlinePassed(), running(attempt=0, deadline=136.0), spec=lasting)


def kills() -> Iterator[Case]:
    gone = {"killed": True, "deadline": None, "kill_at": NOW}
    life = stopping(step=0, kill_at=104.0)
    second = replace(life, step=1, deadline=105.0, reason="stopped by operator: sent SIGTERM, then SIGKILL in 5 s")
    yield Case(life, DeadlinePassed(), second, Signal(RUN, 15, "main"), spec=STEPS)
    group = replace(STEPS, exec=None, shell="web")
    yield Case(life, DeadlinePassed(), second, Signal(RUN, 15, "group"), spec=group)
    for life, spec, steps in ((stopping(), SPEC, 1), (stopping(step=1), STEPS, 2)):
        reason = "stopped by operator: still running, sent SIGKILL after 11 s"
        yield Case(life, DeadlinePassed(), replace(life, step=steps, reason=reason, **gone), Kill(RUN), spec=spec)
    reason = "stopped by operator: told to hurry, sent SIGKILL after 11 s"
    yield Case(stopping(), Hurry(), stopping(step=1, reason=reason, **gone), Kill(RUN))
    reason = "not ready after 60 s: told to hurry, sent SIGKILL after 11 s"
    life = stopping(goal=Goal.UP, verdict=Result.TIMEOUT, fault="not ready after 60 s")
    yield Case(life, Hurry(), replace(life, step=1, reason=reason, **gone), Kill(RUN))
    reason = "exit code 1: told to hurry, sent SIGKILL after 2 s"
    yield Case(ending(), Hurry(), ending(step=1, reason=reason, **gone), Kill(RUN))
    reason = "exit code 1: what it left behind is still running, sent SIGKILL after 2 s"
    yield Case(ending(), DeadlinePassed(), ending(step=1, reason=reason, **gone), Kill(RUN))
    reason = "restarted by operator: what it left behind is still running, sent SIGKILL after 2 s"
    life = ending(again=True, order="restarted by operator")
    yield Case(life, DeadlinePassed(), replace(life, step=1, reason=reason, **gone), Kill(RUN))


def spawns() -> Iterator[Case]:
    life = starting()
    ready = {"phase": Phase.RUNNING, "since": NOW, "pid": 5}
    yield Case(life, Spawned(RUN, 5), replace(life, started=NOW, ready_at=NOW, deadline=110.0, **ready))
    yield Case(life, Spawned(RUN, 5, 97.0), replace(life, started=97.0, ready_at=97.0, deadline=107.0, **ready))
    first = starting(attempt=0)
    yield Case(first, Spawned(RUN, 5), replace(first, started=NOW, ready_at=NOW, deadline=None, **ready))
    yield Case(life, Spawned(RUN, 5), replace(life, pid=5, started=NOW, deadline=130.0), spec=ONESHOT)
    late = stopping(pid=0, started=0.0, ready_at=None)
    yield Case(late, Spawned(RUN, 5), replace(late, pid=5, started=NOW))
    yield Case(late, Spawned(RUN, 5, 99.0), replace(late, pid=5, started=99.0))

    event = SpawnFailed(RUN, "exec", 2, "/no/such", "No such file or directory")
    ended = Ended(Result.EXIT_CODE, RUN, NOW, step="exec", errno=2, text="No such file or directory", detail="/no/such")
    what, record = "cannot exec /no/such: No such file or directory", Failed(RUN)
    due = rested(life, Phase.BACKOFF, f"{what}; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(life, event, replace(due, attempt=2, restarts=4, deadline=101.0), record)
    spent = starting(attempt=3)
    reason = f"gave up after 3 retries: {what}; policy on-failure"
    yield Case(spent, event, rested(spent, Phase.FAILED, reason, ended=ended), record)
    yield Case(late, event, rested(late, Phase.STOPPED, f"stopped by operator; {what}", ended=ended))
    again = replace(late, goal=Goal.UP, again=True, order="restarted by operator")
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0, "ended": ended}
    yield from begun(again, event, "restarted by operator", **forgiven)
    fault = {
        "goal": Goal.UP,
        "order": "started by operator",
        "verdict": Result.TIMEOUT,
        "fault": "not ready after 60 s",
    }
    hung = replace(late, **fault)
    ended = replace(ended, result=Result.TIMEOUT, detail="not ready after 60 s")
    due = rested(hung, Phase.BACKOFF, "not ready after 60 s; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(hung, event, replace(due, attempt=2, restarts=4, deadline=101.0), record)


def exits() -> Iterator[Case]:
    record = Failed(RUN)
    for life in (running(), starting(pid=70, started=96.0)):
        ended = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
        told = "exit code 1 after 4 s; restart 2 in 1 s; policy on-failure"
        due = rested(life, Phase.BACKOFF, told, attempt=2, restarts=4, deadline=101.0, ended=ended)
        yield Case(life, Exited(RUN, 1), due, record)
        first = replace(life, attempt=0)
        told = "exit code 1 after 4 s; restart 1 at once; policy on-failure"
        yield from begun(first, Exited(RUN, 1), told, record, attempt=1, restarts=4, ended=ended)
        spent = replace(life, attempt=3)
        reason = "gave up after 3 retries: exit code 1; policy on-failure"
        yield Case(spent, Exited(RUN, 1), rested(spent, Phase.FAILED, reason, ended=ended), record)
        clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, code=0)
        reason = "exit code 0 after 4 s; policy on-failure"
        yield Case(life, Exited(RUN, 0), rested(life, Phase.EXITED, reason, ended=clean))
        left = replace(life, phase=Phase.ENDING, pid=0, since=NOW, deadline=102.0)
        crash = replace(left, ended=ended, reason="exit code 1: waits for what it left behind")
        yield Case(life, Exited(RUN, 1, gone=False), crash, record, Signal(RUN, 15, "rest"))
        quiet = replace(left, ended=clean, reason="exit code 0: waits for what it left behind")
        yield Case(life, Exited(RUN, 0, gone=False), quiet, Signal(RUN, 15, "rest"))
    yield from stopped_exits()


def stopped_exits() -> Iterator[Case]:
    record = Failed(RUN)
    life = stopping(deadline=104.0, kill_at=101.0)
    clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
    yield Case(life, Exited(RUN, signal=15), rested(life, Phase.STOPPED, "stopped by operator", ended=clean))
    ended = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
    yield Case(life, Exited(RUN, 1), rested(life, Phase.STOPPED, "stopped by operator; exit code 1", ended=ended))
    left = replace(life, phase=Phase.ENDING, pid=0, ended=clean, deadline=101.0)
    left = replace(left, reason="stopped by operator: waits for what it left behind")
    yield Case(life, Exited(RUN, signal=15, gone=False), left, Signal(RUN, 15, "rest"))
    patient = replace(life, kill_at=104.0)
    yield Case(
        patient,
        Exited(RUN, signal=15, gone=False),
        replace(left, deadline=102.0, kill_at=104.0),
        Signal(RUN, 15, "rest"),
    )
    killed = stopping(killed=True, deadline=None, step=1, kill_at=99.0)
    ended = Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    loudly = "stopped by operator; needed SIGKILL after 10 s"
    yield Case(killed, Exited(RUN, signal=9), rested(killed, Phase.STOPPED, loudly, ended=ended))
    left = replace(killed, phase=Phase.ENDING, pid=0, ended=ended)
    left = replace(left, reason="stopped by operator: waits for what it left behind")
    yield Case(killed, Exited(RUN, signal=9, gone=False), left)
    again = replace(life, goal=Goal.UP, again=True, order="restarted by operator")
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0}
    yield from begun(again, Exited(RUN, signal=15), "restarted by operator", ended=clean, **forgiven)
    fault = "not ready after 60 s"
    verdict = {"goal": Goal.UP, "order": "started by operator", "verdict": Result.TIMEOUT, "fault": fault}
    hung = replace(life, **verdict)
    ended = Ended(Result.TIMEOUT, RUN, NOW, 4.0, code=0, detail=fault)
    due = rested(hung, Phase.BACKOFF, f"{fault}; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(hung, Exited(RUN, 0), replace(due, attempt=2, restarts=4, deadline=101.0), record)
    left = replace(
        hung, phase=Phase.ENDING, pid=0, ended=ended, deadline=101.0, reason=f"{fault}: waits for what it left behind"
    )
    yield Case(hung, Exited(RUN, 0, gone=False), left, record, Signal(RUN, 15, "rest"))


def ends() -> Iterator[Case]:
    life = ending()
    told = "exit code 1 after 2 s; restart 2 in 1 s; policy on-failure"
    due = {"attempt": 2, "restarts": 4, "deadline": 101.0}
    yield Case(life, Gone(RUN), rested(life, Phase.BACKOFF, told, **due))
    killed = ending(killed=True, kill_at=100.0, deadline=None)
    loudly = "; needed SIGKILL after 2 s; survived SIGKILL: pid 9 (cp), state D"
    after = rested(killed, Phase.BACKOFF, told + loudly, survivors=SURVIVORS, **due)
    yield Case(killed, Gone(RUN, SURVIVORS), after)
    first = ending(attempt=0)
    told = "exit code 1 after 2 s; restart 1 at once; policy on-failure"
    yield from begun(first, Gone(RUN), told, attempt=1, restarts=4)
    clean = ending(ended=replace(OK, run=RUN))
    yield Case(clean, Gone(RUN), rested(clean, Phase.EXITED, "exit code 0 after 5 s; policy on-failure"))
    spent = ending(attempt=3)
    reason = "gave up after 3 retries: exit code 1; policy on-failure"
    yield Case(spent, Gone(RUN), rested(spent, Phase.FAILED, reason))
    down = ending(goal=Goal.DOWN, order="stopped by operator")
    yield Case(down, Gone(RUN), rested(down, Phase.STOPPED, "stopped by operator; exit code 1"))
    again = replace(killed, again=True, order="restarted by operator")
    told = "restarted by operator; needed SIGKILL after 2 s"
    yield from begun(again, Gone(RUN), told, attempt=0, restarts=0)
    yield from unseen()
    for life in (stopped(), waiting(), backoff(), exited(), failed()):
        life = replace(life, survivors=SURVIVORS)
        yield Case(life, Gone(6), replace(life, survivors=(), reason=f"{life.reason}; ended since"))
        yield Case(life, Gone(6, ("pid 8",)), replace(life, survivors=("pid 8",)))
    for life in (stopped(survivors=SURVIVORS), failed(survivors=SURVIVORS)):
        yield Case(life, Exited(6, signal=9), replace(life, survivors=(), reason=f"{life.reason}; ended since"))
        yield Case(life, Exited(6, signal=9, gone=False), life)


def unseen() -> Iterator[Case]:
    """SIGKILL was sent and all that can be gone is gone, but the main process never ended."""
    life = stopping(killed=True, deadline=None, kill_at=99.0)
    ended = Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    loudly = "; needed SIGKILL after 10 s"
    yield Case(life, Gone(RUN), rested(life, Phase.STOPPED, f"stopped by operator{loudly}", ended=ended))
    named = f"{loudly}; survived SIGKILL: pid 9 (cp), state D"
    after = rested(life, Phase.STOPPED, f"stopped by operator{named}", ended=ended, survivors=SURVIVORS)
    yield Case(life, Gone(RUN, SURVIVORS), after)
    again = replace(life, goal=Goal.UP, again=True, order="restarted by operator")
    reason = f"restarted by operator{named}; not started again while that lives"
    yield Case(again, Gone(RUN, SURVIVORS), rested(again, Phase.FAILED, reason, ended=ended, survivors=SURVIVORS))
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0, "ended": ended}
    yield from begun(again, Gone(RUN), f"restarted by operator{loudly}", **forgiven)
    fault = "not ready after 60 s"
    hung = replace(life, goal=Goal.UP, order="started by operator", verdict=Result.TIMEOUT, fault=fault)
    ended = replace(ended, result=Result.TIMEOUT, detail=fault)
    told = f"{fault}; restart 2 in 1 s; policy on-failure{loudly}"
    after = rested(hung, Phase.BACKOFF, told, attempt=2, restarts=4, deadline=101.0, ended=ended)
    yield Case(hung, Gone(RUN), after, Failed(RUN))


CASES = (
    *idle(),
    *nothing_to_do(),
    *late(),
    *refused(),
    *orders(),
    *time_and_configuration(),
    *kills(),
    *spawns(),
    *exits(),
    *ends(),
)
