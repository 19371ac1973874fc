"""One run now, followed to its end. Whether it may run is decided in `supervisor.orders`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pserv.api import operations as op
from pserv.model.events import Change
from pserv.model.states import Phase
from pserv.rules import ending, standing
from pserv.supervisor.main import Session

NEXT = (Phase.WAITING, Phase.PREPARING, Phase.STARTING)
"""Where a run begun by another order is: the one that was waited for is over."""


async def run(session: Session, name: str, request: op.RunNow) -> AsyncGenerator[op.Progress | op.Ended, None]:
    """Changes on the way, then the code of the run; 1 for what never ran. Raises Refused."""
    lives = session.supervisor.lives
    listener = session.supervisor.bus.listen()
    try:
        last = lives[name].run
        if not request.join:
            session.orders.run(name)
        life = lives[name]
        yield op.Progress(Change(0, session.clock.wall(), name, "run", life.phase, life.goal, life.reason))
        if not request.wait:
            yield op.Ended(0, life.reason)
            return
        order = life.order
        while name in lives and not (
            standing.over(life := lives[name]) or (life.order != order and life.phase in NEXT)
        ):
            change = await listener.get()
            if isinstance(change, Change) and change.service == name:
                yield op.Progress(change)
        ran = life.run != last or request.join
        yield op.Ended(ending.exit_code(life.ended) if ran else 1, life.reason)
    finally:
        session.supervisor.bus.leave(listener)
