"""When a waiting command has waited enough, condition by condition."""

from __future__ import annotations

import pytest

from pserv.model.events import Change
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.model.status import Outcome
from pserv.supervisor import waiting
from pserv.system.tasks import Tasks
from tests.world import World, service

PLAIN = service()
PROBED = service(health={"tcp": {"port": 1}})
OK = Ended(Result.SUCCESS, 1, 5.0)
BAD = Ended(Result.EXIT_CODE, 1, 5.0, code=1)
UP = Life(Phase.RUNNING, Goal.UP, ready_at=3.0)


@pytest.mark.parametrize(
    ("condition", "spec", "life", "reached"),
    [
        ("ready", PLAIN, UP, True),
        ("ready", PROBED, UP, True),
        ("ready", PLAIN, Life(Phase.RUNNING, Goal.UP), None),
        ("ready", PLAIN, Life(Phase.STARTING, Goal.UP), None),
        ("ready", PLAIN, Life(Phase.BACKOFF, Goal.UP, attempt=3), False),
        ("ready", PLAIN, Life(Phase.EXITED, Goal.UP, ended=OK), True),
        ("ready", PLAIN, Life(Phase.EXITED, Goal.UP, ended=BAD), False),
        ("ready", PLAIN, Life(), False),
        ("healthy", PLAIN, UP, True),
        ("healthy", PLAIN, Life(Phase.RUNNING, Goal.UP), None),
        ("healthy", PROBED, UP, None),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, ready_at=3.0, health="healthy"), True),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, health="healthy"), None),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, ready_at=3.0, health="unhealthy"), None),
        ("healthy", PROBED, Life(Phase.FAILED, Goal.UP), False),
        ("healthy", PROBED, Life(Phase.EXITED, Goal.UP, ended=OK), True),
        ("healthy", PROBED, Life(), False),
        ("stopped", PLAIN, Life(), True),
        ("stopped", PLAIN, Life(Phase.STOPPING), None),
        ("done", PLAIN, Life(Phase.EXITED, Goal.UP, ended=BAD), True),
        ("done", PLAIN, UP, None),
        ("done", PLAIN, Life(Phase.FAILED, Goal.UP), False),
        ("settled", PLAIN, UP, True),
        ("settled", PLAIN, Life(survivors=("pid 9",)), False),
        ("settled", PLAIN, Life(Phase.STOPPING), None),
    ],
)
def test_conditions(condition: str, spec: ServiceSpec, life: Life, reached: bool | None) -> None:
    assert waiting.CONDITIONS[condition](spec, life) is reached


def test_who_is_no_longer_declared_is_at_rest() -> None:
    supervisor = World({"web": PLAIN}).supervisor
    assert supervisor.life("db") == Life(reason="no longer declared")
    assert waiting.stopped(PLAIN, supervisor.life("db"))


def test_many_that_stop_at_once_are_not_looked_at_for_each_other() -> None:
    world = World({f"s{number}": service() for number in range(300)})
    world.boot()
    world.run_all()
    looks = 0

    def stopped(spec: ServiceSpec, life: Life) -> bool | None:
        nonlocal looks
        looks += 1
        return waiting.stopped(spec, life)

    def stop() -> None:
        world.orders.stop(list(world.supervisor.lives), "operator")
        tasks.soon(end)

    def end() -> None:
        for name in list(world.keeper.live):
            world.exited(name, signal=15)

    async def wait() -> list[Change | tuple[Outcome, ...]]:
        tasks.soon(stop)
        names = list(world.supervisor.lives)
        steps = waiting.wait(tasks, world.supervisor, world.clock, names, stopped, None, world.orders.turns.waits)
        return [step async for step in steps]

    tasks = Tasks(_raise)
    *changes, outcomes = tasks.run(wait())
    assert isinstance(outcomes, tuple)
    assert (len(outcomes), {outcome.ok for outcome in outcomes}) == (300, {True})
    assert len(changes) > 300
    assert looks < 2000


def test_who_waited_for_his_turn_and_changes_nothing_is_seen() -> None:
    world = World({"a": service(), "b": service()})
    held = {"b"}

    def let_go() -> None:
        held.clear()
        world.orders.start(["a"], "operator")
        world.spawned("a")

    async def wait() -> list[Change | tuple[Outcome, ...]]:
        tasks.soon(let_go)
        steps = waiting.wait(tasks, world.supervisor, world.clock, ["b"], waiting.stopped, None, held.__contains__)
        return [step async for step in steps]

    tasks = Tasks(_raise)
    (outcomes,) = tasks.run(wait())
    assert isinstance(outcomes, tuple)
    assert [outcome.service for outcome in outcomes] == ["b"]


def _raise(where: str, error: Exception) -> None:
    raise error
