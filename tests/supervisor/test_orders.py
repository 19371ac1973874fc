"""Orders and the supervisor's one path, against a pretend keeper and clock."""

from __future__ import annotations

import pytest

from pserv.model.errors import Refused
from pserv.model.events import Start
from pserv.model.states import Goal
from pserv.supervisor.daemon_note import DAEMON
from tests.world import World, document, service


def chain() -> World:
    return World({"db": service(), "app": service(depends_on=["db"]), "web": service(depends_on=["app"])})


def test_a_chain_starts_in_order_and_stops_in_reverse() -> None:
    world = chain()
    world.boot()
    assert list(world.keeper.live) == ["db"]
    assert (world.state("app"), world.state("web")) == ("waiting", "waiting")
    world.spawned("db")
    assert list(world.keeper.live) == ["db", "app"]
    world.spawned("app")
    world.spawned("web")
    world.orders.stop(["db", "app", "web"])
    assert [world.state(name) for name in ("db", "app", "web")] == ["running", "running", "stopping"]
    world.exited("web", signal=15)
    assert world.state("app") == "stopping"
    world.exited("app", signal=15)
    world.exited("db", signal=15)
    assert {world.state(name) for name in ("db", "app", "web")} == {"stopped"}


def test_start_brings_up_what_it_needs() -> None:
    world = chain()
    world.orders.start(["web"])
    world.run_all()
    assert {world.state(name) for name in ("db", "app", "web")} == {"running"}


def test_a_crash_is_recorded_with_its_last_lines_and_acknowledged_with_the_note() -> None:
    world = World({"web": service(restart="on-failure", max_retries=0)})
    world.boot()
    world.run_all()
    world.exited("web", code=3)
    note = world.note("web")
    assert note.crash is not None
    assert note.crash.ended.code == 3
    assert note.crash.lines == ("last words of web",)
    assert note.crash.max_rss == 1 << 20
    assert world.keeper.acknowledged == [1, 2]


def test_a_stop_in_order_goes_on_after_the_supervisor_died() -> None:
    world = chain()
    world.boot()
    world.run_all()
    world.orders.stop(["db", "app", "web"])
    world.die()
    assert world.state("web") == "stopping"
    assert world.life("db").goal is Goal.UP
    world.exited("web", signal=15)
    world.exited("app", signal=15)
    world.exited("db", signal=15)
    assert world.state("db") == "stopped"
    world.die()
    assert {world.state(name) for name in ("db", "app", "web")} == {"stopped"}
    assert not world.keeper.live


def test_shutdown_goes_on_after_the_supervisor_died_and_ends_once() -> None:
    world = chain()
    world.boot()
    world.run_all()
    world.orders.shutdown("ordered to end", 7)
    world.die()
    for name in ("web", "app", "db"):
        assert world.keeper.finished is None
        world.exited(name, signal=15)
    assert world.keeper.finished == 7


def test_while_ending_nothing_is_started() -> None:
    world = chain()
    world.boot()
    world.run_all()
    world.orders.shutdown("ordered to end")
    with pytest.raises(Refused, match="the daemon is ending"):
        world.orders.start(["web"])


def test_hurry_kills_all_at_once() -> None:
    world = chain()
    world.boot()
    world.run_all()
    world.orders.shutdown("ordered to end")
    world.orders.hurry()
    assert all(world.keeper.done(name)[-1] == "kill" for name in ("db", "app", "web"))
    for name in list(world.keeper.live):
        world.exited(name, signal=9, gone=False)
        world.gone(name)
    assert world.keeper.finished == 0


def test_an_operators_stop_is_remembered_by_the_next_supervisor() -> None:
    world = World({"web": service(), "worker": service()})
    world.boot()
    world.run_all()
    world.orders.stop(["web"])
    world.exited("web", signal=15)
    before = world.life("web")
    world.die()
    assert world.life("web") == before
    assert world.keeper.done("web") == ["spawn", "signal"]


def test_backoff_and_attempts_are_remembered_by_the_next_supervisor() -> None:
    world = World({"web": service(restart="always")})
    world.boot()
    world.run_all()
    for _ in range(3):
        world.exited("web", code=1)
        if world.state("web") == "backoff":
            break
        world.run_all()
    before = world.life("web")
    assert before.deadline is not None
    world.die()
    assert world.life("web") == before
    world.wait(before.deadline - world.clock.time)
    assert "web" in world.keeper.live


