"""What a decision is, and the parts that all of them are made of. Which is taken is in `machine.TABLE`."""

from __future__ import annotations

import msgspec

from pserv.model import units
from pserv.model.effects import Effect
from pserv.model.events import Event, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.rules import restart


class Decision(msgspec.Struct, frozen=True):
    """The life from now on, and what is to be done, in this order."""

    life: Life
    effects: tuple[Effect, ...] = ()


def stay(spec: ServiceSpec, life: Life, event: Event, situation: Situation) -> Decision:
    """nothing"""
    return Decision(life)


def at_rest(life: Life, phase: Phase, now: float, reason: str, deadline: float | None = None) -> Life:
    """A life without a run: nothing of the last run or stop is kept but what is told of it."""
    return Life(
        phase=phase,
        goal=life.goal,
        reason=reason,
        since=life.since if phase.state is life.state and not life.resting else now,
        run=life.run,
        attempt=life.attempt,
        restarts=life.restarts,
        waited=life.waited,
        deadline=deadline,
        killed=life.killed,
        ended=life.ended,
        survivors=life.survivors,
        order=life.order,
        alarm=life.alarm,
        due=None if phase in AT_REST else life.due,
        once=False if phase in AT_REST else life.once,
        listening=life.listening and phase not in AT_REST,
        woken=life.woken,
        quick=life.quick,
        anew=life.anew and phase not in AT_REST,
    )


def why(life: Life) -> str:
    """Why the run is being ended."""
    if life.fault or life.ended is None or life.phase is Phase.STOPPING or life.again or life.goal is Goal.DOWN:
        return life.fault or life.order
    return restart.describe(life.ended)


def told(life: Life) -> str:
    """What is to be told loudly of how the run ended."""
    told = ""
    if life.killed and life.kill_at is not None:
        told = f"; needed SIGKILL after {units.show_duration(life.kill_at - life.since)}"
    return told + (f"; survived SIGKILL: {', '.join(life.survivors)}" if life.survivors else "")


def signal_name(number: int) -> str:
    """As kill(1) and people know it: "SIGTERM"."""
    return f"SIG{units.show_signal(number)}"


def soonest(*times: float | None) -> float | None:
    """The earliest of the times that there are."""
    return min((time for time in times if time is not None), default=None)
