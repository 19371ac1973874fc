"""Signals that an operator sends to services, with how it went with each."""

from __future__ import annotations

from typing import Literal

from pserv.api import operations as op
from pserv.model.status import Outcome
from pserv.supervisor.main import Session


async def signal(session: Session, names: list[str], request: op.SendSignal) -> op.Done:
    """A service that does not run is told as a failure; the others get the signal."""
    outcomes = []
    for name in names:
        life = session.supervisor.life(name)
        if not life.pid:
            why = f"cannot signal {name}: it does not run ({life.state})"
            outcomes.append(Outcome(name, False, life.state, why, 0.0))
            continue
        await send(session, name, request.signal, "group" if request.group else "main")
        session.supervisor.tell(name, "signal", f"signal {request.signal} by operator")
        outcomes.append(Outcome(name, True, life.state, "signalled", 0.0, life.pid))
    return op.Done(all(outcome.ok for outcome in outcomes), tuple(outcomes))


async def send(session: Session, name: str, number: int, scope: Literal["main", "group"]) -> None:
    """One signal to the run that a service has now; raises Refused when the keeper cannot send it."""
    run = session.supervisor.life(name).run
    command = {"do": "signal", "run": run, "signal": number, "scope": scope}
    await session.keeper.request({"op": "do", "key": name, "ack": (), "commands": (command,)})
