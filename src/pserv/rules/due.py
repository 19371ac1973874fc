"""Cells of the machine's table that begin scheduled runs, or leave them out. When they are due is in `schedule`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.events import ClockChanged, Configured, DeadlinePassed, DependenciesChanged, Run, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.rules import hooking, readiness, schedule, starting
from pserv.rules.decision import Decision, at_rest, soonest


def run(spec: ServiceSpec, life: Life, event: Run, situation: Situation) -> Decision:
    """pre_start hooks, then spawn, unless something is to be waited for or will never come; its schedule stays"""
    order = f"run by {event.by}"
    once = spec.schedule is not None and (life.once or life.phase in AT_REST)
    return starting.begin(
        spec, replace(starting.fresh(spec, life, order), once=once, woken=spec.lazy), situation, order
    )


def look(
    spec: ServiceSpec,
    life: Life,
    event: DependenciesChanged | Configured | DeadlinePassed | ClockChanged,
    situation: Situation,
) -> Decision:
    """pre_start hooks, then spawn, unless something is to be waited for or will never come, or a schedule says later"""
    if life.resting:
        return _rested(spec, life, situation)
    if schedule.replaces(spec, life, situation):
        return begin(spec, life, situation, "")
    if isinstance(event, ClockChanged):
        return Decision(life)
    return starting.try_again(spec, schedule.caught_up(spec, life, situation), event, situation)


def _rested(spec: ServiceSpec, life: Life, situation: Situation) -> Decision:
    """Whether what waited for its time runs now."""
    due = life.due
    if spec.schedule is None:
        return _unscheduled(spec, life, situation)
    if due is None or due.of != schedule.known_as(spec):
        return Decision(schedule.rest(spec, life, situation, life.order))
    if not schedule.passed(due, situation):
        if schedule.still(spec, life, situation) == due:
            return Decision(life)
        why = "the clock was changed" if abs(schedule.jumped(due, situation)) >= schedule.GRACE else life.order
        return Decision(schedule.rest(spec, life, situation, why))
    if schedule.jumped(due, situation) >= schedule.GRACE:
        return _missed(spec, life, situation)
    return begin(spec, life, situation, "")


def _unscheduled(spec: ServiceSpec, life: Life, situation: Situation) -> Decision:
    """Its schedule was taken away: what does not end by itself starts, what does is not run unasked."""
    if spec.type != "oneshot":
        return starting.begin(spec, replace(life, due=None, resting=False), situation, life.order)
    down = replace(life, goal=Goal.DOWN, order="not scheduled any more")
    return Decision(at_rest(down, Phase.STOPPED, situation.now, down.order))


def retime(spec: ServiceSpec, life: Life, event: ClockChanged | Configured, situation: Situation) -> Decision:
    """when the next run is due is computed anew"""
    known = schedule.caught_up(spec, life, situation)
    if known.phase is Phase.STARTING:
        return readiness.after_news(spec, known, situation.now)
    if known.phase is Phase.PREPARING:
        return Decision(hooking.timed(spec, known))
    return Decision(replace(known, deadline=soonest(life.deadline, schedule.replaced_at(spec, known))))


def instead(spec: ServiceSpec, life: Life, situation: Situation, loudly: str) -> Decision | None:
    """What a schedule puts in the place of what the policy would say of an end; None where the policy is asked."""
    if spec.schedule is None or life.goal is Goal.DOWN:
        return None
    if schedule.replaces(spec, life, situation):
        return begin(spec, life, situation, loudly)
    if life.again or life.ended is None:
        return Decision(schedule.rest(spec, replace(life, once=False), situation, life.order + loudly))
    return None


def adopt(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """nothing, unless it has a schedule now: wait for the next run"""
    if spec.schedule is None:
        return Decision(life)
    return Decision(schedule.rest(spec, life, situation, "scheduled by reload"))


def relisten(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """listen where it is declared now; start, or wait for its time, if it is not lazy any more"""
    if spec.schedule is not None:
        return adopt(spec, life, event, situation)
    return starting.try_again(spec, life, event, situation)


def after_run(spec: ServiceSpec, life: Life, situation: Situation, reason: str) -> Decision:
    """What follows a run: the next one at once where it has been due and `overlap` says so, else waiting for it."""
    due = life.due
    if life.once or due is None or due.of != schedule.known_as(spec) or not schedule.passed(due, situation):
        return Decision(schedule.rest(spec, life, situation, reason))
    if schedule.jumped(due, situation) >= schedule.GRACE:
        return _missed(spec, life, situation)
    if spec.overlap == "skip":
        told = f"{reason}; skipped the run due at {due.text}: the one before was still running"
        return Decision(schedule.rest(spec, life, situation, told))
    return begin(spec, life, situation, ", when the one before had ended")


def begin(spec: ServiceSpec, life: Life, situation: Situation, how: str) -> Decision:
    """The run that is due; the time after it is noted in the same decision, so that none is made twice."""
    assert life.due is not None
    order = f"due at {life.due.text}{how}"
    fresh = replace(starting.fresh(spec, life, order), due=situation.due, once=False, anew=life.anew)
    return starting.begin(spec, fresh, situation, order)


def _missed(spec: ServiceSpec, life: Life, situation: Situation) -> Decision:
    """The clock was set forward over the time, or the machine slept: one run at most, whatever was missed."""
    assert life.due is not None
    if spec.missed == "run":
        return begin(spec, life, situation, ", missed while the machine slept or its clock was set")
    return Decision(schedule.rest(spec, life, situation, schedule.missed(life.due)))
