"""Scheduled services in a pretend world: overlap, missed runs, clocks that are set, supervisors that die."""

from __future__ import annotations

import pytest

from pserv.model.errors import Refused
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal
from tests.world import World, service

MINUTELY = "* * * * *"
START = 1000.0
"""When the pretend monotonic clock begins."""


def scheduled(schedule: str = MINUTELY, **options: object) -> ServiceSpec:
    return service(**{"schedule": schedule, "type": "oneshot", "timezone": "UTC", **options})


def world(schedule: str = MINUTELY, **options: object) -> World:
    return booted({"job": scheduled(schedule, **options)})


def booted(services: dict[str, ServiceSpec]) -> World:
    """A little less than twenty seconds before 22:30 UTC."""
    made = World(services)
    made.clock.offset -= 19.99
    made.boot()
    return made


def runs(made: World) -> int:
    return made.keeper.done("job").count("spawn")


def finish(made: World, code: int = 0) -> None:
    made.spawned("job")
    made.exited("job", code)


def test_it_waits_runs_and_waits_again() -> None:
    made = world()
    assert made.state("job") == "waiting"
    assert made.life("job").reason == "next run at 2023-11-14 22:30:00 UTC; started by daemon start"
    made.wait(19.9)
    assert runs(made) == 0
    made.wait(0.2)
    assert made.life("job").reason == "due at 2023-11-14 22:30:00 UTC"
    finish(made, 3)
    assert made.life("job").reason.startswith("next run at 2023-11-14 22:31:00 UTC; exit code 3 after ")
    made.wait(600)
    assert runs(made) == 2, "one that is under way is not begun again"
    assert not made.bugs


def test_what_is_due_while_one_runs_is_left_out_and_told() -> None:
    made = world()
    made.wait(20)
    made.spawned("job")
    made.wait(130)
    made.exited("job", 0)
    assert runs(made) == 1
    assert "skipped the run due at 2023-11-14 22:31:00 UTC" in made.life("job").reason
    assert made.life("job").reason.startswith("next run at 2023-11-14 22:33:00 UTC")


def test_what_is_due_while_one_runs_waits_for_its_end_once() -> None:
    made = world(overlap="queue")
    made.wait(20)
    made.spawned("job")
    made.wait(500)
    made.exited("job", 0)
    assert runs(made) == 2
    assert made.life("job").reason == "due at 2023-11-14 22:31:00 UTC, when the one before had ended"
    finish(made)
    assert runs(made) == 2
    assert made.life("job").resting


def test_what_is_due_ends_the_one_that_runs() -> None:
    made = world(overlap="kill")
    made.wait(20)
    made.spawned("job")
    made.wait(59.9)
    assert made.state("job") == "starting"
    made.wait(0.2)
    assert made.state("job") == "stopping"
    assert made.life("job").reason.startswith("the next run is due at 2023-11-14 22:31:00 UTC: sent SIGTERM")
    made.exited("job", None, 15)
    assert runs(made) == 2
    assert made.life("job").reason == "due at 2023-11-14 22:31:00 UTC"
    assert made.supervisor.records["job"].crash is None


def test_the_policy_acts_within_a_run() -> None:
    made = world(restart="on-failure", max_retries=1)
    made.wait(20)
    finish(made, 1)
    assert runs(made) == 2, "the first restart comes at once"
    finish(made, 1)
    assert made.life("job").resting
    made.wait(60)
    finish(made, 1)
    assert runs(made) == 4, "each run has its own retries"


def test_a_run_that_lasts_too_long_is_ended() -> None:
    made = world(max_runtime=5)
    made.wait(20)
    made.spawned("job")
    made.wait(5)
    assert made.state("job") == "stopping"
    made.exited("job", None, 15)
    assert made.life("job").resting
    assert "still running after its max_runtime of 5 s" in made.life("job").reason


