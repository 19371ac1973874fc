"""The operation `reload_service`: services are asked to reload themselves, each in the way that it declares."""

from __future__ import annotations

from pserv.api import operations as op
from pserv.api import signals
from pserv.model.errors import Refused
from pserv.model.states import Phase
from pserv.model.status import Outcome
from pserv.rules.decision import signal_name
from pserv.supervisor.main import Session


async def reload_services(session: Session, names: list[str]) -> op.Done:
    """One after the other; a failure of one keeps none of the others from being asked."""
    outcomes = []
    for name in names:
        try:
            ok, told = True, await _ask(session, name)
        except Refused as refused:
            ok, told = False, refused.message
        life = session.supervisor.life(name)
        outcomes.append(Outcome(name, ok, life.state, told, 0.0, life.pid or None))
    return op.Done(all(outcome.ok for outcome in outcomes), tuple(outcomes))


async def _ask(session: Session, name: str) -> str:
    """What came of it, as a sentence without its subject. Raises Refused."""
    life = session.supervisor.life(name)
    if name not in session.supervisor.specs:
        raise Refused(f"cannot reload {name}: {life.reason}")
    spec = session.supervisor.specs[name]
    if spec.reload is None:
        raise Refused(f"cannot reload {name}: it declares no way to (reload: HUP); pserv restart {name}")
    if life.phase is not Phase.RUNNING:
        raise Refused(f"cannot reload {name}: it does not run ({life.state})")
    if spec.reload.signal is not None:
        return await _by_signal(session, name, spec.reload.signal)
    title = spec.reload.hook.title("reload")
    if failure := await session.beside.reload(name):
        raise Refused(f"cannot reload {name}: {title} failed: {failure}")
    return f"reloaded itself by {title.removeprefix('reload ')}"


async def _by_signal(session: Session, name: str, number: int) -> str:
    supervisor, word = session.supervisor, signal_name(number)
    listener = supervisor.bus.listen()
    try:
        await signals.send(session, name, number, "main")
        supervisor.tell(name, "reload", f"was asked to reload itself: {word}")
        if supervisor.specs[name].type != "notify":
            return f"was asked to reload itself: {word}"
        from pserv.supervisor import own_reload  # only for who tells of its reloads: the daemon's memory is a promise

        return await own_reload.followed(session.tasks, supervisor, listener, name, word)
    finally:
        supervisor.bus.leave(listener)
