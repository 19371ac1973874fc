"""A web of 200 services that need each other at random and fail at random: the order holds, and it always settles."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pserv.keeper.protocol import Message
from pserv.model.events import Healthy, Ready, Unhealthy, Unready
from pserv.model.needs import Need
from pserv.model.probe import Health
from pserv.model.restart import Backoff
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.rules import conditions
from tests.world import World

SERVICES = 200
WEBS = 10
ENDING = (Phase.STOPPING, Phase.ENDING)


def web_of_services(dice: random.Random, count: int = SERVICES) -> dict[str, ServiceSpec]:
    """Each needs up to four of those before it, in every way that there is."""
    specs: dict[str, ServiceSpec] = {}
    for number in range(count):
        names = dice.sample(sorted(specs), min(number, dice.choice((0, 1, 1, 2, 4))))
        specs[f"s{number}"] = ServiceSpec(
            exec="x",
            type=dice.choice(("simple", "simple", "notify", "oneshot")),
            health=Health(on_failure="alert") if dice.random() < 0.5 else None,
            restart=dice.choice((None, "never", "on-failure", "always")),
            max_retries=dice.choice((1, 5, 9)),
            backoff=Backoff(jitter=0.0),
            start_timeout=30.0,
            autostart=dice.random() < 0.9,
            depends_on={name: need(dice, specs[name]) for name in names},
        )
    return specs


def need(dice: random.Random, spec: ServiceSpec) -> Need:
    meant = ["started", "ready", "completed"] + (["healthy"] if spec.health and spec.type != "oneshot" else [])
    return Need(
        dice.choice(meant) if dice.random() < 0.7 else "ready",  # type: ignore[arg-type]
        required=dice.random() < 0.7,
        restart=dice.random() < 0.6,
        timeout=dice.choice((None, None, 5.0, 60.0)),
    )


class Watched(World):
    """Looks at every command to the keeper: nothing starts before its condition holds, or ends before its turn."""

    def __init__(self, services: Mapping[str, ServiceSpec], dice: random.Random, **daemon: Any) -> None:
        super().__init__(services, **daemon)
        self.dice = dice
        self.stopped_together: set[str] = set()
        """Services whose stop was ordered at once, so that their order is ours to keep."""
        self.starts = 0
        do: Callable[..., None] = self.keeper.do

        def watched(
            key: str, note: str | None = None, ack: tuple[int, ...] = (), commands: tuple[Message, ...] = ()
        ) -> None:
            for command in commands:
                if command["do"] == "spawn":
                    self.check_start(key)
                elif command["do"] == "signal" and key in self.stopped_together:
                    self.check_stop(key)
                elif command["do"] == "signal" and key in self.supervisor.restarting:
                    self.check_restart(key)
            do(key, note, ack, commands)

        self.keeper.do = watched  # type: ignore[method-assign]

    def check_start(self, name: str) -> None:
        """Written down anew, from what the documentation says and not from the rules."""
        self.starts += 1
        lives, specs = self.supervisor.lives, self.supervisor.specs
        for other, edge in specs[name].depends_on.items():
            life, spec = lives[other], specs[other]
            if holds(edge, spec, life):
                continue
            coming = life.goal is Goal.UP and life.phase not in AT_REST
            assert not edge.required, f"{name} started, and {other} is {life.phase}: {life.reason}"
            assert not coming or edge.timeout is not None, f"{name} did not wait for {other}, which is on its way"

    def check_stop(self, name: str) -> None:
        for dependent, spec in self.supervisor.specs.items():
            if name in spec.depends_on and dependent in self.stopped_together:
                left = self.life(dependent).phase
                assert left in AT_REST, f"{name} is stopped while {dependent}, which needs it, is {left}"

    def check_restart(self, name: str) -> None:
        for dependent, spec in self.supervisor.specs.items():
            edge = spec.depends_on.get(name)
            if edge is not None and edge.restart and (edge.required or edge.timeout is None):
                left = self.life(dependent).phase
                assert left not in (Phase.STARTING, Phase.RUNNING), f"{name} is restarted while {dependent} is {left}"

    # What services do of themselves

    def live_a_little(self) -> None:
        """Something happens to each that has a run: it comes up, fails, ends, changes its health, or nothing does."""
        for name in list(self.keeper.live):
            life, spec, dice = self.life(name), self.supervisor.specs[name], self.dice.random()
            if not life.pid:
                self.spawned(name)
            elif life.phase in ENDING:
                self.exited(name, signal=15)
            elif life.phase is Phase.STARTING:
                self.come_up(name, spec, dice)
            elif dice < 0.01:
                self.exited(name, code=self.dice.choice((0, 0, 1)))
            elif dice < 0.03:
                self.supervisor.post(name, Unready(life.run, "by chance"))
            elif dice < 0.06:
                self.supervisor.post(name, Unhealthy(life.run, "by chance", ends=False))
            else:
                self.supervisor.post(name, Ready(life.run))
                self.supervisor.post(name, Healthy(life.run))

    def come_up(self, name: str, spec: ServiceSpec, dice: float) -> None:
        if dice < 0.05:
            self.exited(name, code=1)
        elif spec.type == "oneshot":
            self.exited(name, code=0)
        elif dice < 0.9:
            self.supervisor.post(name, Ready(self.life(name).run))

    def operate(self) -> None:
        """An operator does something."""
        names = self.dice.sample(sorted(self.supervisor.lives), 3)
        match self.dice.randrange(8):
            case 0:
                self.orders.start(names)
            case 1 | 6 | 7:
                self.orders.restart(self.dice.sample([name for name in self.keeper.live if self.life(name).pid], 2))
            case 2:
                self.orders.stop(names[:1])
            case 3:
                self.die()
            case _:
                self.wait(self.dice.choice((1.0, 10.0)))


def holds(edge: Need, spec: ServiceSpec, life: Life) -> bool:
    succeeded = life.ended is not None and life.ended.result == "success"
    if edge.condition == "started" and life.pid:
        return True
    if edge.condition in ("started", "completed") or spec.type == "oneshot":
        return succeeded
    if edge.condition == "healthy":
        return life.phase is Phase.RUNNING and life.health == "healthy"
    return life.phase is Phase.RUNNING and life.ready_at is not None


def settle(world: Watched) -> None:
    """Everything that may happen happens, until nothing can: every start has an end."""
    for name, life in list(world.supervisor.lives.items()):
        assert life.phase is not Phase.WAITING or life.reason, name
    for _ in range(400):
        world.run_all()
        for name in list(world.keeper.live):
            life, spec = world.life(name), world.supervisor.specs[name]
            if life.phase in ENDING:
                world.exited(name, signal=15)
            elif spec.type == "oneshot" and spec.policy != "always":
                world.exited(name, code=0)
            elif life.phase in (Phase.STARTING, Phase.RUNNING):
                if spec.type == "oneshot" and life.ended is None:
                    world.exited(name, code=0)
                    continue
                world.supervisor.post(name, Ready(life.run))
                world.supervisor.post(name, Healthy(world.life(name).run))
        before = dict(world.supervisor.lives)
        world.wait(5.0)
        if not world.supervisor.restarting and before == world.supervisor.lives and not pending(world):
            return
    raise AssertionError(f"never settled: {pending(world)}")


def pending(world: Watched) -> dict[str, str]:
    """Services that wait, though nothing that they wait for is going to come of itself."""
    lives, specs = world.supervisor.lives, world.supervisor.specs
    return {
        name: f"{life.phase}: {life.reason}"
        for name, life in lives.items()
        if life.phase in (*ENDING, Phase.BACKOFF)
        or (life.phase is Phase.STARTING and specs[name].type != "oneshot")
        or (
            life.phase is Phase.WAITING
            and not any(endless(specs[need], lives[need]) for need in specs[name].depends_on)
        )
    }


def endless(spec: ServiceSpec, life: Life) -> bool:
    """Runs, or waits for one that runs: a `completed` of it may come or not, and nobody can know."""
    return life.goal is Goal.UP and life.phase in (Phase.RUNNING, Phase.STARTING, Phase.WAITING)


@pytest.mark.parametrize("seed", range(WEBS))
def test_a_web_of_services(seed: int) -> None:
    dice = random.Random(seed)
    world = Watched(web_of_services(dice), dice)
    world.boot()
    for _ in range(25):
        world.live_a_little()
        world.operate()
    settle(world)
    assert world.starts > SERVICES / 2
    assert world.bugs == []
    world.stopped_together = {name for name, life in world.supervisor.lives.items() if life.phase not in AT_REST}
    world.orders.shutdown("ordered to end")
    while world.keeper.live:
        world.run_all()
        if dice.random() < 0.02:
            world.die()
        ending = [name for name in world.keeper.live if world.life(name).phase in ENDING]
        assert ending, "the end has come to a halt"
        world.exited(dice.choice(ending), signal=15)
    assert world.keeper.finished == 0
    assert all(life.phase in AT_REST for life in world.supervisor.lives.values())


def test_no_start_is_missed() -> None:
    """When all has settled, whoever waits has a reason that still holds."""
    dice = random.Random(99)
    world = Watched(web_of_services(dice), dice)
    world.boot()
    settle(world)
    for name, life in world.supervisor.lives.items():
        if life.phase is Phase.WAITING:
            seen = conditions.outlook(name, world.supervisor.specs, world.supervisor.lives, world.clock.time)
            assert (seen.blocked, seen.hopeless) == (life.reason, "")
