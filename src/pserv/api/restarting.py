"""The operation `restart`: what is read first, the restart, how it went with each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pserv.api import operations as op
from pserv.api import settling
from pserv.model.status import Outcome
from pserv.rules import dependencies, references
from pserv.supervisor import waiting
from pserv.supervisor.main import Session


async def restart(session: Session, names: list[str], request: op.Act) -> AsyncGenerator[op.Progress | op.Done, None]:
    """Who cannot be given what it needs is left running, and told as a failure. Raises Refused."""
    stale = [name for name in names if session.supervisor.stale(name)]
    unread = await _read_first(session, names)
    names = [name for name in names if name not in unread]
    if request.rolling:
        session.orders.roll(names)
        steps = rolled(session, names, request.timeout) if request.wait else settling.as_it_is(session, names, "")
    else:
        note = f"{', '.join(stale)}: with the configuration as it was reloaded" if stale else ""
        steps = settling.settle(session, session.orders.restart(names), request, note)
    async with aclosing(steps) as items:
        async for item in items:
            if unread and isinstance(item, op.Done):
                item = op.Done(False, (*_not_restarted(session, unread), *item.outcomes), item.message)
            yield item


async def rolled(
    session: Session, names: list[str], timeout: float | None
) -> AsyncGenerator[op.Progress | op.Done, None]:
    """Changes until the rolling restart of these is over, then how it went with each."""
    rolling, begun = session.orders.rolling, session.clock.now()
    async with aclosing(waiting.rolled(session.tasks, session.supervisor, rolling, names, timeout)) as changes:
        async for change in changes:
            yield op.Progress(change)
    outcomes = tuple(waiting.roll_outcomes(session.supervisor, rolling, names, session.clock.now() - begun))
    yield op.Done(all(outcome.ok for outcome in outcomes), outcomes)


async def _read_first(session: Session, names: list[str]) -> dict[str, str]:
    """Env files and secrets of what runs, so that a source that fails takes nothing down; why not, by name."""
    supervisor = session.supervisor
    restarted = dependencies.restarted_with(names, supervisor.specs, supervisor.lives)
    read = [name for name in (*names, *restarted) if references.needed(supervisor.specs[name])]
    running = [name for name in read if supervisor.lives[name].pid]
    if not running:
        return {}
    unread = await session.on_demand.resolving.prepare(running)
    for name in unread.keys() - set(names):
        session.on_demand.resolving.keep_last(name, unread.pop(name))
    return unread


def _not_restarted(session: Session, unread: dict[str, str]) -> list[Outcome]:
    lives = session.supervisor.lives
    told = {name: f"cannot restart {name}: {why}; it runs on" for name, why in unread.items()}
    return [Outcome(name, False, lives[name].state, why, 0.0, lives[name].pid or None) for name, why in told.items()]
