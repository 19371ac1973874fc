"""Cells of the machine's table for a lazy service: its sockets are open, and the first connection starts it.

A connection that is still there when the run has ended starts it again, and so on for ever if it never accepts any.
systemd gives up after 20 starts in 2 s (TriggerLimitBurst=, systemd.socket(5)), which one that takes a tenth of a
second to start never reaches. Here so many starts are free, and those after them wait as restarts do.
"""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model import listening
from pserv.model.effects import Listen
from pserv.model.events import ListenFailed, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Life, Phase, Result
from pserv.rules import restart
from pserv.rules.decision import Decision, at_rest

FREE = 20
"""So many starts in a row by a connection that came at once after a run that was short."""
AT_ONCE = 1.0
"""Seconds: a connection this soon was there already, and a run shorter than this was short."""


def listen(spec: ServiceSpec, life: Life, situation: Situation, reason: str) -> Decision:
    """Wait for a connection, its sockets being opened unless they are open."""
    waits = at_rest(life, Phase.LISTENING, situation.now, f"{reason}; {waits_on(spec)}")
    run = situation.next_run
    return Decision(replace(waits, listens=run, listening=True, woken=False), (Listen(run),))


def waits_on(spec: ServiceSpec) -> str:
    return f"waits for a connection on {listening.told(spec.sockets)}"


def listen_failed(life: Life, event: ListenFailed, now: float) -> Life:
    """The life with a start that failed before there was a run."""
    at = now if event.at is None else event.at
    lacking = Result.RESOURCES if event.errno in restart.LACKS else Result.EXIT_CODE
    return replace(
        life,
        ended=Ended(lacking, life.listens, at, step="listen", errno=event.errno, text=event.text, detail=event.detail),
    )


def quick(life: Life, now: float) -> bool:
    """Whether the connection was there already when the last run ended, and that run was short."""
    last = life.ended
    short = last is not None and last.result is Result.SUCCESS and last.uptime < AT_ONCE
    return short and now - life.since < AT_ONCE


def held_back(spec: ServiceSpec, life: Life, situation: Situation, what: str) -> Decision | None:
    """A start that has to wait, or is the last: None where the connection may start it."""
    late = life.quick - FREE
    if late <= 0:
        return None
    told = f"started {life.quick} times in a row by a connection and ended at once: does it accept any?"
    if spec.max_retries is not None and late > spec.max_retries:
        return Decision(at_rest(life, Phase.FAILED, situation.now, f"gave up: {told}"))
    wait = restart.delay(spec.backoff, late + 1, situation.chance)
    reason = f"connection on {what}; {told}"
    due = replace(life, attempt=late, restarts=life.restarts + 1)
    return Decision(at_rest(due, Phase.BACKOFF, situation.now, reason, situation.now + wait))
