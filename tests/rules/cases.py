"""Every cell of the machine's table by example: what was, what happened, what must follow, to the last field.

`test_machine` runs them on the table, `test_mutations` on tables that were damaged on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import Kill, Signal
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Event,
    Exited,
    Extended,
    Gone,
    Healthy,
    Hurry,
    MainChanged,
    Ready,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Unhealthy,
    Unready,
    WatchdogExpired,
)
from pserv.model.states import Goal, Life, Phase, Result
from pserv.model.stop import Stop as StopSpec
from pserv.rules.machine import TABLE

from .forking_cases import backgrounds
from .hook_cases import hook_cases
from .lazy_cases import lazy_cases
from .lives import (
    BAD,
    BRIEF,
    NOW,
    OK,
    ONESHOT,
    RUN,
    SPEC,
    STEPS,
    SURVIVORS,
    TERM_SENT,
    Case,
    backoff,
    begun,
    ending,
    exited,
    failed,
    listening,
    rested,
    running,
    starting,
    stopped,
    stopping,
    waiting,
)
from .ready_cases import lives_on
from .reference_cases import reference_cases
from .run_cases import ends, exits, spawns
from .scheduled_cases import SCHEDULED


def crowded(life: Life) -> Life:
    """The same with every field in use, likely or not: what leaves a life alone leaves all of it alone."""
    return replace(
        life,
        goal=Goal.UP,
        pid=70,
        started=90.0,
        ready_at=91.0,
        well_at=92.0,
        health="unhealthy",
        extended=94.0,
        attempt=5,
        hung=3,
        restarts=9,
        waited=2.0,
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
        listening(): (Start(), Hurry(), DependenciesChanged()),
        starting(): (Start(), Hurry(), DependenciesChanged(), Unhealthy(RUN, "http 500")),
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
            for each in (crowded(life), replace(crowded(life), ready_at=None)):
                yield Case(each, event, each)


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


def news(run: int) -> tuple[Event, ...]:
    """What a run may tell of itself, or its probes of it."""
    return (
        Ready(run, "http 200"),
        Unready(run, "http 503"),
        Healthy(run, "http 200"),
        Unhealthy(run, "http 500"),
        WatchdogExpired(run, "WATCHDOG=1 did not come for 30 s"),
        Extended(run, 500.0),
        MainChanged(run, 77),
    )


def late() -> Iterator[Case]:
    """News of another run, and deadlines that were moved."""
    for life in (stopped(), waiting(), starting(), running(), stopping(), ending(), backoff(), exited(), failed()):
        for run in (life.run - 1, life.run + 1):
            facts: tuple[Event, ...] = (Spawned(run, 1), SpawnFailed(run, "exec", 2), Exited(run, 1), *news(run))
            for event in (*facts, Gone(run, SURVIVORS)):
                yield Case(life, event, life, late=True)
        for event in news(life.run):
            if (life.phase, type(event)) not in TABLE:
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
        waiting(): (Spawned, SpawnFailed, Exited),
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
        opened = replace(life, listening=True)
        yield Case(opened, Stop(), down, Signal(RUN, 15, "main"))
        yield Case(opened, Restart(), replace(again, listening=True), Signal(RUN, 15, "main"))
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
        yield Case(replace(life, listening=True), Stop(), down)
    impatient = replace(SPEC, stop=StopSpec(timeout=0.5))
    life = ending(deadline=102.0)
    down = replace(life, goal=Goal.DOWN, order=order, reason=reason, deadline=100.5)
    yield Case(life, Stop(), down, spec=impatient)


def time_and_configuration() -> Iterator[Case]:
    for event in (DependenciesChanged(), Configured()):
        yield from begun(waiting(), event, "restart 2; last run: exit code 1")
        yield from begun(waiting(attempt=0), event, "started by operator")
    yield from begun(waiting(deadline=99.0), DeadlinePassed(), "restart 2; last run: exit code 1")
    yield from begun(backoff(), DeadlinePassed(), "restart 2; last run: exit code 1")
    slow = replace(SPEC, start_timeout=300.0)
    yield Case(starting(), Configured(), starting(deadline=396.0), spec=slow)
    yield Case(starting(started=97.0), Configured(), starting(started=97.0, deadline=127.0), spec=ONESHOT)
    yield Case(running(), Configured(), running(deadline=101.0), spec=BRIEF)
    lasted = running(started=80.0, ready_at=80.0, well_at=80.0)
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


def overdue() -> Iterator[Case]:
    timed_out = {"phase": Phase.STOPPING, "since": NOW, "deadline": 110.0, "kill_at": 110.0, "verdict": Result.TIMEOUT}
    sent = ": sent SIGTERM, then SIGKILL in 10 s"
    late_runs = [
        (starting(deadline=100.0), SPEC, "not ready after 1 min"),
        (starting(started=70.0, deadline=100.0), ONESHOT, "still running after its max_runtime of 30 s"),
        (running(started=95.0, deadline=100.0), BRIEF, "still running after its max_runtime of 5 s"),
    ]
    for life, spec, fault in late_runs:
        after = replace(life, fault=fault, reason=fault + sent, **timed_out)
        yield Case(life, DeadlinePassed(), after, Signal(RUN, 15, "main"), spec=spec)
    life = running(ready_at=90.0, well_at=90.0, started=90.0, deadline=100.0)
    stable = replace(life, attempt=0, hung=1, deadline=None, reason="stable again after restart 1")
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


CASES = (
    *idle(),
    *nothing_to_do(),
    *late(),
    *refused(),
    *orders(),
    *time_and_configuration(),
    *overdue(),
    *kills(),
    *spawns(),
    *exits(),
    *ends(),
    *lives_on(),
    *backgrounds(),
    *hook_cases(),
    *SCHEDULED,
    *lazy_cases(),
    *reference_cases(),
)
