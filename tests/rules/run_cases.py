"""Examples of what happens to a run: spawned or not, ended, gone. Orders, time and configuration are in `cases`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import Failed, Signal
from pserv.model.events import Exited, Gone, Spawned, SpawnFailed
from pserv.model.states import Ended, Goal, Phase, Result

from .lives import (
    NOW,
    OK,
    ONESHOT,
    RUN,
    SURVIVORS,
    Case,
    backoff,
    begun,
    ending,
    exited,
    failed,
    rested,
    running,
    starting,
    stopped,
    stopping,
    waiting,
)


def spawns() -> Iterator[Case]:
    life = starting()
    ready = {"phase": Phase.RUNNING, "since": NOW, "pid": 5}
    yield Case(life, Spawned(RUN, 5), replace(life, started=NOW, ready_at=NOW, well_at=NOW, deadline=110.0, **ready))
    yield Case(
        life, Spawned(RUN, 5, 97.0), replace(life, started=97.0, ready_at=97.0, well_at=97.0, deadline=107.0, **ready)
    )
    first = starting(attempt=0)
    yield Case(first, Spawned(RUN, 5), replace(first, started=NOW, ready_at=NOW, well_at=NOW, deadline=None, **ready))
    yield Case(life, Spawned(RUN, 5), replace(life, pid=5, started=NOW, deadline=130.0), spec=ONESHOT)
    late = stopping(pid=0, started=0.0, ready_at=None)
    yield Case(late, Spawned(RUN, 5), replace(late, pid=5, started=NOW))
    yield Case(late, Spawned(RUN, 5, 99.0), replace(late, pid=5, started=99.0))

    event = SpawnFailed(RUN, "exec", 2, "/no/such", "No such file or directory")
    ended = Ended(Result.EXIT_CODE, RUN, NOW, step="exec", errno=2, text="No such file or directory", detail="/no/such")
    what, record = "cannot exec /no/such: No such file or directory", Failed(RUN)
    due = rested(life, Phase.BACKOFF, f"{what}; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(life, event, replace(due, attempt=2, restarts=4, deadline=101.0), record)
    spent = starting(attempt=3)
    reason = f"gave up after 3 retries: {what}; policy on-failure"
    yield Case(spent, event, rested(spent, Phase.FAILED, reason, ended=ended), record)
    yield Case(late, event, rested(late, Phase.STOPPED, f"stopped by operator; {what}", ended=ended))
    again = replace(late, goal=Goal.UP, again=True, order="restarted by operator")
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0, "ended": ended}
    yield from begun(again, event, "restarted by operator", **forgiven)
    fault = {
        "goal": Goal.UP,
        "order": "started by operator",
        "verdict": Result.TIMEOUT,
        "fault": "not ready after 60 s",
    }
    hung = replace(late, **fault)
    ended = replace(ended, result=Result.TIMEOUT, detail="not ready after 60 s")
    due = rested(hung, Phase.BACKOFF, "not ready after 60 s; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(hung, event, replace(due, attempt=2, restarts=4, deadline=101.0), record)


def exits() -> Iterator[Case]:
    record = Failed(RUN)
    for life in (running(), starting(pid=70, started=96.0)):
        ended = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
        told = "exit code 1 after 4 s; restart 2 in 1 s; policy on-failure"
        due = rested(life, Phase.BACKOFF, told, attempt=2, restarts=4, deadline=101.0, ended=ended)
        yield Case(life, Exited(RUN, 1), due, record)
        first = replace(life, attempt=0)
        told = "exit code 1 after 4 s; restart 1 at once; policy on-failure"
        yield from begun(first, Exited(RUN, 1), told, record, attempt=1, restarts=4, ended=ended)
        spent = replace(life, attempt=3)
        reason = "gave up after 3 retries: exit code 1; policy on-failure"
        yield Case(spent, Exited(RUN, 1), rested(spent, Phase.FAILED, reason, ended=ended), record)
        clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, code=0)
        reason = "exit code 0 after 4 s; policy on-failure"
        yield Case(life, Exited(RUN, 0), rested(life, Phase.EXITED, reason, ended=clean))
        left = replace(life, phase=Phase.ENDING, pid=0, since=NOW, deadline=102.0)
        crash = replace(left, ended=ended, reason="exit code 1: waits for what it left behind")
        yield Case(life, Exited(RUN, 1, gone=False), crash, record, Signal(RUN, 15, "rest"))
        quiet = replace(left, ended=clean, reason="exit code 0: waits for what it left behind")
        yield Case(life, Exited(RUN, 0, gone=False), quiet, Signal(RUN, 15, "rest"))
    yield from stopped_exits()


def stopped_exits() -> Iterator[Case]:
    record = Failed(RUN)
    life = stopping(deadline=104.0, kill_at=101.0)
    clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
    yield Case(life, Exited(RUN, signal=15), rested(life, Phase.STOPPED, "stopped by operator", ended=clean))
    ended = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
    yield Case(life, Exited(RUN, 1), rested(life, Phase.STOPPED, "stopped by operator; exit code 1", ended=ended))
    left = replace(life, phase=Phase.ENDING, pid=0, ended=clean, deadline=101.0)
    left = replace(left, reason="stopped by operator: waits for what it left behind")
    yield Case(life, Exited(RUN, signal=15, gone=False), left, Signal(RUN, 15, "rest"))
    patient = replace(life, kill_at=104.0)
    yield Case(
        patient,
        Exited(RUN, signal=15, gone=False),
        replace(left, deadline=102.0, kill_at=104.0),
        Signal(RUN, 15, "rest"),
    )
    killed = stopping(killed=True, deadline=None, step=1, kill_at=99.0)
    ended = Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    loudly = "stopped by operator; needed SIGKILL after 10 s"
    yield Case(killed, Exited(RUN, signal=9), rested(killed, Phase.STOPPED, loudly, ended=ended))
    left = replace(killed, phase=Phase.ENDING, pid=0, ended=ended)
    left = replace(left, reason="stopped by operator: waits for what it left behind")
    yield Case(killed, Exited(RUN, signal=9, gone=False), left)
    again = replace(life, goal=Goal.UP, again=True, order="restarted by operator")
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0}
    yield from begun(again, Exited(RUN, signal=15), "restarted by operator", ended=clean, **forgiven)
    fault = "not ready after 60 s"
    verdict = {"goal": Goal.UP, "order": "started by operator", "verdict": Result.TIMEOUT, "fault": fault}
    hung = replace(life, **verdict)
    ended = Ended(Result.TIMEOUT, RUN, NOW, 4.0, code=0, detail=fault)
    due = rested(hung, Phase.BACKOFF, f"{fault}; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(hung, Exited(RUN, 0), replace(due, attempt=2, restarts=4, deadline=101.0), record)
    left = replace(
        hung, phase=Phase.ENDING, pid=0, ended=ended, deadline=101.0, reason=f"{fault}: waits for what it left behind"
    )
    yield Case(hung, Exited(RUN, 0, gone=False), left, record, Signal(RUN, 15, "rest"))


def ends() -> Iterator[Case]:
    life = ending()
    told = "exit code 1 after 2 s; restart 2 in 1 s; policy on-failure"
    due = {"attempt": 2, "restarts": 4, "deadline": 101.0}
    yield Case(life, Gone(RUN), rested(life, Phase.BACKOFF, told, **due))
    killed = ending(killed=True, kill_at=100.0, deadline=None)
    loudly = "; needed SIGKILL after 2 s; survived SIGKILL: pid 9 (cp), state D"
    after = rested(killed, Phase.BACKOFF, told + loudly, survivors=SURVIVORS, **due)
    yield Case(killed, Gone(RUN, SURVIVORS), after)
    first = ending(attempt=0)
    told = "exit code 1 after 2 s; restart 1 at once; policy on-failure"
    yield from begun(first, Gone(RUN), told, attempt=1, restarts=4)
    clean = ending(ended=replace(OK, run=RUN))
    yield Case(clean, Gone(RUN), rested(clean, Phase.EXITED, "exit code 0 after 5 s; policy on-failure"))
    spent = ending(attempt=3)
    reason = "gave up after 3 retries: exit code 1; policy on-failure"
    yield Case(spent, Gone(RUN), rested(spent, Phase.FAILED, reason))
    down = ending(goal=Goal.DOWN, order="stopped by operator")
    yield Case(down, Gone(RUN), rested(down, Phase.STOPPED, "stopped by operator; exit code 1"))
    again = replace(killed, again=True, order="restarted by operator")
    told = "restarted by operator; needed SIGKILL after 2 s"
    yield from begun(again, Gone(RUN), told, attempt=0, restarts=0)
    yield from unseen()
    for life in (stopped(), waiting(), backoff(), exited(), failed()):
        life = replace(life, survivors=SURVIVORS)
        yield Case(life, Gone(6), replace(life, survivors=(), reason=f"{life.reason}; ended since"))
        yield Case(life, Gone(6, ("pid 8",)), replace(life, survivors=("pid 8",)))
    for life in (stopped(survivors=SURVIVORS), failed(survivors=SURVIVORS)):
        yield Case(life, Exited(6, signal=9), replace(life, survivors=(), reason=f"{life.reason}; ended since"))
        yield Case(life, Exited(6, signal=9, gone=False), life)


def unseen() -> Iterator[Case]:
    """SIGKILL was sent and all that can be gone is gone, but the main process never ended."""
    life = stopping(killed=True, deadline=None, kill_at=99.0)
    ended = Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    loudly = "; needed SIGKILL after 10 s"
    yield Case(life, Gone(RUN), rested(life, Phase.STOPPED, f"stopped by operator{loudly}", ended=ended))
    named = f"{loudly}; survived SIGKILL: pid 9 (cp), state D"
    after = rested(life, Phase.STOPPED, f"stopped by operator{named}", ended=ended, survivors=SURVIVORS)
    yield Case(life, Gone(RUN, SURVIVORS), after)
    again = replace(life, goal=Goal.UP, again=True, order="restarted by operator")
    reason = f"restarted by operator{named}; not started again while that lives"
    yield Case(again, Gone(RUN, SURVIVORS), rested(again, Phase.FAILED, reason, ended=ended, survivors=SURVIVORS))
    forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0, "ended": ended}
    yield from begun(again, Gone(RUN), f"restarted by operator{loudly}", **forgiven)
    fault = "not ready after 60 s"
    hung = replace(life, goal=Goal.UP, order="started by operator", verdict=Result.TIMEOUT, fault=fault)
    ended = replace(ended, result=Result.TIMEOUT, detail=fault)
    told = f"{fault}; restart 2 in 1 s; policy on-failure{loudly}"
    after = rested(hung, Phase.BACKOFF, told, attempt=2, restarts=4, deadline=101.0, ended=ended)
    yield Case(hung, Gone(RUN), after, Failed(RUN))
