"""What counts as settled, and what of it as well."""

from __future__ import annotations

import pytest

from pserv.model.states import Goal, Life, Phase
from pserv.rules import standing

from .lives import BAD, OK


@pytest.mark.parametrize(
    ("life", "settled", "succeeded"),
    [
        (Life(Phase.STOPPED, Goal.DOWN), True, True),
        (Life(Phase.WAITING, Goal.UP), False, False),
        (Life(Phase.LISTENING, Goal.UP), True, True),
        (Life(Phase.PREPARING, Goal.UP), False, False),
        (Life(Phase.WAITING, Goal.UP, resting=True), True, True),
        (Life(Phase.STARTING, Goal.UP), False, False),
        (Life(Phase.RUNNING, Goal.UP), False, False),
        (Life(Phase.RUNNING, Goal.UP, ready_at=3.0), True, True),
        (Life(Phase.STOPPING, Goal.UP), False, False),
        (Life(Phase.CLOSING, Goal.DOWN), False, False),
        (Life(Phase.ENDING, Goal.DOWN), False, False),
        (Life(Phase.CLEANING, Goal.DOWN), False, False),
        (Life(Phase.BACKOFF, Goal.UP, attempt=2), False, False),
        (Life(Phase.BACKOFF, Goal.UP, attempt=3), True, False),
        (Life(Phase.BACKOFF, Goal.UP, attempt=1, since=5.0, deadline=65.0), False, False),
        (Life(Phase.BACKOFF, Goal.UP, attempt=1, since=5.0, deadline=65.1), True, False),
        (Life(Phase.EXITED, Goal.UP, ended=OK), True, True),
        (Life(Phase.EXITED, Goal.UP, ended=BAD), True, False),
        (Life(Phase.FAILED, Goal.UP), True, False),
    ],
)
def test_settled(life: Life, settled: bool, succeeded: bool) -> None:
    assert standing.settled(life) is settled
    assert standing.succeeded(life) is succeeded
