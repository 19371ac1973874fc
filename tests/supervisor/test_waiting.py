"""When a waiting command has waited enough, condition by condition."""

from __future__ import annotations

import pytest

from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.supervisor import waiting
from tests.world import service

PLAIN = service()
PROBED = service(health={"tcp": {"port": 1}})
OK = Ended(Result.SUCCESS, 1, 5.0)
BAD = Ended(Result.EXIT_CODE, 1, 5.0, code=1)
UP = Life(Phase.RUNNING, Goal.UP, ready_at=3.0)


@pytest.mark.parametrize(
    ("condition", "spec", "life", "reached"),
    [
        ("ready", PLAIN, UP, True),
        ("ready", PROBED, UP, True),
        ("ready", PLAIN, Life(Phase.RUNNING, Goal.UP), None),
        ("ready", PLAIN, Life(Phase.STARTING, Goal.UP), None),
        ("ready", PLAIN, Life(Phase.BACKOFF, Goal.UP, attempt=3), False),
        ("ready", PLAIN, Life(Phase.EXITED, Goal.UP, ended=OK), True),
        ("ready", PLAIN, Life(Phase.EXITED, Goal.UP, ended=BAD), False),
        ("ready", PLAIN, Life(), False),
        ("healthy", PLAIN, UP, True),
        ("healthy", PLAIN, Life(Phase.RUNNING, Goal.UP), None),
        ("healthy", PROBED, UP, None),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, ready_at=3.0, health="healthy"), True),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, health="healthy"), None),
        ("healthy", PROBED, Life(Phase.RUNNING, Goal.UP, ready_at=3.0, health="unhealthy"), None),
        ("healthy", PROBED, Life(Phase.FAILED, Goal.UP), False),
        ("healthy", PROBED, Life(Phase.EXITED, Goal.UP, ended=OK), True),
        ("healthy", PROBED, Life(), False),
        ("stopped", PLAIN, Life(), True),
        ("stopped", PLAIN, Life(Phase.STOPPING), None),
        ("done", PLAIN, Life(Phase.EXITED, Goal.UP, ended=BAD), True),
        ("done", PLAIN, UP, None),
        ("done", PLAIN, Life(Phase.FAILED, Goal.UP), False),
        ("settled", PLAIN, UP, True),
        ("settled", PLAIN, Life(survivors=("pid 9",)), False),
        ("settled", PLAIN, Life(Phase.STOPPING), None),
    ],
)
def test_conditions(condition: str, spec: ServiceSpec, life: Life, reached: bool | None) -> None:
    assert waiting.CONDITIONS[condition](spec, life) is reached
