"""Tables damaged on purpose, cell by cell: the examples in `cases` must notice every damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from msgspec.structs import replace

from pserv.model.events import Event, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase
from pserv.rules.decision import Decision, stay
from pserv.rules.machine import TABLE, Cell, Move, Table

from .cases import CASES
from .lives import Case

Damage = Callable[[Decision], Decision]
MOVES: tuple[Move, ...] = tuple(dict.fromkeys(cell.do for cell in TABLE.values()))


def to_phase(phase: Phase, decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, phase=phase))


def without_effect(index: int, decision: Decision) -> Decision:
    effects = decision.effects
    return replace(decision, effects=effects[:index] + effects[index + 1 :])


def effects_turned(decision: Decision) -> Decision:
    return replace(decision, effects=decision.effects[::-1])


def effects_twice(decision: Decision) -> Decision:
    return replace(decision, effects=decision.effects * 2)


def goal_turned(decision: Decision) -> Decision:
    goal = Goal.DOWN if decision.life.goal is Goal.UP else Goal.UP
    return replace(decision, life=replace(decision.life, goal=goal))


def deadline_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, deadline=None))


def deadline_late(decision: Decision) -> Decision:
    deadline = decision.life.deadline
    return replace(decision, life=replace(decision.life, deadline=None if deadline is None else deadline + 1))


def reason_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, reason=""))


def attempt_counted_twice(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, attempt=decision.life.attempt + 1))


def restarts_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, restarts=0))


def again_turned(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, again=not decision.life.again))


def survivors_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, survivors=()))


def ready_turned(decision: Decision) -> Decision:
    ready_at = 1.0 if decision.life.ready_at is None else None
    return replace(decision, life=replace(decision.life, ready_at=ready_at))


def well_turned(decision: Decision) -> Decision:
    well_at = 1.0 if decision.life.well_at is None else None
    return replace(decision, life=replace(decision.life, well_at=well_at))


def health_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, health=""))


def hung_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, hung=0))


def listening_turned(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, listening=not decision.life.listening))


def extension_lost(decision: Decision) -> Decision:
    return replace(decision, life=replace(decision.life, extended=None))


DAMAGES: dict[str, Damage] = {
    **{f"always {phase}": partial(to_phase, phase) for phase in Phase},
    "first effect lost": partial(without_effect, 0),
    "second effect lost": partial(without_effect, 1),
    "effects turned": effects_turned,
    "effects twice": effects_twice,
    "goal turned": goal_turned,
    "deadline lost": deadline_lost,
    "deadline late": deadline_late,
    "reason lost": reason_lost,
    "attempt counted twice": attempt_counted_twice,
    "restarts lost": restarts_lost,
    "again turned": again_turned,
    "survivors lost": survivors_lost,
    "ready turned": ready_turned,
    "well turned": well_turned,
    "health lost": health_lost,
    "hung lost": hung_lost,
    "extension lost": extension_lost,
    "listening turned": listening_turned,
}


def damaged(move: Move, damage: Damage) -> Move:
    def do(spec: ServiceSpec, life: Life, event: Event, situation: Situation) -> Decision:
        return damage(move(spec, life, event, situation))

    return do


def mutants(cell: Cell, cases: list[Case]) -> Iterator[tuple[str, Cell | None]]:
    """A cell with one thing wrong; None: the cell is missing.

    A damage is left out where there is nothing to damage in any example (no second effect, no deadline).
    """
    yield "missing", None
    for move in MOVES:
        if move is not cell.do:
            yield f"does {move.__name__}", replace(cell, do=move)
    for name, damage in DAMAGES.items():
        if any(damage(right(case)) != right(case) for case in cases):
            yield name, replace(cell, do=damaged(cell.do, damage))
    for phase in cell.to:
        yield f"may not lead to {phase}", replace(cell, to=tuple(each for each in cell.to if each is not phase))


def right(case: Case) -> Decision:
    assert case.after is not None
    return Decision(case.after, case.effects)


def caught(cases: list[Case], table: Table) -> bool:
    for case in cases:
        try:
            case.check(table)
        except Exception:
            return True
    return False


@pytest.mark.parametrize("key", TABLE, ids=lambda key: f"{key[0]}-{key[1].__name__}")
def test_every_damage_to_a_cell_is_noticed(key: tuple[Phase, type[Event]]) -> None:
    cases = [case for case in CASES if case.cell == key and not case.late]
    missed = []
    for name, mutant in mutants(TABLE[key], cases):
        table = {**TABLE, key: mutant} if mutant else {each: cell for each, cell in TABLE.items() if each != key}
        if not caught(cases, table):
            missed.append(name)
    assert missed == []


def test_every_cell_too_much_is_noticed() -> None:
    for case in CASES:
        if case.after is None:
            assert caught([case], {**TABLE, case.cell: Cell(stay, (case.before.phase,))})
