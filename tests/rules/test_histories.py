"""Thousands of histories of one service in a pretend world; what must always hold is checked after every event."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pserv.model.events import DeadlinePassed, Event, Exited, Hurry, Restart, Situation, Spawned, Start, Stop
from pserv.model.spec import Backoff, ServiceSpec, StopStep
from pserv.model.spec import Stop as StopSpec
from pserv.model.states import Goal, Life, Phase
from pserv.rules import machine, restart

from .pretend import Dependency, World, run_history

SPECS = (
    ServiceSpec(exec="web"),
    ServiceSpec(
        exec="web", restart="always", max_retries=3, stable_after=0.0, backoff=Backoff(initial=0.0, jitter=1.0)
    ),
    ServiceSpec(exec="web", restart="always", backoff=Backoff(strategy="constant", initial=0.0, maximum=0.0)),
    ServiceSpec(exec="web", restart="on-success", max_runtime=7.0, backoff=Backoff(strategy="linear", initial=0.5)),
    ServiceSpec(exec="web", restart="never", start_timeout=0.0, stop=StopSpec(timeout=0.0)),
    ServiceSpec(
        exec="web", max_retries=0, stop=StopSpec(steps=(StopStep(3, 3.0), StopStep(2, 0.0), StopStep(15, 1.0)))
    ),
    ServiceSpec(exec="job", type="oneshot", restart="on-abnormal", max_runtime=20.0),
    ServiceSpec(exec="job", type="oneshot"),
    ServiceSpec(exec="web", restart="on-watchdog", success_exit_codes=(3,)),
)
specs = st.sampled_from(SPECS)


class Histories(RuleBasedStateMachine):
    """Every order and every fact in any order that the keeper's promises allow."""

    @initialize(spec=specs)
    def begin(self, spec: ServiceSpec) -> None:
        self.world = World(spec)

    @rule(
        event=st.sampled_from([Start("daemon start"), Start(), Stop(), Restart("reload")]), chance=st.floats(0, 0.999)
    )
    def order(self, event: Start | Stop | Restart, chance: float) -> None:
        self.world.chance = chance
        self.world.order(event)

    @rule()
    def hurry(self) -> None:
        self.world.post(Hurry())

    @rule(dependency=st.sampled_from(["ready", "blocked", "hopeless"]))
    def depend(self, dependency: Dependency) -> None:
        self.world.depend(dependency)

    @rule(spec=specs)
    def configure(self, spec: ServiceSpec) -> None:
        self.world.configure(spec)

    @precondition(lambda self: self.world.live and self.world.live.forked)
    @rule(ok=st.booleans())
    def spawn(self, ok: bool) -> None:
        if ok:
            self.world.spawn_succeeds()
        else:
            self.world.spawn_fails()

    @precondition(lambda self: self.world.live and not self.world.live.forked and self.world.live.main)
    @rule(
        how=st.sampled_from([(0, None), (1, None), (3, None), (143, None), (None, 15), (None, 9)]),
        rest=st.integers(0, 2),
    )
    def main_ends(self, how: tuple[int | None, int | None], rest: int) -> None:
        self.world.main_ends(*how, rest=rest)

    @precondition(lambda self: self.world.live and not self.world.live.main)
    @rule(survivors=st.sampled_from([(), ("pid 5 (cp), state D",)]))
    def rest_ends(self, survivors: tuple[str, ...]) -> None:
        self.world.rest_ends(survivors)

    @precondition(lambda self: self.world.live and self.world.live.killed)
    @rule()
    def main_survives(self) -> None:
        self.world.main_survives()

    @precondition(lambda self: self.world.live and self.world.live.killed)
    @rule()
    def kill_works(self) -> None:
        self.world.kill_works()

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def deadline(self) -> None:
        self.world.meet_deadline()

    @rule(back=st.integers(0, 3))
    def stale(self, back: int) -> None:
        self.world.stale(back)

    @rule()
    def early(self) -> None:
        """A timer that rings before its time is not heard."""
        world, before = self.world, self.world.life
        if before.deadline is None or before.deadline > world.now:
            world.post(DeadlinePassed())
            assert world.life is before

    def teardown(self) -> None:
        if hasattr(self, "world"):
            ends_when_told(self.world)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=30)


