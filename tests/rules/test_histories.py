"""Thousands of histories of one service in a pretend world; what must always hold is checked after every event."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from pserv.model.events import DeadlinePassed, Event, Exited, Hurry, Restart, Situation, Spawned, Start, Stop
from pserv.model.hooks import Hook, Hooks
from pserv.model.listening import Socket
from pserv.model.probe import Health, Ready, Tcp
from pserv.model.restart import Backoff, Policy
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, HookRun, Life, Phase
from pserv.model.stop import Stop as StopSpec
from pserv.model.stop import StopStep
from pserv.rules import machine, restart
from pserv.rules.hooking import PATIENCE
from tests.rounds import EXAMPLES

from .pretend import Dependency, World, run_history

HEALTH = Health(tcp=Tcp(1), interval=2.0, failures=2)
HOOK = Hook(command=("hook",), timeout=5.0, on_failure="fail")
SHY = Hook(command=("shy",), timeout=3.0, on_failure="ignore")
SOCKETS = {"http": Socket(listen="8080")}
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
    ServiceSpec(exec="web", type="notify", restart="always", max_retries=2, start_timeout=9.0, watchdog=5.0),
    ServiceSpec(exec="web", ready=Ready(tcp=Tcp(1)), health=HEALTH, max_retries=4, max_runtime=30.0),
    ServiceSpec(exec="web", health=HEALTH, restart="on-abnormal", stop=StopSpec(timeout=3.0)),
    ServiceSpec(exec="web", type="notify", health=HEALTH, restart="never"),
    ServiceSpec(exec="web", hooks=Hooks(pre_start=(HOOK, SHY), pre_stop=(HOOK, SHY), post_stop=(SHY, HOOK))),
    ServiceSpec(exec="web", restart="always", hooks=Hooks(pre_start=(SHY,), pre_stop=(SHY,), post_stop=(SHY,))),
    ServiceSpec(exec="job", type="oneshot", max_retries=2, restart="on-failure", hooks=Hooks(pre_start=(HOOK,))),
    ServiceSpec(exec="old", type="forking", restart="always"),
    ServiceSpec(exec="old", type="forking", pid_file="/run/old.pid", hooks=Hooks(pre_stop=(HOOK,), post_stop=(SHY,))),
    ServiceSpec(exec="old", type="forking", pid_file="/run/old.pid", ready=Ready(tcp=Tcp(1)), health=HEALTH),
    ServiceSpec(exec="web", sockets=SOCKETS, lazy=True),
    ServiceSpec(exec="web", sockets=SOCKETS, lazy=True, restart="never", hooks=Hooks(pre_start=(HOOK,))),
    ServiceSpec(exec="web", sockets=SOCKETS, lazy=True, type="notify", restart="always", max_retries=2),
    ServiceSpec(exec="web", sockets=SOCKETS, max_retries=3),
)
specs = st.sampled_from(SPECS)


NONE = HookRun("", 0, 0, "", 0.0, 0.0, True, "")


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

    @rule(dependency=st.sampled_from(["ready", "blocked", "patient", "hopeless"]))
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

    @precondition(lambda self: self.world.live and self.world.live.main)
    @rule(ready=st.booleans())
    def ready(self, ready: bool) -> None:
        self.world.tells_ready(ready)

    @precondition(lambda self: self.world.live and not self.world.live.forked)
    @rule(well=st.booleans(), ends=st.booleans())
    def health(self, well: bool, ends: bool) -> None:
        self.world.tells_health(well, ends)

    @precondition(lambda self: self.world.live and not self.world.live.forked)
    @rule()
    def silence(self) -> None:
        self.world.is_silent()

    @precondition(lambda self: self.world.live and not self.world.live.forked)
    @rule(seconds=st.floats(0, 100))
    def time_asked_for(self, seconds: float) -> None:
        self.world.asks_for_time(seconds)

    @precondition(lambda self: self.world.live and not self.world.live.forked and self.world.live.main)
    @rule(
        how=st.sampled_from([(0, None), (1, None), (3, None), (143, None), (None, 15), (None, 9)]),
        rest=st.integers(0, 2),
    )
    def main_ends(self, how: tuple[int | None, int | None], rest: int) -> None:
        self.world.main_ends(*how, rest=rest)

    @precondition(lambda self: self.world.live and not self.world.live.main)
    @rule(known=st.booleans())
    def main_is_sought(self, known: bool) -> None:
        if known:
            self.world.main_is_found()
        else:
            self.world.main_is_not_found()

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

    @precondition(lambda self: self.world.hook)
    @rule(why=st.sampled_from(["", "exit code 1"]), gone=st.booleans())
    def hook_ends(self, why: str, gone: bool) -> None:
        self.world.hook_ends(why, gone=gone)

    @precondition(lambda self: self.world.life.phase is Phase.LISTENING)
    @rule(ok=st.booleans())
    def connection(self, ok: bool) -> None:
        if ok:
            self.world.connects()
        else:
            self.world.listen_fails()

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
TestHistories.settings = settings(max_examples=2 * EXAMPLES, stateful_step_count=30)


def ends_when_told(world: World) -> None:
    """Down as asked, in the time that a stop may take, even if only SIGKILL is obeyed."""
    world.order(Stop())
    hooks = (*world.spec.hooks.pre_stop, *world.spec.hooks.post_stop)
    asked = 0.0 if world.live is None else max(0.0, world.live.asked - world.now)
    limit = world.now + sum(step.timeout for step in world.spec.stop_steps) + asked + 2.0 + 0.001
    limit += sum(hook.timeout + PATIENCE for hook in hooks) + PATIENCE + (world.life.hook or NONE).timeout
    for _ in range(25):
        if world.life.phase is Phase.STOPPED:
            break
        world.meet_deadline()
        world.kill_works()
    assert world.life.phase is Phase.STOPPED
    assert world.live is None
    assert world.now <= limit
    assert world.life.reason.startswith(("stopped by operator", "not started yet"))


@settings(max_examples=4 * EXAMPLES)
@given(spec=specs, codes=st.binary(max_size=120))
def test_any_history_ends_when_told(spec: ServiceSpec, codes: bytes) -> None:
    world = World(spec)
    run_history(world, codes)
    ends_when_told(world)


def test_many_histories() -> None:
    """The same, from a seed: ten times as many in a second."""
    chance = random.Random(4713)
    seen: set[tuple[Phase, Phase]] = set()
    for number in range(40 * EXAMPLES):
        world = World(SPECS[number % len(SPECS)])
        before = world.life.phase
        for _ in range(6):
            run_history(world, chance.randbytes(12))
            seen.add((before, world.life.phase))
            before = world.life.phase
        ends_when_told(world)
    assert {phase for pair in seen for phase in pair} == set(Phase)


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if not spec.lazy], ids=lambda spec: f"{spec.type}-{spec.policy}"
)
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
            world.tells_ready(True)
            world.main_ends(code)
        elif world.hook is not None:
            world.hook_ends()
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


@pytest.mark.parametrize("lasting", [0.0, 11.0, 3600.0])
@pytest.mark.parametrize("retries", [0, 1, 5])
@pytest.mark.parametrize("policy", ["on-failure", "on-watchdog", "on-abnormal", "always"])
@pytest.mark.parametrize("why", ["watchdog", "health"])
def test_an_endless_kill_loop_is_given_up(why: str, policy: Policy, retries: int, lasting: float) -> None:
    """However long each run seemed to be well, what its watchdog or its health probe ended was never stable."""
    world = World(ServiceSpec(exec="web", health=HEALTH, watchdog=5.0, restart=policy, max_retries=retries))
    world.order(Start())
    for run in range(1, retries + 2):
        while world.live is None:
            world.meet_deadline()
        assert world.life.run == run
        world.spawn_succeeds()
        world.tells_health(True, True)
        world.pass_time(lasting)
        if why == "health":
            world.tells_health(False, True)
        else:
            world.is_silent()
        world.main_ends(None, 6)
    assert world.life.phase is Phase.FAILED
    told = "unhealthy: http 500" if why == "health" else "WATCHDOG=1 did not come for 30 s"
    word = "retry" if retries == 1 else "retries"
    assert world.life.reason == f"gave up after {retries} {word}: {told}; policy {policy}"


def test_hangs_weeks_apart_do_not_add_up() -> None:
    world = World(ServiceSpec(exec="web", watchdog=5.0, max_retries=1))
    world.order(Start())
    for _ in range(5):
        while world.live is None:
            world.meet_deadline()
        world.spawn_succeeds()
        world.pass_time(7 * 86_400.0)
        world.is_silent()
        world.main_ends(None, 6)
        assert "; restart 1 at once" in world.life.reason


def test_a_crash_after_a_stable_run_begins_a_new_streak() -> None:
    """The streak that a watchdog would take up again is forgotten when the run ends otherwise."""
    world = World(ServiceSpec(exec="web", watchdog=5.0, max_retries=2))
    world.order(Start())
    for silent in (True, False, True, False):
        world.spawn_succeeds()
        world.pass_time(60.0)
        if silent:
            world.is_silent()
        world.main_ends(1)
        if world.live is None:
            world.meet_deadline()
    assert (world.life.phase, world.life.attempt) == (Phase.STARTING, 1)


def test_unready_and_unhealthy_runs_are_not_stable() -> None:
    """A streak goes on while a run is up and not well, and ends when it was well for long enough."""
    world = World(ServiceSpec(exec="web", ready=Ready(tcp=Tcp(1), interval=1.0), restart="always"))
    world.order(Start())
    world.spawn_succeeds()
    world.main_ends(1)
    world.spawn_succeeds()
    assert world.life.attempt == 1
    for _ in range(20):
        world.tells_ready(True)
        world.pass_time(9.0)
        world.tells_ready(False)
        world.pass_time(9.0)
        assert (world.life.phase, world.life.attempt) == (Phase.RUNNING, 1)
    world.tells_ready(True)
    world.pass_time(11.0)
    assert world.life.attempt == 0


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


@pytest.mark.parametrize("uptime", [0.0, 0.4])
def test_a_lazy_service_that_never_accepts_is_paced_and_given_up(uptime: float) -> None:
    """The connection that started it is still there when it has ended, each time: systemd's limit of 20 in 2 s is not
    reached by one that takes 0.4 s to start, and it would go on for ever."""
    for most, spec in ((3, replace(SPECS[-4], max_retries=3)), (None, SPECS[-4])):
        world = World(spec)
        world.order(Start())
        began, spawns = world.now, 0
        while world.life.phase is not Phase.FAILED and spawns < 60:
            if world.life.phase is Phase.LISTENING:
                world.connects()
            elif world.life.phase is Phase.BACKOFF:
                world.meet_deadline()
            else:
                spawns += 1
                world.spawn_succeeds()
                world.pass_time(uptime)
                world.main_ends(0)
        if most is None:
            assert spawns == 60
            assert world.now - began > 600.0
        else:
            assert spawns == 21 + most
            assert world.life.reason.startswith("gave up: started 24 times in a row by a connection")
            assert not world.life.listening


def test_a_lazy_service_that_serves_one_connection_a_run_is_not_held_back() -> None:
    world = World(SPECS[-4])
    world.order(Start())
    for _ in range(100):
        world.connects()
        assert world.life.phase is Phase.STARTING
        world.spawn_succeeds()
        world.pass_time(0.1)
        world.main_ends(0)
        world.pass_time(1.0)
