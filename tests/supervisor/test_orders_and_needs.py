"""Orders where services need each other: who comes along, who is told of, who ends first, and how long is waited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pserv.model.events import Healthy, Ready
from pserv.supervisor.graph import graph
from tests.world import World, service


def needing(**needs: Any) -> dict[str, Any]:
    """`db="healthy"` or `db={...}`, as in a file."""
    return {name: {"condition": need} if isinstance(need, str) else need for name, need in needs.items()}


def states(world: World, *names: str) -> list[str]:
    return [world.state(name) for name in names]


def chain() -> World:
    """web needs app, app needs db; all are up, and restarted with what they need."""
    again = {"restart": True}
    world = World({
        "db": service(), "app": service(depends_on=needing(db=again)), "web": service(depends_on=needing(app=again)),
    })  # fmt: skip
    world.boot()
    world.run_all()
    return world


def test_conditions_are_met_one_after_the_other() -> None:
    world = World({
        "db": service(type="notify", health={"tcp": {"port": 1}}),
        "early": service(depends_on=needing(db="started")),
        "app": service(depends_on=needing(db="ready")),
        "web": service(depends_on=needing(db="healthy")),
        "after": service(depends_on=needing(db="completed")),
    })  # fmt: skip
    world.boot()
    waiting = ["early", "app", "web", "after"]
    assert states(world, *waiting) == ["waiting"] * 4
    run = world.life("db").run
    steps: tuple[tuple[Callable[[], None], str], ...] = (
        (lambda: world.spawned("db"), "early"),
        (lambda: world.supervisor.post("db", Ready(run)), "app"),
        (lambda: world.supervisor.post("db", Healthy(run)), "web"),
        (lambda: world.exited("db", code=0), "after"),
    )
    for happens, up in steps:
        happens()
        assert [name for name in waiting if name in world.keeper.live] == [up]
        waiting.remove(up)
        world.spawned(up)


def test_a_failure_fails_the_whole_chain_at_once_with_all_reasons() -> None:
    world = World({
        "db": service(restart="never", type="oneshot"), "app": service(depends_on=["db"]),
        "web": service(depends_on=["app"]),
    })  # fmt: skip
    world.boot()
    world.run_all()
    world.exited("db", code=1)
    assert world.life("web").reason == f"needs app, which failed: {world.life('app').reason}"
    assert world.life("app").reason == f"needs db, which failed: {world.life('db').reason}"
    assert list(world.keeper.live) == []


def test_waiting_too_long_fails_and_says_what_for() -> None:
    world = World({
        "slow": service(type="notify", start_timeout=3600.0),
        "app": service(depends_on=needing(slow={"timeout": 30.0})),
        "web": service(depends_on=["app"]),
        "soft": service(depends_on=needing(slow={"timeout": 10.0, "required": False})),
    })  # fmt: skip
    world.boot()
    world.run_all()
    assert states(world, "app", "web", "soft") == ["waiting"] * 3
    world.wait(10.0)
    world.run_all()
    assert states(world, "app", "soft") == ["waiting", "running"]
    assert world.life("soft").waited == 10.0
    world.die()
    world.wait(19.9)
    assert world.state("app") == "waiting"
    world.wait(0.2)
    late = "needs slow, which is not ready after 30 s: " + world.life("slow").reason
    assert (world.state("app"), world.life("app").reason) == ("failed", late)
    assert world.life("web").reason == f"needs app, which failed: {late}"


def test_start_brings_along_what_is_needed_and_wanted() -> None:
    off = {"autostart": False}
    world = World({
        "db": service(**off), "cache": service(), "rare": service(**off),
        "web": service(**off, depends_on=needing(db={}, cache={"required": False}, rare={"required": False})),
    })  # fmt: skip
    world.orders.start(["web"])
    world.run_all()
    assert states(world, "db", "cache", "rare", "web") == ["running", "running", "stopped", "running"]


def test_start_and_restart_bring_up_what_has_ended_meanwhile() -> None:
    world = World({"db": service(), "migrate": service(type="oneshot"), "web": service(depends_on=["db", "migrate"])})
    world.boot()
    world.run_all()
    world.exited("migrate", code=0)
    world.run_all()
    world.exited("db", code=0)
    assert states(world, "db", "migrate", "web") == ["exited", "exited", "running"]
    world.orders.restart(["web"])
    world.run_all()
    world.exited("web", signal=15)
    world.run_all()
    assert states(world, "db", "migrate", "web") == ["running", "exited", "running"]
    assert world.keeper.done("migrate") == ["spawn"], "a oneshot that has completed is not run again"
    world.orders.stop(["db"])
    world.exited("db", signal=15)
    world.orders.start(["web"])
    world.run_all()
    assert states(world, "db", "web") == ["running", "running"]


def test_restarts_go_in_order_and_up_again_in_the_other() -> None:
    world = chain()
    world.orders.restart(["db"])
    for name in ("web", "app", "db"):
        assert [each for each in ("web", "app", "db") if world.state(each) == "stopping"] == [name]
        world.exited(name, signal=15)
    assert states(world, "db", "app", "web") == ["starting", "waiting", "waiting"]
    world.run_all()
    assert states(world, "db", "app", "web") == ["running"] * 3
    assert world.life("web").order == "restarted by operator, with db"
    assert world.supervisor.restarting == {}


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_restart_in_order_goes_on_after_the_supervisor_died(gone: int) -> None:
    world = chain()
    world.orders.restart(["db"])
    for count, name in enumerate(("web", "app", "db")):
        if count == gone:
            world.die()
        world.exited(name, signal=15)
    if gone == 3:
        world.die()
    world.run_all()
    assert states(world, "db", "app", "web") == ["running"] * 3
    assert [world.keeper.done(name) for name in ("db", "app", "web")] == [["spawn", "signal", "spawn"]] * 3
    world.die()
    assert [world.keeper.done(name) for name in ("db", "app", "web")] == [["spawn", "signal", "spawn"]] * 3


def test_a_stop_takes_a_restart_back() -> None:
    world = chain()
    world.orders.restart(["db"])
    world.orders.stop(["db"])
    world.exited("db", signal=15)
    world.exited("web", signal=15)
    world.run_all()
    assert states(world, "db", "app", "web") == ["stopped", "running", "running"]
    assert world.keeper.done("db") == ["spawn", "signal"]


def test_the_end_takes_restarts_back() -> None:
    world = chain()
    world.orders.restart(["db"])
    world.orders.shutdown("ordered to end")
    for name in ("web", "app", "db"):
        world.exited(name, signal=15)
    assert world.keeper.finished == 0


def test_who_depends_on_what_is_stopped_is_named() -> None:
    world = World({"db": service(), "app": service(depends_on=["db"]), "web": service(depends_on=["app", "db"])})
    world.boot()
    world.run_all()
    assert world.orders.left_behind(["db"]) == "app, web depend on db: left running"
    assert world.orders.left_behind(["db", "app"]) == "web depends on db; web depends on app: left running"
    assert world.orders.left_behind(["db", "app", "web"]) == ""
    world.orders.stop(["web"])
    assert world.orders.left_behind(["app"]) == ""


def test_a_stop_of_what_is_not_up_frees_nobody_too_early() -> None:
    """Found by the web of services: the stop of one that was in back-off let db go before web had been told."""
    crashing = service(restart="always", depends_on=["db"])
    world = World({"db": service(), "crashing": crashing, "web": service(depends_on=["db"])})
    world.boot()
    world.run_all()
    while world.state("crashing") != "backoff":
        world.exited("crashing", code=1)
        world.run_all()
    world.orders.stop(["crashing", "web", "db"])
    assert states(world, "crashing", "web", "db") == ["stopped", "stopping", "running"]
    world.exited("web", signal=15)
    assert world.state("db") == "stopping"


def test_the_graph_tells_conditions_and_the_chain() -> None:
    world = World({
        "db": service(type="notify"), "migrate": service(type="oneshot", depends_on=["db"]),
        "fast": service(), "web": service(depends_on=needing(migrate={}, fast={"required": False, "restart": True})),
        "lone": service(autostart=False),
    })  # fmt: skip
    world.boot()
    world.run_all()
    world.wait(2.0)
    world.supervisor.post("db", Ready(world.life("db").run))
    world.run_all()
    world.wait(3.0)
    world.exited("migrate", code=0)
    world.run_all()
    told = graph(["web"], world.supervisor.specs, world.supervisor.lives)
    assert [node.service for node in told.services] == ["db", "migrate", "fast", "web"]
    web = told.services[-1]
    assert [(edge.service, edge.condition, edge.met, edge.required, edge.restart) for edge in web.needs] == [
        ("migrate", "completed", True, True, False),
        ("fast", "ready", True, False, True),
    ]
    assert [(link.service, link.waited, link.took, link.at) for link in told.chain] == [
        ("db", 0.0, 2.0, 2.0),
        ("migrate", 2.0, 3.0, 5.0),
        ("web", 5.0, 0.0, 5.0),
    ]
    assert [node.service for node in graph(["lone"], world.supervisor.specs, world.supervisor.lives).services] == [
        "lone"
    ]
    assert graph(["lone"], world.supervisor.specs, world.supervisor.lives).chain == ()


def test_the_limit_holds_for_who_was_brought_up_by_another_and_starts_by_hand_do_not_count() -> None:
    """dinit#249: no limit for what a dependent started; systemd#37321: starts by hand used it up."""
    web = service(depends_on=["db"], autostart=False)
    world = World({"db": service(type="notify", max_retries=2, autostart=False), "web": web})
    for _ in range(4):
        world.orders.start(["web"])
        for run in range(3):
            world.run_all()
            assert states(world, "db", "web") == ["starting", "waiting"], run
            world.exited("db", code=1)
            world.wait(2)
        assert states(world, "db", "web") == ["failed", "failed"]
        assert "gave up after 2 retries" in world.life("db").reason