def ends_when_told(world: World) -> None:
    """Down as asked, in the time that a stop may take, even if only SIGKILL is obeyed."""
    world.order(Stop())
    limit = world.now + sum(step.timeout for step in world.spec.stop_steps) + 2.0 + 0.001
    for _ in range(10):
        if world.life.phase is Phase.STOPPED:
            break
        world.meet_deadline()
        world.kill_works()
    assert world.life.phase is Phase.STOPPED
    assert world.live is None
    assert world.now <= limit
    assert world.life.reason.startswith(("stopped by operator", "not started yet"))


@settings(max_examples=300)
@given(spec=specs, codes=st.binary(max_size=120))
def test_any_history_ends_when_told(spec: ServiceSpec, codes: bytes) -> None:
    world = World(spec)
    run_history(world, codes)
    ends_when_told(world)


def test_thousands_of_histories() -> None:
    """The same, from a seed: ten times as many in a second or two."""
    chance = random.Random(4713)
    seen: set[tuple[Phase, Phase]] = set()
    for number in range(3000):
        world = World(SPECS[number % len(SPECS)])
        before = world.life.phase
        for _ in range(6):
            run_history(world, chance.randbytes(12))
            seen.add((before, world.life.phase))
            before = world.life.phase
        ends_when_told(world)
    assert {phase for pair in seen for phase in pair} == set(Phase)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.type}-{spec.policy}")
@pytest.mark.parametrize("code", [0, 1])
def test_a_service_that_always_ends_is_given_up_or_paced(spec: ServiceSpec, code: int) -> None:
    """Whatever the configuration: it is at rest after max_retries, or no more than ten starts a second are made."""
    world = World(spec)
    world.order(Start())
    began, spawns = world.now, 0
    while spawns < 300 and world.life.phase not in (Phase.EXITED, Phase.FAILED):
        if world.live is not None:
            spawns += 1
            world.spawn_succeeds()
            world.main_ends(code)
        else:
            world.meet_deadline()
    retries = spec.max_retries
    if world.life.phase in (Phase.EXITED, Phase.FAILED):
        assert spawns == 1 + (world.life.restarts if retries is None else min(world.life.restarts, retries))
        assert spawns == 1 or world.life.reason.startswith(f"gave up after {retries} retries")
    else:
        assert retries is None
        assert world.now - began >= (spawns - 3) * restart.FLOOR * 0.99
    assert world.life.restarts == max(spawns, 1) - 1 + (world.life.phase is Phase.BACKOFF)


def test_a_stop_reaches_a_spawn_that_hangs() -> None:
    """A child in exec on a dead mount never reports: it is signalled and killed like any other."""
    world = World(SPECS[0])
    world.order(Start())
    world.order(Stop())
    world.meet_deadline()
    assert world.live is not None
    assert world.live.killed
    world.kill_works()
    assert world.life.reason == "stopped by operator; needed SIGKILL after 10 s"


def test_start_while_stopping_is_remembered_and_stop_forgets_it() -> None:
    world = World(SPECS[0])
    world.order(Start())
    world.spawn_succeeds()
    world.order(Stop())
    world.order(Start())
    assert (world.life.phase, world.life.goal) == (Phase.STOPPING, Goal.UP)
    world.main_ends(None, 15)
    assert (world.life.phase, world.life.run) == (Phase.STARTING, 2)
    world.order(Restart())
    world.order(Stop())
    world.spawn_succeeds()
    world.main_ends(None, 15)
    assert (world.life.phase, world.life.reason) == (Phase.STOPPED, "stopped by operator")


def test_an_exit_that_was_learnt_late_is_judged_by_when_it_was() -> None:
    """The supervisor was dead while the service crashed after a second, twice: no run was stable."""
    spec = ServiceSpec(exec="web", max_retries=5)

    def happens(life: Life, event: Event, now: float) -> Life:
        return machine.decide(spec, life, event, Situation(now, next_run=life.run + 1)).life

    life = happens(happens(Life(), Start(), 1.0), Spawned(1, 5), 1.0)
    life = happens(life, Exited(1, 1, at=2.0), 31.0)
    assert life.reason == "exit code 1 after 1 s; restart 1 at once; policy on-failure"
    life = happens(happens(life, Spawned(2, 5), 31.0), Exited(2, 1, at=32.0), 61.0)
    assert (life.phase, life.attempt) == (Phase.BACKOFF, 2)