def test_reload_restarts_only_what_changed_and_stops_what_left() -> None:
    world = World({"web": service(), "old": service(), "same": service()})
    world.boot()
    world.run_all()
    world.orders.declare(document({"web": service(args=["--new"]), "same": service(), "new": service()}))
    world.orders.align("reload")
    assert world.state("web") == "stopping"
    assert world.state("old") == "stopping"
    assert world.state("same") == "running"
    world.exited("web", signal=15)
    world.exited("old", signal=15)
    world.run_all()
    assert "old" not in world.supervisor.lives
    assert "old" not in world.keeper.notes
    assert [world.state(name) for name in ("web", "same", "new")] == ["running"] * 3
    assert world.keeper.done("same") == ["spawn"]


def test_reload_with_a_live_change_touches_no_process() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    count = len(world.keeper.commands)
    world.orders.declare(document({"web": service(restart="always", stop={"signal": 3, "timeout": 5})}))
    world.orders.align("reload")
    assert len(world.keeper.commands) == count


def test_a_restart_that_a_reload_owes_is_made_by_the_next_supervisor() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    world.document = document({"web": service(args=["--new"])})
    world.die()
    assert world.state("web") == "stopping"


def test_a_service_that_comes_back_before_it_is_gone_is_started_again() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    world.orders.declare(document({}))
    world.orders.align("reload")
    world.orders.declare(document({"web": service()}))
    world.orders.align("reload")
    world.exited("web", signal=15)
    world.run_all()
    assert world.state("web") == "running"


def test_an_essential_service_takes_the_daemon_down_with_its_code() -> None:
    world = World({"main": service(essential=True, restart="never"), "side": service()})
    world.boot()
    world.run_all()
    world.exited("main", code=5)
    world.exited("side", signal=15)
    assert world.keeper.finished == 5


@pytest.mark.parametrize(
    ("when", "codes", "finished"),
    [("all-done", [0, 0], 0), ("all-done", [0, 4], 4), ("any-done", [0], 0), ("never", [0, 0], None)],
)
def test_exit_when(when: str, codes: list[int], finished: int | None) -> None:
    world = World({"a": service(restart="never"), "b": service(restart="never")}, exit_when=when)
    world.boot()
    world.run_all()
    for name, code in zip("ab", codes, strict=False):
        world.exited(name, code=code)
    for name in list(world.keeper.live) if when != "never" else []:
        world.exited(name, signal=15)
    assert world.keeper.finished == finished


def test_in_safe_mode_nothing_is_started_but_stop_works() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    world.document = document({"web": service(args=["--new"]), "more": service()})
    world.die(safe=True)
    assert world.state("web") == "running"
    with pytest.raises(Refused, match="safe mode"):
        world.orders.restart(["web"])
    world.orders.stop(["web"])
    world.exited("web", signal=15)
    assert world.state("web") == "stopped"


def test_news_of_an_unknown_service_is_acknowledged() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    world.orders.declare(document({}))
    world.orders.align("reload")
    world.exited("web", signal=15)
    assert world.reports in world.keeper.acknowledged


def test_a_bug_in_one_services_handling_is_told_and_does_not_stop_others() -> None:
    world = World({"web": service(), "worker": service()})
    del world.supervisor.specs["web"]
    world.supervisor.post("web", _event())
    world.supervisor.post("worker", _event())
    assert len(world.bugs) == 1
    assert "web" in world.bugs[0]
    assert "worker" in world.keeper.live


def _event() -> Start:
    return Start()


def test_history_tells_each_change_with_its_reason() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    rows = world.supervisor.history.last(10, {"web"})
    assert [row.phase for row in rows] == ["starting", "running"]
    assert all(row.reason for row in rows)


def test_the_daemons_note_is_kept_under_its_own_key() -> None:
    world = chain()
    world.boot()
    world.run_all()
    world.orders.shutdown("ordered to end", 3)
    assert DAEMON in world.keeper.notes


def test_a_thousand_services_start_and_stop_in_linear_time() -> None:
    world = World({f"s{number}": service() for number in range(1000)})
    world.boot()
    world.run_all()
    world.orders.shutdown("ordered to end")
    for name in list(world.keeper.live):
        world.exited(name, signal=15)
    assert world.keeper.finished == 0
