"""Examples of a lazy service: it listens, a connection starts it, a clean end makes it listen again."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pserv.model.effects import Failed, Listen, Signal, Spawn
from pserv.model.events import (
    Configured,
    Connected,
    DeadlinePassed,
    DependenciesChanged,
    Event,
    Exited,
    Gone,
    Hurry,
    ListenFailed,
    Restart,
    Run,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from pserv.model.states import Ended, Goal, Phase, Result
from pserv.rules.lazy import FREE

from .lives import (
    LAZY,
    NEXT,
    NOW,
    ORDER,
    RUN,
    SOCKETS,
    SURVIVORS,
    WAITS,
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
from .scheduled_cases import JOB, TIME, rests

DENIED = ListenFailed(ORDER, 13, "tcp *:80", "Permission denied")


def idle() -> Iterator[Case]:
    for event in (Start(), Hurry(), DependenciesChanged(), Gone(6)):
        for life in (listening(), listening(quick=3, alarm=True, waited=2.0)):
            yield Case(life, event, life, spec=LAZY)
    left = listening(survivors=SURVIVORS)
    yield Case(left, Gone(6), replace(left, survivors=(), reason=f"{left.reason}; ended since"), spec=LAZY)
    yield Case(left, Gone(6, ("pid 8",)), replace(left, survivors=("pid 8",)), spec=LAZY)


def late() -> Iterator[Case]:
    facts: tuple[Event, ...] = (Connected(ORDER - 1, "http"), ListenFailed(ORDER + 1, 13), Gone(5), Spawned(5, 1))
    for event in facts:
        yield Case(listening(), event, listening(), spec=LAZY, late=True)
    for life in (stopped(), waiting(), starting(), running(), stopping(), backoff(), exited(), failed()):
        for event in (Connected(life.listens, "http"), ListenFailed(life.listens, 13)):
            yield Case(life, event, life, late=True)
    for event in (Spawned(RUN, 1), SpawnFailed(RUN, "exec", 2), Exited(RUN, 0)):
        yield Case(listening(run=RUN), event, None, spec=LAZY)
    yield Case(listening(deadline=99.0), DeadlinePassed(), None, spec=LAZY)


def orders() -> Iterator[Case]:
    life = listening()
    down = rested(life, Phase.STOPPED, "stopped by reload", goal=Goal.DOWN, order="stopped by reload")
    yield Case(life, Stop("reload"), down, spec=LAZY)
    yield from begun(life, Restart(), "restarted by operator", spec=LAZY, order="restarted by operator", woken=True)
    yield from begun(life, Run(), "run by operator", spec=LAZY, order="run by operator", woken=True)
    for life in (stopped(attempt=0), exited(), backoff()):
        yield from begun(life, Run(), "run by operator", spec=LAZY, order="run by operator", woken=True,
                         attempt=0, restarts=0)  # fmt: skip
    life = listening()
    other = replace(SOCKETS["http"], listen="8081")
    moved = replace(LAZY, sockets={"http": other})
    again = listening(listens=NEXT, reason="started by operator; waits for a connection on tcp *:8081")
    yield Case(life, Configured(), again, Listen(NEXT), spec=moved)
    later = rests(life, "scheduled by reload", listening=True)
    yield Case(life, Configured(), later, spec=replace(JOB, sockets=SOCKETS), **TIME)
    eager = replace(LAZY, lazy=False)
    yield from begun(life, Configured(), "started by operator", spec=eager)


def connections() -> Iterator[Case]:
    came = Connected(ORDER, "http (tcp *:8080)")
    told = "connection on http (tcp *:8080)"
    slow = Ended(Result.SUCCESS, 6, 40.0, 5.0, code=0)
    brief = replace(slow, uptime=0.5)
    at_once = {"since": 99.5, "ended": brief}
    for life, count in (
        (listening(quick=7), 0),
        (listening(since=99.5, ended=slow, quick=7), 0),
        (listening(since=80.0, ended=brief, quick=7), 0),
        (listening(since=99.5, ended=replace(brief, result=Result.SIGNAL), quick=7), 0),
        (listening(since=99.5, ended=None), 0),
        (listening(quick=FREE - 1, **at_once), FREE),
    ):
        yield from begun(life, came, told, spec=LAZY, woken=True, quick=count)
    loops = listening(quick=FREE, **at_once)
    asks = f"started {FREE + 1} times in a row by a connection and ended at once: does it accept any?"
    due = rested(loops, Phase.BACKOFF, f"{told}; {asks}", quick=FREE + 1, woken=True, listening=True)
    due = replace(due, restarts=1)
    yield Case(loops, came, replace(due, attempt=1, deadline=101.0), spec=LAZY)
    worse = listening(quick=FREE + 2, **at_once)
    due = replace(due, quick=FREE + 3, attempt=3, deadline=104.0)
    yield Case(worse, came, replace(due, reason=f"{told}; {asks.replace('21', '23')}"), spec=LAZY)
    last = listening(quick=FREE + 3, **at_once)
    reason = f"gave up: {asks.replace('21', '24')}"
    yield Case(last, came, rested(last, Phase.FAILED, reason, quick=FREE + 4, woken=True), spec=LAZY)
    for held in (due, replace(due, deadline=99.0)):
        yield Case(held, Configured(), held, spec=LAZY)
    known = {"woken": True, "quick": FREE + 3, "order": "started by operator"}
    reason = "restart 3; last run: exit code 0"
    yield from begun(replace(due, deadline=99.0), DeadlinePassed(), reason, spec=LAZY, **known)


def failures() -> Iterator[Case]:
    life = listening()
    what = "cannot listen on tcp *:80: Permission denied"
    ended = Ended(Result.EXIT_CODE, ORDER, NOW, step="listen", errno=13, text="Permission denied", detail="tcp *:80")
    due = rested(life, Phase.BACKOFF, f"{what}; restart 1 in 1 s; policy on-failure", ended=ended, listening=True)
    yield Case(life, DENIED, replace(due, attempt=1, restarts=1, deadline=101.0), spec=LAZY)
    earlier = replace(DENIED, at=98.0, errno=24)
    lacking = replace(ended, result=Result.RESOURCES, at=98.0, errno=24)
    yield Case(life, earlier, replace(due, attempt=1, restarts=1, deadline=101.0, ended=lacking), spec=LAZY)
    spent = listening(attempt=3)
    reason = f"gave up after 3 retries: {what}; policy on-failure"
    yield Case(spent, DENIED, rested(spent, Phase.FAILED, reason, ended=ended), spec=LAZY)


def ends() -> Iterator[Case]:
    """After a clean end it listens again; after a failure its policy decides, and no connection is waited for."""
    life = running(listening=True, woken=True, quick=4)
    clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, code=0)
    told = f"exit code 0 after 4 s; policy on-failure; {WAITS}"
    waits = rested(life, Phase.LISTENING, told, attempt=0, ended=clean, listening=True, listens=NEXT, quick=4)
    yield Case(life, Exited(RUN, 0), waits, Listen(NEXT), spec=LAZY)
    again = stopping(goal=Goal.UP, again=True, order="restarted by operator", listening=True, woken=True)
    term = Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
    known = {"attempt": 0, "restarts": 0, "ended": term, "woken": True}
    yield from begun(again, Exited(RUN, signal=15), "restarted by operator", spec=LAZY, **known)
    for event, woken in ((Start(), False), (Restart(), True)):
        verb = "started" if isinstance(event, Start) else "restarted"
        order = f"{verb} by operator"
        after = stopping(goal=Goal.UP, again=True, order=order, reason=f"{order}: waits until its last run is gone")
        yield Case(stopping(woken=True), event, replace(after, woken=woken), spec=LAZY)
    sent = {
        "phase": Phase.STOPPING,
        "since": NOW,
        "deadline": 110.0,
        "kill_at": 110.0,
        "order": "restarted by operator",
    }
    after = replace(life, again=True, reason="restarted by operator: sent SIGTERM, then SIGKILL in 10 s", **sent)
    yield Case(life, Restart(), after, Signal(RUN, 15, "main"), spec=LAZY)
    crashed = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
    first = replace(life, attempt=0)
    told = "exit code 1 after 4 s; restart 1 at once; policy on-failure"
    spawned = replace(
        rested(first, Phase.STARTING, told, attempt=1, restarts=4, ended=crashed, listening=True, woken=True, quick=4),
        run=NEXT, deadline=160.0,
    )  # fmt: skip
    yield Case(first, Exited(RUN, 1), spawned, Failed(RUN), Spawn(NEXT), spec=LAZY)
    for phase in (stopped, exited, failed):
        life = phase(woken=True, quick=3)
        yield from begun(life, Start(), "started by operator", spec=LAZY, order="started by operator",
                         attempt=0, restarts=0)  # fmt: skip


def lazy_cases() -> Iterator[Case]:
    yield from idle()
    yield from late()
    yield from orders()
    yield from connections()
    yield from failures()
    yield from ends()
