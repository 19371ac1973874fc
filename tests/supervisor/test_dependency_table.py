"""Each cell of the table in docs/dependencies.md, as it is printed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from pserv.model.events import Ready, Unhealthy, Unready
from pserv.model.needs import Need
from pserv.model.states import Phase
from tests.world import World, document, service

PAGE = Path(__file__).parents[2] / "docs" / "dependencies.md"
LAZY = service(type="notify", sockets={"db": {"listen": "5432"}}, lazy=True)
DB = service(type="notify", health={"tcp": {"port": 1}}, restart="on-failure", max_retries=1)


def cells() -> list[tuple[str, str, str]]:
    """(what happens to db, how web is, what becomes of it), from the page."""
    lines = PAGE.read_text().split("## What becomes of web")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, _, *body = rows
    return [(row[0], column, cell) for row in body for column, cell in zip(head[1:], row[1:], strict=True)]


WEB: dict[str, Need] = {
    "web waits for `ready`": Need(),
    "web waits for `completed`": Need("completed"),
    "web waits, `required: false`": Need(required=False),
    "web runs": Need(),
    "web runs, `restart: true`": Need(restart=True),
    "web backs off": Need(),
}


def ends(world: World, code: int) -> None:
    world.exited("db", code=code)
    world.run_all()


def fails_for_good(world: World) -> None:
    while world.state("db") != "failed":
        world.run_all()
        if "db" in world.keeper.live:
            world.exited("db", code=1)
        world.wait(5.0)


def stopped(world: World) -> None:
    world.orders.stop(["db"])
    world.exited("db", signal=15)


def listens(world: World) -> None:
    """It ends with success, or is started anew by hand before it comes back."""
    if world.state("db") == "running":
        world.exited("db", code=0)
    else:
        for _ in range(2):
            world.exited("db", code=1)
            world.run_all()
        assert world.state("db") == "backoff"
        world.orders.start(["db"])
    world.run_all()
    assert world.life("db").phase is Phase.LISTENING


def restarted(world: World) -> None:
    world.orders.restart(["db"])
    follow_restart(world)


def reloaded(world: World) -> None:
    world.orders.declare(document({**world.supervisor.specs, "db": replace(DB, args=("--new",))}))
    world.orders.align("reload")
    follow_restart(world)


def follow_restart(world: World) -> None:
    """Whoever was told to stop ends; web, if it was, before db is told."""
    if world.life("web").phase is Phase.STOPPING:
        assert world.life("db").phase is not Phase.STOPPING
        world.exited("web", signal=15)
        assert world.life("web").phase is Phase.WAITING
    world.exited("db", signal=15)
    world.run_all()


HAPPENS: dict[str, Callable[[World], None]] = {
    "becomes ready": lambda world: world.supervisor.post("db", Ready(world.life("db").run)),
    "fails and is tried again": lambda world: ends(world, code=1),
    "fails for good": fails_for_good,
    "ends with success": lambda world: ends(world, code=0),
    "is stopped by hand": stopped,
    "is lazy and waits for a connection": listens,
    "is restarted by hand": restarted,
    "is restarted by a reload": reloaded,
    "becomes unready": lambda world: world.supervisor.post("db", Unready(world.life("db").run, "busy")),
    "becomes unhealthy": lambda world: world.supervisor.post("db", Unhealthy(world.life("db").run, "500", ends=False)),
}


def begin(row: str, column: str) -> World:
    """A world in which web is as the column says, and db may do what the row says."""
    need = WEB[column]
    db = replace(DB, type="simple", health=None) if need.condition == "completed" and row == "ends with success" else DB
    if row == "ends with success" and "waits" in column and need.condition != "completed":
        db = replace(DB, restart="never")  # before it is ready its end is a failure, whatever its code
    db = LAZY if "lazy" in row else db
    web = replace(service(restart="always"), depends_on={"db": need})
    world = World({"db": db, "web": web})
    if column == "web backs off":
        world.supervisor.specs["web"] = replace(web, backoff=replace(web.backoff, initial=500.0, maximum=500.0))
    if "lazy" in row:
        world.boot("db")
        world.orders.restart(["db"])
    world.boot()
    world.run_all()
    if "waits" in column:
        assert world.state("web") == "waiting"
        return world
    world.supervisor.post("db", Ready(world.life("db").run))
    world.run_all()
    assert world.state("web") == "running"
    while column == "web backs off" and world.state("web") != "backoff":
        world.exited("web", code=1)
        world.run_all()
    if row == "becomes ready":
        world.supervisor.post("db", Unready(world.life("db").run, "busy"))
    return world


@pytest.mark.parametrize(("row", "column", "cell"), cells())
def test_a_cell(row: str, column: str, cell: str) -> None:
    world = begin(row, column)
    before = world.life("web")
    HAPPENS[row](world)
    if cell.endswith(" when due"):
        assert world.state("web") == "backoff"
        assert before.deadline is not None
        world.wait(before.deadline - world.clock.time)
    after = world.life("web")
    match cell.removesuffix(" when due"):
        case "waits":
            assert after.phase is Phase.WAITING
            assert after.reason.startswith("waiting for db")
        case "starts":
            assert after.phase in (Phase.STARTING, Phase.RUNNING)
            assert after.run > before.run
        case "fails":
            assert after.phase is Phase.FAILED
            assert after.reason.startswith("needs db, which ")
        case "runs on":
            assert (after.phase, after.run) == (Phase.RUNNING, before.run)
            assert "signal" not in world.keeper.done("web")
        case "is restarted":
            assert after.phase is Phase.WAITING
            world.supervisor.post("db", Ready(world.life("db").run))
            world.run_all()
            assert world.state("web") == "running"
            assert world.life("web").run > before.run
        case other:
            raise AssertionError(f"nobody knows what {other!r} is")
    assert world.bugs == []


def test_the_table_is_whole() -> None:
    assert {(row, column) for row, column, _ in cells()} == {(row, column) for row in HAPPENS for column in WEB}
