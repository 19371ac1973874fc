"""The operation `reload`: the plan, the changes that follow, how it went; on trial also the way back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pserv.api import operations as op
from pserv.api import settling
from pserv.model.states import Phase
from pserv.rules.selection import select
from pserv.supervisor import waiting
from pserv.supervisor.main import Session
from pserv.supervisor.reloading import Plan


async def reload(session: Session, request: op.Reload) -> AsyncGenerator[op.Plan | op.Progress | op.Done, None]:
    """Raises InvalidConfig, Refused and NoSuchService before anything has changed."""
    named: list[str] = []

    def check(plan: Plan) -> None:
        if request.names:
            document = plan.document
            named.extend(select(request.names, plan.services, document.services, document.left_out))

    back = request.back or int(request.previous)
    plan = await session.reloading.bring(
        "reload", back=back, profiles=request.profiles, dry_run=request.dry_run, allowed=check
    )
    yield op.Plan(plan.steps, plan.notes, plan.daemon)
    if request.dry_run:
        yield op.Done(True)
        return
    touched = plan.touched
    if request.start:
        down = named or [name for name, spec in plan.services.items() if spec.autostart and _is_down(session, name)]
        session.orders.start(down)
        touched += [name for name in down if name not in touched]
    names = [name for name in touched if _is_up(session, name)]
    if request.rollback:
        names += [step.service for step in plan.steps if step.action == "live" and _is_up(session, step.service)]
        verdict = session.on_demand.on_trial(names, plan.before, request.timeout)
        if request.wait:
            async for item in _changes(session, names, request.timeout):
                yield item
            told = await verdict
            yield op.Done(told.ok, told.outcomes, told.message)
            return
    steps = (
        settling.wait(session, names, waiting.settled, request.timeout)
        if request.wait
        else settling.as_it_is(session, names, "")
    )
    async with aclosing(steps) as items:
        async for each in items:
            yield each


async def _changes(session: Session, names: list[str], timeout: float | None) -> AsyncGenerator[op.Progress, None]:
    """What happens until all have settled for the first time."""
    async with aclosing(settling.wait(session, names, waiting.settled, timeout)) as items:
        async for item in items:
            if isinstance(item, op.Progress):
                yield item


def _is_up(session: Session, name: str) -> bool:
    lives = session.supervisor.lives
    return name in lives and lives[name].phase is not Phase.STOPPED


def _is_down(session: Session, name: str) -> bool:
    return session.supervisor.lives[name].phase in (Phase.STOPPED, Phase.FAILED)
