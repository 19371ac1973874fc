"""Cells of the machine's table that lead to a run, and to a run that is ready. How a run is ended is in `stopping`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Restart,
    Situation,
    Spawn,
    Spawned,
    Start,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase
from pserv.rules import restart
from pserv.rules.decision import Decision, at_rest, soonest


def start(spec: ServiceSpec, life: Life, event: Start, situation: Situation) -> Decision:
    """spawn, unless a dependency is to be waited for or will never come"""
    order = f"started by {event.by}"
    return begin(spec, fresh(life, order), situation, order)


def start_over(spec: ServiceSpec, life: Life, event: Restart, situation: Situation) -> Decision:
    """spawn, unless a dependency is to be waited for or will never come"""
    order = f"restarted by {event.by}"
    return begin(spec, fresh(life, order), situation, order)


def try_again(
    spec: ServiceSpec, life: Life, event: DependenciesChanged | Configured | DeadlinePassed, situation: Situation
) -> Decision:
    """spawn, unless a dependency is to be waited for or will never come"""
    reason = life.order
    if life.attempt and life.ended is not None:
        reason = f"restart {life.attempt}; last run: {restart.describe(life.ended)}"
    return begin(spec, life, situation, reason)


def spawned(spec: ServiceSpec, life: Life, event: Spawned, situation: Situation) -> Decision:
    """ready, but for a oneshot, which is ready when it has ended"""
    at = situation.now if event.at is None else event.at
    runs = replace(life, pid=event.pid, started=at)
    if spec.type == "oneshot":
        return Decision(replace(runs, deadline=start_deadline(spec, runs)))
    ready = replace(runs, phase=Phase.RUNNING, since=situation.now, ready_at=at)
    return Decision(replace(ready, deadline=run_deadline(spec, ready)))


def set_deadline(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """take the deadline anew from the spec"""
    deadline = start_deadline(spec, life) if life.phase is Phase.STARTING else run_deadline(spec, life)
    return Decision(replace(life, deadline=deadline))


def begin(spec: ServiceSpec, life: Life, situation: Situation, reason: str) -> Decision:
    """The one way to a new run: an order, a dependency that came up, the end of a back-off, a restart at once."""
    if situation.hopeless:
        return Decision(at_rest(life, Phase.FAILED, situation.now, situation.hopeless))
    if situation.blocked:
        return Decision(at_rest(life, Phase.WAITING, situation.now, situation.blocked))
    begun = Life(
        phase=Phase.STARTING,
        goal=Goal.UP,
        reason=reason,
        since=situation.now,
        run=situation.next_run,
        attempt=life.attempt,
        restarts=life.restarts,
        ended=life.ended,
        order=life.order,
    )
    return Decision(replace(begun, deadline=start_deadline(spec, begun)), (Spawn(begun.run),))


def fresh(life: Life, order: str) -> Life:
    """Wanted up by an operator: no streak of restarts is held against it."""
    return replace(life, goal=Goal.UP, order=order, attempt=0, restarts=0)


def start_deadline(spec: ServiceSpec, life: Life) -> float | None:
    """When a start is overdue: start_timeout, and for what has been spawned (a oneshot) max_runtime."""
    limit = None if spec.time_to_start is None else life.since + spec.time_to_start
    return soonest(limit, _longest_run(spec, life))


def run_deadline(spec: ServiceSpec, life: Life) -> float | None:
    """When a run that ends a streak is stable (no timer is needed without a streak), and max_runtime."""
    stable = None
    if life.attempt and life.ready_at is not None:
        stable = life.ready_at + restart.stable_time(spec.backoff, life.attempt, spec.stable_after)
    return soonest(stable, _longest_run(spec, life))


def _longest_run(spec: ServiceSpec, life: Life) -> float | None:
    return life.started + spec.max_runtime if spec.max_runtime is not None and life.started else None


def outlasted(spec: ServiceSpec, life: Life, now: float) -> bool:
    end = _longest_run(spec, life)
    return end is not None and now >= end