def test_stopped_it_runs_no_more_until_started() -> None:
    made = world()
    made.orders.stop(["job"])
    made.wait(600)
    assert runs(made) == 0
    made.orders.start(["job"])
    made.wait(60)
    assert runs(made) == 1


def test_by_hand_it_runs_now_and_its_schedule_stays_as_it_was() -> None:
    made = world()
    made.orders.run("job")
    assert made.life("job").reason == "run by operator"
    finish(made)
    assert made.life("job").reason.startswith("next run at 2023-11-14 22:30:00 UTC")
    made.orders.stop(["job"])
    made.orders.run("job")
    finish(made)
    assert (made.state("job"), made.life("job").goal) == ("stopped", Goal.DOWN)
    made.wait(600)
    assert runs(made) == 2


def test_by_hand_nothing_runs_twice_at_once() -> None:
    made = world()
    made.orders.run("job")
    with pytest.raises(Refused, match="run 1 is under way"):
        made.orders.run("job")


def test_what_does_not_end_cannot_be_run() -> None:
    made = World({"web": service()})
    with pytest.raises(Refused, match="it does not end by itself"):
        made.orders.run("web")


def set_clock(made: World, seconds: float) -> None:
    made.clock.offset += seconds
    made.supervisor.clock_changed()


@pytest.mark.parametrize(("missed", "expected"), [("skip", 0), ("run", 1)])
def test_of_what_was_missed_one_is_run_at_most(missed: str, expected: int) -> None:
    made = world(missed=missed)
    set_clock(made, 3600)
    assert runs(made) == expected
    if expected:
        finish(made)
    else:
        assert "missed the run due at 2023-11-14 22:30:00 UTC" in made.life("job").reason
    assert made.life("job").reason.startswith("next run at 2023-11-14 23:30:00 UTC")


def test_a_clock_set_back_an_hour_is_believed() -> None:
    made = world("0 3 * * *")
    made.wait(5 * 3600)
    assert runs(made) == 1
    finish(made)
    set_clock(made, -3600)
    made.wait(3600)
    assert runs(made) == 2, "three o'clock comes again"


def test_a_clock_set_back_by_a_little_runs_nothing_twice() -> None:
    made = world()
    made.wait(20)
    finish(made)
    set_clock(made, -1.5)
    made.wait(60)
    assert runs(made) == 1
    made.wait(2)
    assert runs(made) == 2


def test_every_goes_by_the_monotonic_clock_and_does_not_drift() -> None:
    made = world("@every 90s")
    made.wait(90)
    set_clock(made, 7200)
    made.spawned("job")
    made.wait(33)
    made.exited("job", 0)
    assert made.life("job").deadline == START + 180
    made.wait(57)
    assert runs(made) == 2


def test_what_was_due_while_no_supervisor_lived_is_run_once() -> None:
    made = world()
    made.clock.time += 150  # nobody looks at the clock
    made.die()
    made.supervisor.tick()
    assert runs(made) == 1
    finish(made)
    assert made.life("job").reason.startswith("next run at 2023-11-14 22:33:00 UTC")


def test_a_dead_supervisor_doubles_nothing() -> None:
    made = world()
    made.wait(20)
    made.die()
    made.supervisor.tick()
    made.spawned("job")
    made.die()
    made.supervisor.tick()
    assert runs(made) == 1
    made.exited("job", 0)
    made.die()
    made.supervisor.tick()
    assert runs(made) == 1
    assert [end.code for end in made.supervisor.records["job"].ends] == [0]


def test_another_schedule_acts_at_once() -> None:
    made = world()
    reload(made, {"job": scheduled("0 0 * * *")})
    assert made.life("job").reason.startswith("next run at 2023-11-15 00:00:00 UTC")


