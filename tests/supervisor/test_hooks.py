"""Hooks that a service waits for, against a pretend keeper: one transaction each; what a new supervisor makes of it."""

from __future__ import annotations

import pytest

from pserv.keeper.protocol import Message
from pserv.model.hooks import Hook, Hooks
from pserv.model.states import Ended, Life, Phase, Result
from pserv.supervisor import hook_runs, reasons
from tests.world import PLACES, World, service

KEY = hook_runs.key_of("web")
FIRST = Hook(command=("first",))
HOOKS = Hooks(
    pre_start=(FIRST, Hook(command=("second",))),
    pre_stop=(Hook(command=("drain",)),),
    post_stop=(Hook(command=("clean",), user="nobody"),),
)


def world() -> World:
    return World({"web": service(hooks=HOOKS, user="www", group="www", env={"COLOUR": "blue"})})


def launched(world: World) -> list[str]:
    """argv[0] of every hook, in order."""
    return [
        command["launch"]["argv"][0] for key, command in world.keeper.commands if key == KEY and "launch" in command
    ]


def last(world: World) -> Message:
    launch: Message = [command for _, command in world.keeper.commands if "launch" in command][-1]["launch"]
    return launch


def through(world: World, *, die: bool) -> None:
    """A whole life; with `die` the supervisor is another one after each step."""

    def step() -> None:
        if die:
            world.die()

    world.boot()
    step()
    world.hook_ended("web")
    step()
    world.hook_ended("web")
    step()
    world.spawned("web")
    step()
    world.orders.stop(["web"])
    step()
    world.hook_ended("web")
    step()
    world.exited("web", signal=15)
    step()
    world.hook_ended("web")
    step()


@pytest.mark.parametrize("die", [False, True])
def test_each_hook_runs_once_also_when_supervisors_die(die: bool) -> None:
    told = world()
    through(told, die=die)
    assert told.bugs == []
    assert launched(told) == ["first", "second", "drain", "clean"]
    assert (told.state("web"), told.life("web").reason) == ("stopped", "stopped by operator")
    assert told.keeper.live == {}
    assert [command["do"] for key, command in told.keeper.commands if key == KEY][-1] == "forget"


def test_the_note_and_the_spawn_of_a_hook_are_one_transaction() -> None:
    told = world()
    told.boot()
    hook = told.note("web").life.hook
    assert hook is not None
    assert told.keeper.live == {KEY: hook.run}


def test_a_failed_start_is_recorded_with_the_last_words_of_its_hook() -> None:
    told = World({"web": service(hooks=HOOKS, max_retries=0)})
    told.boot()
    told.hook_ended("web", "exit code 3")
    assert told.life("web").phase is Phase.CLEANING
    crash = told.note("web").crash
    assert crash is not None
    assert crash.lines == ("last words of a hook of web",)
    told.hook_ended("web")
    assert (
        told.life("web").reason == "gave up after 0 retries: pre_start 'first' failed: exit code 3; policy on-failure"
    )


def test_a_deadline_of_a_hook_outlives_the_supervisor() -> None:
    told = world()
    told.boot()
    told.wait(30)
    told.die()
    told.wait(29)
    assert told.keeper.done(KEY) == ["spawn"]
    told.wait(1.5)
    assert told.keeper.done(KEY) == ["spawn", "signal"]
    told.die()
    told.wait(2)
    assert told.keeper.done(KEY) == ["spawn", "signal", "kill"]


def test_a_hook_runs_as_its_service_or_as_another_user() -> None:
    told = world()
    told.boot()
    launch = last(told)
    assert (launch["user"], launch["group"], launch["env"]["COLOUR"]) == ("www", "www", "blue")
    assert launch["banner"] == "--- pre_start 'first'\n"
    through_stop = world()
    through(through_stop, die=False)
    launch = last(through_stop)
    assert (launch["user"], launch.get("group")) == ("nobody", None)


def upcoming(world: World) -> str:
    return reasons.upcoming("web", world.supervisor.specs["web"], world.life("web"), world.clock.now())


def test_what_comes_next_is_told_of_each_hook() -> None:
    told = world()
    told.boot()
    waits = "is ended in 1 min if it is still running"
    assert upcoming(told) == f"pre_start 'first' {waits}; it is started once its pre_start hooks are done"
    told.hook_ended("web")
    told.hook_ended("web")
    told.spawned("web")
    told.orders.stop(["web"])
    after = "the first stop signal comes after its pre_stop hooks, then it is stopped"
    assert upcoming(told) == f"pre_stop 'drain' {waits}; {after}"
    told.hook_ended("web")
    told.exited("web", signal=15)
    assert upcoming(told) == f"post_stop 'clean' {waits}; it is stopped after its post_stop hooks"


def test_what_a_hook_is_told() -> None:
    killed = Ended(Result.CORE_DUMP, 7, 10.0, signal=11)
    life = Life(Phase.CLEANING, reason="why", run=7, attempt=2, ended=killed)
    launch = hook_runs.launch("web:2", service(type="notify", env={"COLOUR": "blue"}), FIRST, "post_stop", life, PLACES)
    told = launch["env"]
    assert "notify" not in launch, "a hook speaks for nobody"
    assert told == {
        "PSERV_SERVICE": "web",
        "PSERV_INSTANCE": "2",
        "PSERV_INDEX": "1",
        "COLOUR": "blue",
        "PSERV_LOG": "/logs/web:2.log",
        "PSERV_ATTEMPT": "2",
        "PSERV_REASON": "why",
        "PSERV_SERVICE_RUN_ID": "/web:2/7",
        "PSERV_RESULT": "core-dump",
        "SERVICE_RESULT": "core-dump",
        "PSERV_SIGNAL": "SEGV",
        "EXIT_CODE": "dumped",
        "EXIT_STATUS": "SEGV",
    }
    runs = hook_runs.environment("web", Life(Phase.RUNNING, run=7, pid=70, ended=killed), PLACES)
    assert (runs["PSERV_MAIN_PID"], runs["MAINPID"]) == ("70", "70")
    assert "PSERV_RESULT" not in runs


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({"kind": "exited", "code": 0, "signal": None}, ""),
        ({"kind": "exited", "code": 3, "signal": None}, "exit code 3"),
        ({"kind": "exited", "code": None, "signal": 9}, "killed by SIGKILL"),
        ({"kind": "exited", "code": None, "signal": None}, "survived SIGKILL"),
        (
            {"kind": "spawn-failed", "step": "exec", "errno": 2, "detail": "/no"},
            "cannot exec /no: No such file or directory",
        ),
        ({"kind": "refused", "error": "the daemon ends"}, "the daemon ends"),
    ],
)
def test_why_a_hook_failed(report: Message, why: str) -> None:
    assert hook_runs.failure(report) == why


def test_keys_of_hooks() -> None:
    assert hook_runs.service_of(KEY) == "web"
    assert hook_runs.service_of("web") is None
    assert hook_runs.parse_beside("@" + hook_runs.beside_kind("web:2", "on_failed", 1) + "/77") == (
        "web:2",
        "on_failed",
        1,
    )
    assert hook_runs.parse_beside("@loader/77") is None
