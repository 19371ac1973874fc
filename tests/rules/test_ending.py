"""When the daemon ends by itself, cell by cell."""

from __future__ import annotations

import pytest

from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.rules.ending import ExitWhen, after_change, exit_code
from tests.world import service

FAILED = Ended(Result.EXIT_CODE, 1, 0.0, code=4)
DONE = Ended(Result.SUCCESS, 1, 0.0, code=0)


def life(phase: Phase, ended: Ended | None = None, goal: Goal = Goal.UP) -> Life:
    return Life(phase, goal, "reason", ended=ended)


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (None, 1),
        (DONE, 0),
        (FAILED, 4),
        (Ended(Result.SIGNAL, 1, 0.0, signal=9), 137),
        (Ended(Result.RESOURCES, 1, 0.0, step="fork"), 1),
    ],
)
def test_exit_code(ended: Ended | None, code: int) -> None:
    assert exit_code(ended) == code


@pytest.mark.parametrize(
    ("when", "mine", "other", "failed", "code"),
    [
        (None, life(Phase.FAILED, FAILED), life(Phase.RUNNING), True, None),
        ("never", life(Phase.EXITED, DONE), life(Phase.EXITED, DONE), False, None),
        ("all-done", life(Phase.EXITED, DONE), life(Phase.RUNNING), False, None),
        ("all-done", life(Phase.EXITED, DONE), life(Phase.EXITED, DONE), False, 0),
        ("all-done", life(Phase.EXITED, DONE), life(Phase.FAILED, FAILED), False, 4),
        ("all-done", life(Phase.EXITED, DONE), life(Phase.STOPPED, goal=Goal.DOWN), False, 0),
        ("any-failed", life(Phase.BACKOFF, FAILED), life(Phase.RUNNING), True, 4),
        ("any-failed", life(Phase.EXITED, DONE), life(Phase.RUNNING), False, None),
        ("any-done", life(Phase.EXITED, DONE), life(Phase.RUNNING), False, 0),
        ("any-done", life(Phase.BACKOFF, FAILED), life(Phase.RUNNING), True, None),
        ("container", life(Phase.FAILED, FAILED), life(Phase.RUNNING), True, 4),
        ("container", life(Phase.EXITED, DONE), life(Phase.RUNNING), False, None),
        ("container", life(Phase.EXITED, DONE), life(Phase.EXITED, DONE), False, 0),
    ],
)
def test_after_change(when: ExitWhen, mine: Life, other: Life, failed: bool, code: int | None) -> None:
    specs = {"mine": service(), "other": service()}
    verdict = after_change("mine", when, specs, {"mine": mine, "other": other}, failed=failed)
    assert (None if verdict is None else verdict.code) == code


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.FAILED])
def test_an_essential_service_ends_the_daemon_whatever_exit_when_says(phase: Phase) -> None:
    specs = {"mine": service(essential=True), "other": service()}
    verdict = after_change(
        "mine", "never", specs, {"mine": life(phase, FAILED), "other": life(Phase.RUNNING)}, failed=True
    )
    assert verdict is not None
    assert verdict.code == 4


def test_an_essential_service_that_was_stopped_ends_nothing() -> None:
    specs = {"mine": service(essential=True)}
    lives = {"mine": life(Phase.STOPPED, goal=Goal.DOWN)}
    assert after_change("mine", None, specs, lives, failed=False) is None
