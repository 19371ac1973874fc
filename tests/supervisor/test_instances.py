"""Instances under orders: scale, reload, rolling restart, and what of it outlives a supervisor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pserv.model.errors import Refused
from pserv.model.events import Ready
from pserv.model.spec import ServiceSpec
from tests.world import World, document, service


def web(count: int | None, **options: Any) -> ServiceSpec:
    return service(instances=count, port=3001, args=["${pserv.port}"], **options)


def up(count: int, **others: ServiceSpec) -> World:
    world = World({"web": web(count), **others})
    world.boot()
    world.run_all()
    return world


def states(world: World) -> dict[str, str]:
    return {name: world.state(name) for name in world.supervisor.specs}


def launches(world: World) -> dict[str, list[str]]:
    """The arguments of each spawn, by service."""
    found: dict[str, list[str]] = {}
    for key, command in world.keeper.commands:
        if command["do"] == "spawn":
            found.setdefault(key, []).append(" ".join(command["launch"]["argv"]))
    return found


def stops(world: World) -> list[str]:
    return [key for key, command in world.keeper.commands if command["do"] == "signal"]


def test_each_instance_is_launched_as_itself() -> None:
    world = up(2, db=service())
    assert launches(world) == {"web:1": ["/bin/true 3001"], "web:2": ["/bin/true 3002"], "db": ["/bin/true"]}
    launch = next(command["launch"] for key, command in world.keeper.commands if key == "web:2")
    env = {"PSERV_SERVICE": "web", "PSERV_INSTANCE": "2", "PSERV_INDEX": "1", "PORT": "3002"}
    assert launch["env"] == env
    assert launch["stdout"]["path"] == "/logs/web:2.log"


def test_a_dependent_waits_for_all_instances_and_stops_before_them() -> None:
    world = World({"web": web(2), "app": service(depends_on=["web"])})
    world.boot()
    world.spawned("web:1")
    assert world.state("app") == "waiting"
    world.spawned("web:2")
    world.spawned("app")
    world.orders.stop(["web:1", "web:2", "app"])
    assert stops(world) == ["app"]
    world.exited("app", signal=15)
    assert stops(world) == ["app", "web:1", "web:2"]


def test_scaling_up_starts_what_is_new_and_touches_nothing_else() -> None:
    world = up(2, app=service(depends_on=["web"]))
    fresh, surplus = world.orders.scale({"web": 4})
    world.run_all()
    assert (fresh, surplus) == (["web:3", "web:4"], [])
    assert states(world) == dict.fromkeys(("web:1", "web:2", "web:3", "web:4", "app"), "running")
    assert launches(world)["web:4"] == ["/bin/true 3004"]
    assert all(len(runs) == 1 for runs in launches(world).values())
    assert not stops(world)


def test_scaling_down_stops_the_highest_first_and_forgets_them() -> None:
    world = up(4)
    assert world.orders.scale({"web": 1}) == ([], ["web:4", "web:3", "web:2"])
    assert stops(world) == ["web:4", "web:3", "web:2"]
    for name in ("web:4", "web:3", "web:2"):
        world.exited(name, signal=15)
    assert states(world) == {"web:1": "running"}
    assert set(world.keeper.notes) == {"web:1", "@daemon"}


def test_none_at_all_is_a_scale_and_nobody_waits_for_it() -> None:
    world = World({"web": web(1, start_timeout=5), "app": service(depends_on=["web"])})
    world.boot()
    assert world.state("app") == "waiting"
    world.orders.scale({"web": 0})
    assert "app" in world.keeper.live
    world.spawned("web:1")
    world.exited("web:1", signal=15)
    world.run_all()
    assert states(world) == {"app": "running"}
    world.orders.scale({"web": 1})
    world.run_all()
    assert states(world) == {"web:1": "running", "app": "running"}


def test_what_was_surplus_and_is_wanted_again_starts_once_it_is_gone() -> None:
    world = up(2)
    world.orders.scale({"web": 1})
    world.orders.scale({"web": 2})
    assert world.state("web:2") == "stopping"
    world.exited("web:2", signal=15)
    world.run_all()
    assert states(world) == {"web:1": "running", "web:2": "running"}


def test_a_scale_outlives_the_supervisor_at_any_moment_of_it() -> None:
    world = up(2)
    world.orders.scale({"web": 4})
    world.die()
    world.run_all()
    assert states(world) == dict.fromkeys(("web:1", "web:2", "web:3", "web:4"), "running")
    assert all(len(runs) == 1 for runs in launches(world).values())
    world.orders.scale({"web": 1})
    world.exited("web:4", signal=15)
    world.die()
    for name in ("web:3", "web:2"):
        world.exited(name, signal=15)
    assert states(world) == {"web:1": "running"}
    world.die()
    assert states(world) == {"web:1": "running"}


def test_a_surplus_instance_is_stopped_as_declared_also_by_the_next_supervisor() -> None:
    world = World({"web": web(2, stop={"steps": [{"signal": 3, "timeout": 30}, {"signal": 2, "timeout": 5}]})})
    world.boot()
    world.run_all()
    world.orders.scale({"web": 1})
    world.die()
    world.wait(31)
    signals = [command["signal"] for key, command in world.keeper.commands if command["do"] == "signal"]
    assert signals == [3, 2]


def test_a_reload_that_changes_the_number_sets_it_anew_and_another_leaves_it() -> None:
    world = up(2)
    world.orders.scale({"web": 3})
    world.run_all()
    world.document = document({"web": web(2, description="new")})
    world.orders.declare(world.document)
    world.orders.align("reload")
    assert list(states(world)) == ["web:1", "web:2", "web:3"]
    world.orders.declare(document({"web": web(1)}))
    world.orders.align("reload")
    for name in ("web:3", "web:2"):
        world.exited(name, signal=15)
    assert states(world) == {"web:1": "running"}
    world.orders.declare(document({"web": web(2)}))
    world.orders.align("reload")
    world.run_all()
    assert list(states(world)) == ["web:1", "web:2"]
    assert len(launches(world)["web:1"]) == 1


def test_a_service_that_becomes_instances_is_replaced() -> None:
    world = World({"web": web(None)})
    world.boot()
    world.run_all()
    world.orders.declare(document({"web": web(2)}))
    world.orders.align("reload")
    world.exited("web", signal=15)
    world.run_all()
    assert states(world) == {"web:1": "running", "web:2": "running"}


@pytest.mark.parametrize(("name", "count"), [("db", 2), ("web", 70_000)])
def test_a_refused_scale_changes_nothing(name: str, count: int) -> None:
    world = up(2, db=service())
    notes = dict(world.keeper.notes)
    with pytest.raises(Refused, match="cannot scale"):
        world.orders.scale({"web": 3, name: count})
    assert (list(states(world)), world.keeper.notes) == (["web:1", "web:2", "db"], notes)


def test_only_named_services_and_instances_start_with_the_daemon() -> None:
    world = World({"web": web(2), "api": web(2), "db": service()})
    world.boot("web", "api:2")
    assert set(world.keeper.live) == {"web:1", "web:2", "api:2"}


# Rolling restarts


def notify(count: int) -> World:
    """Instances that are ready when they say so."""
    world = World({"web": web(count, type="notify", restart="never")})
    world.boot()
    world.run_all()
    ready(world, *list(world.keeper.live))
    return world


def ready(world: World, *names: str) -> None:
    for name in names:
        world.supervisor.post(name, Ready(world.keeper.live[name], "READY=1"))


def again(world: World, name: str) -> None:
    """It ends as asked, and its next run has started."""
    world.exited(name, signal=15)
    world.spawned(name)


def test_the_next_is_restarted_when_the_last_is_ready() -> None:
    world = notify(3)
    names = ["web:1", "web:2", "web:3"]
    world.orders.roll(names)
    for at, name in enumerate(names):
        assert stops(world) == names[: at + 1]
        again(world, name)
        assert stops(world) == names[: at + 1]
        ready(world, name)
    assert not world.orders.rolling.under_way()
    assert states(world) == dict.fromkeys(names, "running")


def test_it_ends_at_the_first_that_fails() -> None:
    world = notify(3)
    world.orders.roll(["web:1", "web:2", "web:3"])
    world.exited("web:1", signal=15)
    world.spawned("web:1")
    world.exited("web:1", code=3)
    assert not world.orders.rolling.under_way()
    assert world.orders.rolling.untouched() == ("web:2", "web:3")
    assert states(world) == {"web:1": "failed", "web:2": "running", "web:3": "running"}
    assert stops(world) == ["web:1"]
    told = world.supervisor.history.last(1, {""})[0]
    assert told.kind == "rolling"
    assert "not touched: web:2, web:3" in told.reason


@pytest.mark.parametrize("moment", range(4))
def test_the_next_supervisor_goes_on_at_any_moment(moment: int) -> None:
    world = notify(2)
    world.orders.roll(["web:1", "web:2"])
    acts: list[Callable[[], None]] = [
        lambda: world.exited("web:1", signal=15),
        lambda: world.spawned("web:1"),
        lambda: ready(world, "web:1"),
        lambda: world.exited("web:2", signal=15),
        lambda: world.spawned("web:2"),
        lambda: ready(world, "web:2"),
    ]
    for at, act in enumerate(acts):
        if at == moment + 1:
            world.die()
        act()
    assert not world.orders.rolling.under_way()
    assert [len(launches(world)[name]) for name in ("web:1", "web:2")] == [2, 2]
    assert states(world) == {"web:1": "running", "web:2": "running"}


def test_one_that_is_stopped_meanwhile_is_left_out() -> None:
    world = notify(3)
    world.orders.roll(["web:1", "web:2", "web:3"])
    world.orders.stop(["web:1", "web:2"])
    world.exited("web:1", signal=15)
    world.exited("web:2", signal=15)
    again(world, "web:3")
    ready(world, "web:3")
    assert not world.orders.rolling.under_way()
    assert states(world) == {"web:1": "stopped", "web:2": "stopped", "web:3": "running"}


def test_one_that_is_scaled_away_is_left_out() -> None:
    world = notify(2)
    world.orders.roll(["web:1", "web:2"])
    world.orders.scale({"web": 1})
    world.exited("web:2", signal=15)
    again(world, "web:1")
    ready(world, "web:1")
    assert not world.orders.rolling.under_way()
    assert states(world) == {"web:1": "running"}


def test_one_rolling_restart_at_a_time_and_none_while_the_daemon_ends() -> None:
    world = notify(2)
    world.orders.roll(["web:1", "web:2"])
    with pytest.raises(Refused, match="under way"):
        world.orders.roll(["web:2"])
    world.orders.shutdown("ordered to end")
    for name in ("web:1", "web:2"):
        world.exited(name, signal=15)
    assert world.keeper.finished == 0


def test_what_does_not_run_is_started() -> None:
    world = notify(2)
    world.orders.stop(["web:1"])
    world.exited("web:1", signal=15)
    world.orders.roll(["web:1", "web:2"])
    world.spawned("web:1")
    ready(world, "web:1")
    assert stops(world) == ["web:1", "web:2"]
