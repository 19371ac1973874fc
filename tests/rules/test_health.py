"""Rows of answers to verdicts, gaps between questions, and what the machine is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pserv.model.events import Event, Healthy, Ready, Situation, Unhealthy, Unready
from pserv.model.probe import Health, Probe, Tcp
from pserv.model.probe import Ready as ReadyProbe
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase
from pserv.rules import health, machine
from pserv.rules.health import Tally

TCP = Tcp(port=80)
STARTING = Life(Phase.STARTING, Goal.UP, run=4, pid=7, started=100.0)
RUNNING = replace(STARTING, phase=Phase.RUNNING, ready_at=101.0)

counts = st.integers(1, 4)
probes = st.builds(Health, tcp=st.just(TCP), failures=counts, successes=counts)
chances = st.floats(0, 1, exclude_max=True)


def tallied(probe: Probe, answers: Sequence[bool | None], *, early: bool = False) -> Tally:
    tally = Tally()
    for ok in answers:
        tally = health.counted(probe, tally, ok, early=early)
    return tally


class TestCounting:
    @given(probes, st.lists(st.booleans(), max_size=20))
    def test_a_verdict_changes_after_so_many_alike_in_a_row(self, probe: Health, answers: list[bool]) -> None:
        text = "".join("y" if ok else "n" for ok in answers)
        ends = {True: text.rfind("y" * probe.successes), False: text.rfind("n" * probe.failures)}
        last = max(
            ends[True] + probe.successes if ends[True] >= 0 else -1,
            ends[False] + probe.failures if ends[False] >= 0 else -1,
        )
        expected = None if last < 0 else text[last - 1] == "y"
        assert tallied(probe, answers).well is expected

    @given(probes, st.lists(st.booleans(), max_size=20))
    def test_failures_before_it_is_ready_count_for_nothing(self, probe: Health, before: list[bool]) -> None:
        tally = tallied(probe, before, early=True)
        assert tally.well is not False
        for _ in range(probe.failures - 1):
            tally = health.counted(probe, tally, False, early=False)
        assert tally.well is not False

    @given(probes, st.lists(st.sampled_from([True, False, None]), max_size=20))
    def test_what_could_not_be_asked_counts_for_nothing(self, probe: Health, answers: list[bool | None]) -> None:
        tally, known = tallied(probe, answers), tallied(probe, [ok for ok in answers if ok is not None])
        assert (tally.well, tally.ok, tally.row) == (known.well, known.ok, known.row)
        assert tally.asked == len(answers)


class TestWhenToAsk:
    def test_gaps_double_until_the_first_success(self) -> None:
        probe, tally, gaps = Health(tcp=TCP), Tally(), []
        for _ in range(8):
            before, tally = tally, health.counted(probe, tally, False, early=True)
            gaps.append(health.wait(probe, before, tally, early=True, chance=0.3))
        assert gaps == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]

    @given(probes, st.integers(0, 10**9), chances)
    def test_no_gap_is_longer_than_it_may_be(self, probe: Health, asked: int, chance: float) -> None:
        tally = Tally(asked=asked + 1)
        assert 0 < health.wait(probe, tally, tally, early=True, chance=chance) <= health.SLOWEST
        assert health.wait(probe, tally, tally, early=False, chance=chance) == probe.every

    @given(chances)
    def test_the_first_gap_after_a_verdict_spreads_the_phases(self, chance: float) -> None:
        probe = Health(tcp=TCP, interval=20.0)
        first, second = Tally(well=True, ok=True, row=1, asked=3), Tally(well=True, ok=True, row=2, asked=4)
        assert health.wait(probe, Tally(asked=2), first, early=True, chance=chance) == chance * 20
        assert health.wait(probe, first, second, early=False, chance=chance) == 20

    @pytest.mark.parametrize(("delay", "ran", "first"), [(0.0, 0.0, 0.05), (3.0, 0.0, 3.05), (3.0, 1.0, 2.05)])
    def test_a_new_run_is_asked_soon(self, delay: float, ran: float, first: float) -> None:
        probe = ReadyProbe(tcp=TCP, initial_delay=delay)
        assert health.first_wait(probe, Tally(), ran, 0.7) == pytest.approx(first)

    def test_runs_that_are_taken_over_are_not_asked_together(self) -> None:
        probe = Health(tcp=TCP)
        assert health.first_wait(probe, Tally(), 500.0, 0.25) == 0.25
        assert health.first_wait(probe, Tally(well=True), 500.0, 0.25) == 2.5

    def test_readiness_is_believed_once_reached_unless_an_interval_is_set(self) -> None:
        once, again = ReadyProbe(tcp=TCP), ReadyProbe(tcp=TCP, interval=5.0)
        reached = Tally(well=True, ok=True, row=1, asked=1)
        assert health.over(once, reached)
        assert not health.over(once, Tally())
        assert not health.over(again, reached)
        assert not health.over(Health(tcp=TCP), reached)


def spec(which: Literal["ready", "health", "both"], **options: object) -> ServiceSpec:
    plain = ServiceSpec(
        exec="web",
        ready=ReadyProbe(tcp=TCP, interval=1.0) if which != "health" else None,
        health=Health(tcp=TCP) if which != "ready" else None,
    )
    return replace(plain, **options)


WELL, ILL = Tally(True, True, 1, 1), Tally(False, False, 3, 3)


class TestNews:
    def told(self, which: health.Which, service: ServiceSpec, life: Life, tally: Tally) -> tuple[Event, ...]:
        return health.news(which, service, life, tally, "why", tracer=0)

    def test_nothing_before_a_verdict(self) -> None:
        assert self.told("ready", spec("ready"), STARTING, Tally()) == ()

    def test_only_what_the_machine_does_not_know(self) -> None:
        unready = replace(RUNNING, ready_at=None)
        assert self.told("ready", spec("ready"), STARTING, WELL) == (Ready(4, "why"),)
        assert self.told("ready", spec("ready"), RUNNING, WELL) == ()
        assert self.told("ready", spec("ready"), RUNNING, ILL) == (Unready(4, "why"),)
        assert self.told("ready", spec("ready"), unready, ILL) == ()
        assert self.told("ready", spec("ready"), unready, WELL) == (Ready(4, "why"),)
        assert self.told("health", spec("both"), RUNNING, WELL) == (Healthy(4, "why"),)
        assert self.told("health", spec("both"), replace(RUNNING, health="healthy"), WELL) == ()

    def test_health_alone_makes_it_ready(self) -> None:
        for which in ("health", "both"):
            service = spec(which)
            (event,) = self.told("health", service, STARTING, WELL)
            life = machine.decide(service, STARTING, event, Situation(102.0)).life
            assert life.health == "healthy"
            assert life.phase is (Phase.RUNNING if which == "health" else Phase.STARTING)

    def test_health_that_was_seen_before_it_was_ready_is_known_in_the_end(self) -> None:
        service, life = spec("both"), STARTING
        for event in self.told("health", service, life, WELL):
            life = machine.decide(service, life, event, Situation(102.0)).life
        life = machine.decide(service, life, Ready(4), Situation(103.0)).life
        assert life.phase is Phase.RUNNING
        for event in self.told("health", service, life, WELL):
            life = machine.decide(service, life, event, Situation(104.0)).life
        assert life.health == "healthy"

    def test_unhealthy_is_said_once_where_it_only_marks(self) -> None:
        service = spec("health", health=Health(tcp=TCP, on_failure="alert"))
        assert self.told("health", service, RUNNING, ILL) == (Unhealthy(4, "why", False),)
        assert self.told("health", service, replace(RUNNING, health="unhealthy"), ILL) == ()
        never = spec("health", restart="never")
        assert self.told("health", never, RUNNING, ILL) == (Unhealthy(4, "why", True),)
        assert self.told("health", never, replace(RUNNING, health="unhealthy"), ILL) == ()

    def test_a_traced_process_is_spared_until_nobody_traces_it(self) -> None:
        service = spec("health")
        (event,) = health.news("health", service, RUNNING, ILL, "why", tracer=99)
        assert event == Unhealthy(4, "why; not ended while process 99 traces it", False)
        marked = machine.decide(service, RUNNING, event, Situation(102.0)).life
        assert marked.phase is Phase.RUNNING
        assert health.news("health", service, marked, ILL, "why", tracer=99) == ()
        (event,) = health.news("health", service, marked, ILL, "why", tracer=0)
        assert machine.decide(service, marked, event, Situation(103.0)).life.phase is Phase.STOPPING

    @given(st.lists(st.booleans(), max_size=30), st.sampled_from(["ready", "health", "both"]))
    def test_the_machine_knows_the_verdict_after_every_answer(
        self, answers: list[bool], which: Literal["ready", "health", "both"]
    ) -> None:
        service = spec(which, health=Health(tcp=TCP, on_failure="alert") if which != "ready" else None)
        life = STARTING if which != "both" else RUNNING
        probe = service.health or service.ready
        assert probe is not None
        asked: health.Which = "health" if service.health is not None else "ready"
        tally = Tally()
        for ok in answers:
            tally = health.counted(probe, tally, ok, early=health.starting(life))
            for event in self.told(asked, service, life, tally):
                life = machine.decide(service, life, event, Situation(102.0)).life
            if asked == "ready":
                assert (life.ready_at is not None) is (tally.well is True)
            else:
                assert life.health == {None: "", True: "healthy", False: "unhealthy"}[tally.well]

    @given(st.sampled_from([STARTING, RUNNING]), st.sampled_from(["", "healthy", "unhealthy"]))
    def test_a_supervisor_that_takes_over_repeats_nothing(self, life: Life, state: str) -> None:
        service, known = spec("both"), replace(life, health=state)
        assert self.told("ready", service, known, health.resumed("ready", known)) == ()
        if state != "unhealthy":  # which has a reason to be let live only while it is traced
            assert self.told("health", service, known, health.resumed("health", known)) == ()


def test_what_a_service_says_itself_is_not_asked() -> None:
    assert health.declared(ServiceSpec(exec="a", ready=ReadyProbe(fd=3), health=Health())) == {}
    assert list(health.declared(spec("both"))) == ["ready", "health"]
