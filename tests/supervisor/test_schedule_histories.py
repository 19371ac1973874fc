"""A scheduled service under random orders, ends, clocks and deaths of supervisors, in a pretend world."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.model.states import Goal
from pserv.supervisor import hook_runs
from tests.rounds import EXAMPLES
from tests.supervisor.test_schedule import HOOK, MINUTELY, reload, scheduled, set_clock, world
from tests.world import World

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "overlap": st.sampled_from(["skip", "queue", "kill"]),
        "missed": st.sampled_from(["skip", "run"]),
        "restart": st.sampled_from(["on-failure", "always"]),
        "max_runtime": st.sampled_from([5.0, 100.0]),
        "hooks": st.sampled_from([{"pre_start": [HOOK]}, {"pre_start": [HOOK, HOOK], "post_stop": [HOOK]}]),
    },
)
WORDS = "wait,wait long,spawned,exit,fail,hook,hook fails,stop,start,restart,run,set,die,reload"
STEPS = st.lists(st.sampled_from(WORDS.split(",")), max_size=40)


@settings(max_examples=4 * EXAMPLES)
@given(st.sampled_from([MINUTELY, "*/10 * * * * *", "@every 7s"]), OPTIONS, STEPS)
def test_whatever_happens_it_has_one_run_at_most_and_a_next_one(
    schedule: str, options: dict[str, object], steps: list[str]
) -> None:
    """The pretend keeper refuses a second live run; nothing may be left without anything to come."""
    made = world(schedule, **options)
    for number, step in enumerate(steps):
        _do(made, step, number, options)
        life = made.life("job")
        assert not made.bugs
        assert life.resting <= (life.phase.value == "waiting")
        if life.goal is Goal.UP and "job" not in made.keeper.live:
            killed = life.hook is not None and life.hook.killed
            assert life.deadline is not None or killed, f"nothing will ever happen again: {life}"


def _do(made: World, step: str, number: int, options: dict[str, object]) -> None:
    life = made.life("job")
    live, hook = ("job" in made.keeper.live, hook_runs.key_of("job") in made.keeper.live)
    match step:
        case "wait":
            made.wait(9)
        case "wait long":
            made.wait(400)
        case "spawned" if live and not life.pid:
            made.spawned("job")
        case "exit" | "fail" if live and life.pid:
            made.exited("job", int(step == "fail"))
        case "hook" | "hook fails" if hook:
            made.hook_ended("job", "exit code 1" if step == "hook fails" else "")
        case "stop":
            made.orders.stop(["job"])
        case "start":
            made.orders.start(["job"])
        case "restart":
            made.orders.restart(["job"])
        case "run" if not live and not hook:
            made.orders.run("job")
        case "set":
            set_clock(made, 5000.0 if number % 2 else -5000.0)
        case "die":
            made.die()
        case "reload":
            reload(made, {"job": scheduled("*/20 * * * * *" if number % 2 else MINUTELY, **options)})
