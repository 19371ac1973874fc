"""Cells of the machine's table that lead to a run. When it is ready is in `readiness`, its end in `stopping`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.effects import Resolve, Spawn
from pserv.model.events import (
    Configured,
    Connected,
    DeadlinePassed,
    DependenciesChanged,
    Resolved,
    Restart,
    Situation,
    Spawned,
    Start,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.rules import hooking, lazy, readiness, references, restart, schedule
from pserv.rules.decision import Decision, at_rest


def start(spec: ServiceSpec, life: Life, event: Start, situation: Situation) -> Decision:
    """pre_start hooks, then spawn, unless something is to be waited for or will never come; at its time if scheduled"""
    return _wanted(spec, life, situation, f"started by {event.by}")


def start_over(spec: ServiceSpec, life: Life, event: Restart, situation: Situation) -> Decision:
    """pre_start hooks, then spawn, unless something but a connection is to be waited for; at its time if scheduled"""
    return _wanted(spec, life, situation, f"restarted by {event.by}", woken=spec.lazy)


def _wanted(spec: ServiceSpec, life: Life, situation: Situation, order: str, *, woken: bool = False) -> Decision:
    """What is scheduled waits for its time; a run of it that waits for something else goes on with that."""
    wanted = replace(fresh(spec, life, order), once=False, woken=woken)
    if spec.schedule is not None and (life.resting or life.phase in AT_REST):
        return Decision(schedule.rest(spec, wanted, situation, order))
    return begin(spec, wanted, situation, order)


def try_again(
    spec: ServiceSpec,
    life: Life,
    event: DependenciesChanged | Configured | DeadlinePassed | Resolved,
    situation: Situation,
) -> Decision:
    """pre_start hooks, then spawn, unless something is to be waited for, or will never come"""
    reason = life.order
    if life.attempt and life.ended is not None:
        reason = f"restart {life.attempt}; last run: {restart.describe(life.ended)}"
    return begin(spec, life, situation, reason)


def resolved(spec: ServiceSpec, life: Life, event: Resolved, situation: Situation) -> Decision:
    """pre_start hooks, then spawn, unless something else is to be waited for by now"""
    return try_again(spec, replace(life, anew=False), event, situation)


def connected(spec: ServiceSpec, life: Life, event: Connected, situation: Situation) -> Decision:
    """pre_start hooks, then spawn, unless a dependency is to be waited for; not at once if it never accepts any"""
    again = lazy.quick(life, situation.now)
    woken = replace(life, woken=True, quick=life.quick + 1 if again else 0, attempt=0)
    return lazy.held_back(spec, woken, situation, event.what) or begin(
        spec, woken, situation, f"connection on {event.what}"
    )


def spawned(spec: ServiceSpec, life: Life, event: Spawned, situation: Situation) -> Decision:
    """ready, unless a probe, its own word or (a oneshot) its end is to say so"""
    at = situation.now if event.at is None else event.at
    runs = replace(life, pid=life.pid or event.pid, started=at)
    if spec.ready_by == "exec" and life.ready_at is None:
        runs = replace(runs, ready_at=at)
    if runs.ready_at is None:
        runs = replace(runs, reason=life.reason + readiness.waits(spec, runs))
    return readiness.after_news(spec, runs, situation.now, at)


def begin(spec: ServiceSpec, life: Life, situation: Situation, reason: str) -> Decision:
    """The one way to a new run: an order, a dependency that came up, the end of a back-off, a restart at once."""
    if spec.lazy and not life.woken:
        return lazy.listen(spec, life, situation, reason)
    if situation.hopeless and spec.schedule is not None:
        return Decision(schedule.rest(spec, life, situation, situation.hopeless))
    if situation.hopeless:
        return Decision(at_rest(life, Phase.FAILED, situation.now, situation.hopeless))
    if situation.blocked:
        waits = at_rest(life, Phase.WAITING, situation.now, situation.blocked, situation.until)
        return Decision(replace(waits, listening=bool(spec.sockets)))
    if situation.references and (life.anew or not situation.read):
        waits = at_rest(life, Phase.WAITING, situation.now, f"{life.order}: reads {situation.references}")
        return Decision(replace(waits, listening=bool(spec.sockets), anew=True), (Resolve(),))
    if spec.hooks.pre_start:
        preparing = _begun(spec, life, Phase.PREPARING, situation, reason)
        return hooking.begin(spec, preparing, "pre_start", 0, situation, reason)
    return spawn(spec, life, situation, reason)


def spawn(spec: ServiceSpec, life: Life, situation: Situation, reason: str) -> Decision:
    """A new run, its hooks being done."""
    begun = _begun(spec, life, Phase.STARTING, situation, reason)
    return Decision(replace(begun, deadline=readiness.start_deadline(spec, begun)), (Spawn(begun.run),))


def _begun(spec: ServiceSpec, life: Life, phase: Phase, situation: Situation, reason: str) -> Life:
    """A life of which nothing is kept but what is counted and told of those before."""
    waited = life.waited if life.phase is Phase.PREPARING else 0.0
    return Life(
        phase=phase,
        goal=Goal.UP,
        reason=reason,
        since=situation.now,
        run=situation.next_run,
        attempt=life.attempt,
        restarts=life.restarts,
        waited=situation.now - life.since if life.phase is Phase.WAITING and not life.resting else waited,
        ended=life.ended,
        order=life.order,
        alarm=life.alarm,
        listening=bool(spec.sockets),
        woken=life.woken,
        quick=life.quick,
        due=life.due,
        once=life.once,
    )


def fresh(spec: ServiceSpec, life: Life, order: str) -> Life:
    """Wanted up by an operator: no streak of restarts is held against it, and what it refers to is read anew."""
    up = replace(life, goal=Goal.UP, order=order, attempt=0, hung=0, restarts=0, woken=False, quick=0)
    return replace(up, anew=True) if references.needed(spec) else up
