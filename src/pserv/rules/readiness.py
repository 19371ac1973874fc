"""Cells of the machine's table for a run that lives: ready or not, well or not, and the deadlines that follow.

What is asked of a run, and how often it may fail before it is news, is the prober's; only verdicts come here.
"""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model import units
from pserv.model.events import Configured, Extended, Healthy, Ready, Situation, Unready
from pserv.model.spec import ServiceSpec
from pserv.model.states import Life, Phase
from pserv.rules import restart, schedule
from pserv.rules.decision import Decision, soonest


def ready(spec: ServiceSpec, life: Life, event: Ready, situation: Situation) -> Decision:
    """ready (again); before its spawn is told it is only noted"""
    if life.ready_at is not None or spec.ready_by == "end":
        return Decision(life)
    at = situation.now if event.at is None else event.at
    reason = "ready again"
    if life.phase is Phase.STARTING:
        took = units.show_duration(max(at - (life.started or life.since), 0.0))
        reason = f"{led_here(spec, life)}; ready after {took}"
    told = f"{reason}: {event.why}" if event.why else reason
    return after_news(spec, replace(life, ready_at=at, reason=told), situation.now, at)


def unready(spec: ServiceSpec, life: Life, event: Unready, situation: Situation) -> Decision:
    """mark it and leave it alone; no streak of restarts ends while it is not ready"""
    if life.ready_at is None:
        return Decision(life)
    return after_news(spec, replace(life, ready_at=None, reason=f"not ready: {event.why}"), situation.now)


def healthy(spec: ServiceSpec, life: Life, event: Healthy, situation: Situation) -> Decision:
    """mark it; that makes it ready where nothing else is to"""
    reason = f"healthy again: {event.why}" if life.health == "unhealthy" else life.reason
    well = replace(life, health="healthy", reason=reason, alarm=False)
    if life.ready_at is None and _by_health(spec):
        return ready(spec, well, Ready(event.run, event.why), situation)
    return after_news(spec, well, situation.now)


def extended(spec: ServiceSpec, life: Life, event: Extended, situation: Situation) -> Decision:
    """a later deadline, never an earlier one"""
    return after_news(spec, replace(life, extended=max(event.until, life.extended or 0.0)), situation.now)


def configured(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """take the deadline anew from the spec; a probe that is declared no more holds nothing up"""
    known = schedule.caught_up(spec, life, situation)
    if spec.health is None and life.health:
        reason = "its health is not probed any more" if life.health == "unhealthy" else life.reason
        known = replace(known, health="", reason=reason)
    answered = spec.ready_by == "exec" or (spec.ready_by == "fork" and life.adopted is not None)
    answered = answered or (_by_health(spec) and life.health == "healthy")
    if life.started and life.ready_at is None and answered:
        known = replace(known, ready_at=situation.now, reason="ready: it is not waited for any more")
    return after_news(spec, known, situation.now)


def after_news(spec: ServiceSpec, life: Life, now: float, at: float | None = None) -> Decision:
    """What follows from what is known of a run: running once it is ready, since when it is well, its deadline.

    `at` is when it became so, where that is not now.
    """
    well_at = None
    if life.ready_at is not None and life.health != "unhealthy":
        well_at = next(time for time in (life.well_at, at, now) if time is not None)
    known = replace(life, well_at=well_at)
    known_main = not life.forked and (spec.type != "forking" or life.adopted is not None)
    if life.phase is Phase.STARTING and life.started and life.ready_at is not None and known_main:
        known = replace(known, phase=Phase.RUNNING, since=now, extended=None)
    deadline = start_deadline(spec, known) if known.phase is Phase.STARTING else run_deadline(spec, known)
    return Decision(replace(known, deadline=deadline))


def led_here(spec: ServiceSpec, life: Life) -> str:
    """The reason of a start without what it still waits for."""
    awaited = waits(spec, life)
    return life.reason.partition(awaited)[0] if awaited else life.reason


def waits(spec: ServiceSpec, life: Life) -> str:
    """What a run that is not ready yet waits for, as the end of a reason."""
    if spec.type == "forking" and life.adopted is None:
        if not life.forked:
            return "; waits until it has gone to the background"
        return f"; waits for {spec.pid_file}" if spec.pid_file else "; waits until its main process is known"
    if spec.ready_by == "notify":
        return "; waits for READY=1"
    if spec.ready is not None and spec.ready.fd is not None:
        return f"; waits for a line on descriptor {spec.ready.fd}"
    probe = spec.ready or spec.health
    return f"; waits until its {probe.kind} probe succeeds" if spec.ready_by == "probe" and probe else ""


def lacks(spec: ServiceSpec, answer: str) -> str:
    """Why a run is still not ready, as the end of a reason; `answer` is what its last probe said."""
    if spec.ready_by == "notify":
        return ": READY=1 did not come"
    if spec.ready is not None and spec.ready.fd is not None:
        return f": no line came on descriptor {spec.ready.fd}"
    probe = spec.ready or spec.health
    if spec.ready_by != "probe" or probe is None:
        return ""
    return f": {answer or f'its {probe.kind} probe has not answered'}"


def _by_health(spec: ServiceSpec) -> bool:
    return spec.ready_by == "probe" and spec.ready is None


def start_deadline(spec: ServiceSpec, life: Life) -> float | None:
    """When a start is overdue: start_timeout, and for what has been spawned (a oneshot) max_runtime."""
    limit = time_to_start(spec, life)
    return soonest(None if limit is None else life.since + limit, ends_at(spec, life), schedule.replaced_at(spec, life))


def time_to_start(spec: ServiceSpec, life: Life) -> float | None:
    """Seconds to become ready: start_timeout, or as long as the run asked for."""
    return None if spec.time_to_start is None else max(spec.time_to_start, (life.extended or 0.0) - life.since)


def run_deadline(spec: ServiceSpec, life: Life) -> float | None:
    """When a run that ends a streak is stable (no timer is needed without a streak), and max_runtime."""
    return soonest(stable_at(spec, life), ends_at(spec, life))


def stable_at(spec: ServiceSpec, life: Life) -> float | None:
    """When its streak of restarts will be over; None where there is none, and while it is not well."""
    if not life.attempt or life.well_at is None:
        return None
    return life.well_at + restart.stable_time(spec, life.attempt)


def ends_at(spec: ServiceSpec, life: Life) -> float | None:
    """When it is stopped because it lasts too long: max_runtime, or as long as the run asked for."""
    if spec.max_runtime is None or not life.started:
        return None
    return max(life.started + spec.max_runtime, life.extended or 0.0)


def outlasted(spec: ServiceSpec, life: Life, now: float) -> bool:
    end = ends_at(spec, life)
    return end is not None and now >= end
