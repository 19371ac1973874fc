"""When a change of files is news to a service, and when it seems to be the service's own doing."""

from __future__ import annotations

import pytest

from pserv.model.states import Goal, Life, Phase
from pserv.rules import watching
from pserv.rules.watching import Streak


@pytest.mark.parametrize("phase", Phase)
def test_in_any_state_but_stopped(phase: Phase) -> None:
    quiet = phase in (Phase.STOPPED, Phase.WAITING, Phase.LISTENING)
    assert watching.acts(Life(phase, Goal.UP)) is not quiet
    assert not watching.acts(Life(phase, Goal.DOWN))
    ending = phase in (Phase.CLOSING, Phase.STOPPING, Phase.ENDING, Phase.CLEANING)
    assert watching.acts(Life(phase, Goal.UP, again=True)) is not (quiet or ending)


def running(run: int, started: float = 100.0) -> Life:
    return Life(Phase.RUNNING, Goal.UP, run=run, started=started)


def test_a_file_that_changes_right_after_each_start_is_its_own_doing() -> None:
    streak = watching.counted(None, running(1), 101.0)
    for run in range(2, 2 + watching.MOST):
        assert not streak.endless
        streak = watching.counted(streak, running(run), 101.0)
    assert streak.endless
    # It is left running, and goes on writing: soon after its start that is still no news, later it is.
    assert watching.counted(streak, running(streak.run), 102.0).endless
    assert not watching.counted(streak, running(streak.run), 100.0 + watching.SOON).endless
    # Somebody else's edit starts another run, which writes it, too.
    assert watching.counted(streak, running(streak.run + 1), 101.0).endless


def test_a_person_who_saves_often_is_none() -> None:
    streak: Streak | None = None
    for run in range(1, 20):
        streak = watching.counted(streak, running(run), 100.0 + watching.SOON)
        streak = watching.counted(streak, running(run), 100.0 + watching.SOON)
        assert streak.count == 0