def test_another_schedule_acts_on_what_is_under_way() -> None:
    made = world(overlap="kill")
    made.wait(20)
    made.spawned("job")
    reload(made, {"job": scheduled("0 0 * * *", overlap="kill")})
    made.wait(600)
    assert made.state("job") == "starting", "what was due by the old line ends nothing"
    reload(made, {"job": scheduled(overlap="kill")})
    made.wait(60)
    assert made.state("job") == "stopping"
    reload(made, {"job": scheduled("0 0 * * *", overlap="kill")})
    made.exited("job", None, 15)
    assert made.life("job").reason.startswith("next run at 2023-11-15 00:00:00 UTC")


def test_without_its_schedule_a_oneshot_is_stopped_and_another_one_starts() -> None:
    made = booted({"job": scheduled(), "web": scheduled()})
    reload(made, {"job": service(type="oneshot"), "web": service()})
    assert (made.state("job"), made.life("job").reason) == ("stopped", "not scheduled any more")
    made.spawned("web")
    assert made.state("web") == "running"
    reload(made, {"job": scheduled(), "web": scheduled()})
    assert made.state("job") == "stopped", "a reload starts nothing that is stopped"
    made.exited("web", None, 15)
    assert made.life("web").resting


def reload(made: World, services: dict[str, ServiceSpec]) -> None:
    made.document = World(services).document
    made.orders.declare(made.document)
    made.orders.align("reload")


def test_a_oneshot_that_gets_a_schedule_waits_for_it() -> None:
    made = World({"job": service(type="oneshot")})
    made.boot()
    finish(made)
    reload(made, {"job": scheduled()})
    assert made.life("job").resting


def test_what_it_needs_is_waited_for_and_a_lost_run_is_told() -> None:
    made = booted({"db": service(), "job": scheduled(depends_on={"db": {}})})
    made.wait(20)
    assert made.life("job").reason == "waiting for db"
    made.spawned("db")
    assert runs(made) == 1
    finish(made)
    made.orders.stop(["db"])
    made.exited("db", None, 15)
    made.wait(60)
    assert runs(made) == 1
    assert made.life("job").reason.startswith("next run at 2023-11-14 22:32:00 UTC; needs db, which is stopped")


HOOK = {"command": ["hook"]}


def test_what_is_due_ends_a_hook_that_prepares_the_one_before() -> None:
    made = world(overlap="kill", hooks={"pre_start": [HOOK]})
    made.wait(20)
    assert made.life("job").reason.endswith("runs pre_start 'hook'")
    made.wait(60)
    assert made.life("job").reason == "the next run is due at 2023-11-14 22:31:00 UTC: ends pre_start 'hook'"
    made.hook_ended("job", "killed by SIGTERM")
    assert made.life("job").reason == "due at 2023-11-14 22:31:00 UTC: runs pre_start 'hook'"
    assert runs(made) == 0
    made.hook_ended("job")
    finish(made)
    assert runs(made) == 1
    assert made.life("job").resting


def test_what_is_due_ends_a_run_that_waits_for_its_next_try_or_for_another() -> None:
    made = world(overlap="kill", restart="on-failure", backoff={"initial": 300, "maximum": 300})
    made.wait(20)
    finish(made, 1)
    finish(made, 1)
    assert made.state("job") == "backoff"
    made.wait(60)
    assert made.life("job").reason == "due at 2023-11-14 22:31:00 UTC"
    slow = service(start_timeout=1000)
    made = booted({"db": slow, "job": scheduled(overlap="kill", depends_on={"db": {}})})
    made.wait(200)
    made.spawned("db")
    assert made.life("job").reason == "due at 2023-11-14 22:31:00 UTC"
    deadline = made.life("job").deadline
    assert deadline is not None
    assert deadline > made.clock.now()


def test_a_run_that_waits_for_its_next_try_is_under_way() -> None:
    made = world(restart="on-failure", backoff={"initial": 300, "maximum": 300})
    made.wait(20)
    finish(made, 1)
    finish(made, 1)
    made.wait(200)
    assert made.state("job") == "backoff"
    made.wait(200)
    finish(made)
    assert "skipped the run due at 2023-11-14 22:31:00 UTC" in made.life("job").reason
