"""A reload that a service was asked for by a signal: until it says that it is done (sd_notify(3): RELOADING, READY)."""

from __future__ import annotations

from pserv.model import units
from pserv.model.errors import Refused
from pserv.model.events import Change
from pserv.supervisor.bus import Listener
from pserv.supervisor.supervisor import Supervisor
from pserv.system.tasks import Tasks

PATIENCE = 2.0
"""Seconds within which who tells of its reloads says that one has begun."""


async def followed(tasks: Tasks, supervisor: Supervisor, listener: Listener, name: str, signal: str) -> str:
    """What came of it, as a sentence without its subject; `listener` hears since before the signal was sent.

    Raises Refused where it has begun and is not over within the `timeout` of `reload`, or the run ends.
    """
    spec, run = supervisor.specs[name], supervisor.lives[name].run
    assert spec.reload is not None
    begun = tasks.time()
    said = supervisor.records[name].said
    try:
        if said.run != run or said.reloading is None:
            await _until(tasks, supervisor, listener, name, run, begun + PATIENCE, "reloading")
    except TimeoutError:
        waited = units.show_duration(PATIENCE)
        return f"was asked to reload itself: {signal}; it has not said within {waited} that it does (RELOADING=1)"
    try:
        after = await _until(tasks, supervisor, listener, name, run, begun + spec.reload.timeout, "reloaded")
    except TimeoutError:
        waited = units.show_duration(spec.reload.timeout)
        raise Refused(f"cannot reload {name}: it said RELOADING=1, and no READY=1 within {waited}") from None
    return f"reloaded itself by {signal} {after}"


async def _until(
    tasks: Tasks, supervisor: Supervisor, listener: Listener, name: str, run: int, deadline: float, word: str
) -> str:
    """The rest of the news that begins with the word. Raises TimeoutError, and Refused when the run is over."""
    async with tasks.timeout_at(deadline):
        while True:
            change = await listener.get()
            life = supervisor.lives.get(name)
            if life is None or life.run != run or not life.pid:
                told = "it is not declared any more" if life is None else life.reason
                raise Refused(f"cannot reload {name}: it ended meanwhile: {told}")
            if isinstance(change, Change) and change.service == name and change.kind == "notify":
                said, _, rest = change.reason.partition(" ")
                if said == word:
                    return rest
