"""Examples of a service with env files and secrets: they are read before its run; what cannot be read is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import Resolve, Spawn
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Resolved,
    Restart,
    Run,
    Start,
    Unresolved,
)
from pserv.model.secrets import EnvFile
from pserv.model.states import Ended, Life, Phase, Result

from .lives import (
    NEXT,
    NOW,
    ONESHOT,
    SPEC,
    Case,
    backoff,
    begun,
    exited,
    failed,
    listening,
    rested,
    running,
    starting,
    stopped,
    stopping,
    waiting,
)
from .scheduled_cases import COMING, JOB, TIME, resting, rests

FILES = (EnvFile("/srv/app.env"),)
REFERS = replace(SPEC, env_file=FILES)
WHAT = "app.env, secret KEY"
FRESH: dict[str, Any] = {"attempt": 0, "restarts": 0}


def reads(**fields: Any) -> Life:
    """It waits for what it refers to."""
    told = f"started by operator: reads {WHAT}"
    return replace(waiting(), **{"reason": told, "anew": True, "attempt": 0, **fields})


def asked() -> Iterator[Case]:
    """Orders read anew, what comes by itself does not where something is known."""
    for life in (stopped(), backoff(), exited(), failed(), waiting()):
        since = life.since if life.phase is Phase.WAITING else NOW
        for event, order in ((Start(), "started by operator"), (Restart("reload"), "restarted by reload")):
            after = replace(reads(since=since, ended=life.ended, order=order, **FRESH), reason=f"{order}: reads {WHAT}")
            for read in (False, True):
                yield Case(life, event, after, Resolve(), spec=REFERS, references=WHAT, read=read)
            blocked = replace(after, reason="waiting for db")
            yield Case(life, event, blocked, spec=REFERS, references=WHAT, blocked="waiting for db")
            run = rested(life, Phase.STARTING, order, goal=after.goal, order=order, run=NEXT, deadline=160.0, **FRESH)
            waited = NOW - life.since if life.phase is Phase.WAITING else 0.0
            yield Case(life, event, replace(run, waited=waited), Spawn(NEXT), spec=REFERS)
    again = rested(backoff(), Phase.STARTING, "restart 2; last run: exit code 1", run=NEXT, deadline=160.0)
    yield Case(backoff(), DeadlinePassed(), again, Spawn(NEXT), spec=REFERS, references=WHAT, read=True)
    unknown = reads(since=NOW, attempt=2)
    yield Case(backoff(), DeadlinePassed(), unknown, Resolve(), spec=REFERS, references=WHAT)
    for news in (DependenciesChanged(), Configured()):
        yield Case(reads(), news, reads(), Resolve(), spec=REFERS, references=WHAT, read=True)
    due = resting()
    job = replace(JOB, env_file=FILES)
    told = f"run by operator: reads {WHAT}"
    after = rested(due, Phase.WAITING, told, anew=True, due=COMING, order="run by operator", **FRESH)
    yield Case(due, Run(), after, Resolve(), spec=job, references=WHAT, read=True, **TIME)


def answered() -> Iterator[Case]:
    for order in ("started by operator", "restarted by reload"):
        yield from begun(reads(order=order), Resolved(), order, spec=REFERS, order=order)
    yield from begun(reads(attempt=2), Resolved(), "restart 2; last run: exit code 1", spec=REFERS)
    why = "cannot read secret KEY: exit code 1"
    ended = Ended(Result.EXIT_CODE, 6, NOW, step="references", detail=why)
    due = rested(reads(), Phase.BACKOFF, f"{why}; restart 1 in 1 s; policy on-failure", ended=ended, anew=True)
    due = replace(due, attempt=1, restarts=5, deadline=101.0)
    yield Case(reads(), Unresolved(why), due, spec=REFERS)
    spent = reads(attempt=3)
    over = rested(spent, Phase.FAILED, f"gave up after 3 retries: {why}; policy on-failure", ended=ended)
    yield Case(spent, Unresolved(why), over, spec=REFERS)
    once = replace(ONESHOT, env_file=FILES)
    yield Case(reads(), Unresolved(why), rested(reads(), Phase.FAILED, f"{why}; policy never", ended=ended), spec=once)
    job, life = replace(JOB, env_file=FILES), reads(due=COMING)
    later = rests(life, f"{why}; policy never", COMING, ended=ended, anew=True)
    yield Case(life, Unresolved(why), replace(later, since=NOW), spec=job, **TIME)


def late() -> Iterator[Case]:
    lives = (stopped(), starting(), running(), stopping(), backoff(), exited(), failed(), listening())
    for life in (*(replace(each, anew=True) for each in lives), waiting(), resting(), replace(resting(), anew=True)):
        for event in (Resolved(), Unresolved("why")):
            yield Case(life, event, life, spec=REFERS, late=True)


def reference_cases() -> Iterator[Case]:
    yield from asked()
    yield from answered()
    yield from late()
