"""What a command that acts streams: changes until its services are as wanted, then how it went with each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pserv.api import operations as op
from pserv.model.events import Change
from pserv.supervisor import waiting
from pserv.supervisor.main import Session


def settle(
    session: Session, names: list[str], request: op.Act, message: str = ""
) -> AsyncGenerator[op.Progress | op.Done, None]:
    """Changes until these have settled, or at once how they are: as the request says."""
    if request.wait:
        return wait(session, names, waiting.settled, request.timeout, message)
    return as_it_is(session, names, message)


async def as_it_is(session: Session, names: list[str], message: str) -> AsyncGenerator[op.Progress | op.Done, None]:
    """Where things are, without waiting."""
    lives = session.supervisor.lives
    yield op.Done(True, tuple(waiting.outcome(name, lives[name], True, 0.0) for name in names), message)


async def wait(
    session: Session, names: list[str], condition: waiting.Condition, timeout: float | None, message: str = ""
) -> AsyncGenerator[op.Progress | op.Done, None]:
    """Changes until each of these has reached the condition, or cannot any more."""
    ordered = session.orders.turns.waits
    steps = waiting.wait(session.tasks, session.supervisor, session.clock, names, condition, timeout, ordered)
    async with aclosing(steps) as items:
        async for item in items:
            if isinstance(item, Change):
                yield op.Progress(item)
            else:
                yield op.Done(all(outcome.ok for outcome in item), item, message)
