"""What a life has come to: what commands wait for, and whether that is well. How it came there is in `machine`."""

from __future__ import annotations

from pserv.model.states import AT_REST, Goal, Life, Phase, Result

LONG = 60.0
"""Seconds of a back-off that no command waits for."""

_UNTIL_CALLED = AT_REST | {Phase.LISTENING}
"""Where nothing happens before somebody asks for it, or connects."""


def settled(life: Life) -> bool:
    """Whether commands have waited enough: up and ready, at rest or until something calls, in a third or long back-off.

    A back-off is told as a failure, while it goes on being tried.
    """
    match life.phase:
        case Phase.RUNNING:
            return life.ready_at is not None
        case Phase.BACKOFF:
            return life.attempt >= 3 or (life.deadline is not None and life.deadline - life.since > LONG)
        case Phase.WAITING:
            return life.resting
    return life.phase in _UNTIL_CALLED


def over(life: Life) -> bool:
    """Whether neither a run nor a try of it is under way."""
    return life.phase in _UNTIL_CALLED or life.resting


def succeeded(life: Life) -> bool:
    """Whether a settled service is as it should be: up and ready, listening, done with success, or down as asked."""
    match life.phase:
        case Phase.RUNNING:
            return life.ready_at is not None
        case Phase.EXITED:
            return life.ended is not None and life.ended.result is Result.SUCCESS
        case Phase.STOPPED:
            return life.goal is Goal.DOWN
        case Phase.WAITING:
            return life.resting
        case Phase.LISTENING:
            return True
    return False
