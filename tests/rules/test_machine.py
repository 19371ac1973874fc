"""The machine cell by cell, and the guard against late news."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from pserv.model.errors import Refused
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
    Situation,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Unhealthy,
    Unready,
    WatchdogExpired,
)
from pserv.model.states import Life, Phase, State
from pserv.rules import machine
from pserv.rules.machine import TABLE

from .cases import CASES
from .lives import RUN, SPEC, Case, running

NEWS: tuple[type[Event], ...] = (Ready, Unready, Healthy, Unhealthy, WatchdogExpired, Extended, MainChanged)
"""What comes of a run that lives; of another it is late, whatever the phase."""
ORDERS: tuple[type[Event], ...] = (Start, Stop, Restart, Hurry, DependenciesChanged, Configured)
FACTS: tuple[type[Event], ...] = (DeadlinePassed, Spawned, SpawnFailed, Exited, Gone)


@pytest.mark.parametrize("phase", Phase)
def test_cells(phase: Phase) -> None:
    for case in CASES:
        if case.before.phase is phase:
            with told_with(case):
                case.check(TABLE)


@contextmanager
def told_with(case: Case) -> Iterator[None]:
    """Which example it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(repr(case))
        raise


def test_a_life_resumes_from_its_note() -> None:
    """What the keeper stores is all there is to know."""
    for life in {life for case in CASES for life in (case.before, case.after)}:
        if life is not None:
            assert msgspec.json.decode(msgspec.json.encode(life), type=Life) == life


def test_every_cell_has_an_example_for_each_place_it_leads_to() -> None:
    shown = {(*case.cell, case.after.phase) for case in CASES if case.after is not None and not case.late}
    assert shown == {(*cell, phase) for cell, row in TABLE.items() for phase in row.to}


def test_every_missing_cell_is_known_to_be_missing() -> None:
    refused = {case.cell for case in CASES if case.after is None}
    assert refused == {(phase, event) for phase in Phase for event in ORDERS + FACTS} - TABLE.keys()


@pytest.mark.parametrize("phase", Phase)
def test_orders_are_legal_everywhere(phase: Phase) -> None:
    assert all((phase, event) in TABLE for event in ORDERS)


def test_news_has_a_cell_wherever_the_run_lives() -> None:
    alive = {(phase, event) for phase in (Phase.STARTING, Phase.RUNNING) for event in NEWS}
    assert {key for key in TABLE if key[1] in NEWS} == alive | {
        (Phase.CLOSING, Extended),
        (Phase.CLOSING, MainChanged),
        (Phase.STOPPING, Extended),
        (Phase.STOPPING, MainChanged),
    }


def test_a_missing_cell_is_told_as_refused() -> None:
    life = running()
    with pytest.raises(Refused, match=r"^cannot apply Gone to a service that is running: "):
        machine.decide(SPEC, life, Gone(RUN), Situation(now=1.0))


def test_every_phase_has_a_public_state() -> None:
    assert {phase.state for phase in Phase} == set(State)
