"""Examples of the cells that a schedule has a part in; the rest of the machine is in `cases`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import EndHook, Failed, KillHook, RunHook, Signal, Spawn
from pserv.model.events import (
    ClockChanged,
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Exited,
    HookEnded,
    HookGone,
    Run,
    SpawnFailed,
    Start,
    Stop,
    Unhealthy,
)
from pserv.model.hooks import Hooks
from pserv.model.restart import Backoff
from pserv.model.spec import ServiceSpec
from pserv.model.states import Due, Ended, Goal, HookRun, Life, Phase, Result
from pserv.rules.decision import stay
from pserv.rules.machine import TABLE

from .hook_cases import OURS, cleaning, closing, preparing
from .lives import (
    BAD,
    FIRST,
    NEXT,
    NOW,
    OK,
    ONESHOT,
    RUN,
    Case,
    backoff,
    begun,
    ending,
    exited,
    failed,
    listening,
    rested,
    running,
    starting,
    stopped,
    stopping,
    up,
    waiting,
)

LINE = "* * * * *"
JOB = replace(ONESHOT, schedule=LINE, max_runtime=None)
QUEUE = replace(JOB, overlap="queue")
KILL = replace(JOB, overlap="kill")
WALL = 1000.0
AFTER = Due(1060.0, 160.0, "D", LINE)
"""The first time after now."""
COMING = Due(1010.0, 110.002, "C", LINE)
PAST = Due(990.0, 90.0, "P", LINE)
SLEPT = Due(990.0, 4000.0, "P", LINE)
"""It has come, although on the monotonic clock it has long to go."""
TIME: dict[str, Any] = {"wall": WALL, "due": AFTER}


def resting(due: Due | None = COMING) -> Life:
    told = "next run at C; started by operator"
    life = up(Phase.WAITING, told, attempt=0, restarts=0, ended=OK, due=due, resting=True)
    return replace(life, deadline=None if due is None else due.deadline)


def rests(before: Life, cause: str, due: Due = AFTER, **fields: object) -> Life:
    since = before.since if before.phase is Phase.WAITING else NOW
    told = {"attempt": 0, "due": due, "resting": True, "deadline": due.deadline, "since": since, **fields}
    return rested(before, Phase.WAITING, f"next run at {due.text}; {cause}", **told)


def by_hand() -> Iterator[Case]:
    fresh = {"attempt": 0, "restarts": 0, "order": "run by operator"}
    for before in (stopped(), waiting(), backoff(), exited(), failed()):
        yield from begun(before, Run(), "run by operator", spec=ONESHOT, **fresh)
        once = replace(before, once=before.phase in (Phase.WAITING, Phase.BACKOFF))
        since = before.since if before.phase is Phase.STOPPED else NOW
        gone = rested(once, Phase.STOPPED, "needs y", goal=Goal.DOWN, **fresh, since=since)
        yield Case(once, Run(), gone, spec=JOB, hopeless="needs y", **TIME)
    kept = rested(resting(), Phase.STARTING, "run by operator", run=NEXT, due=COMING, **fresh)
    yield Case(resting(), Run(), kept, Spawn(NEXT), spec=JOB, **TIME)


def waits() -> Iterator[Case]:
    begins = {"run": NEXT, "due": AFTER, "attempt": 0, "restarts": 0}
    for event in (DependenciesChanged(), Configured(), DeadlinePassed()):
        before = replace(waiting(once=True), deadline=99.0)
        gone = rested(before, Phase.STOPPED, "needs y", goal=Goal.DOWN)
        yield Case(before, event, gone, spec=JOB, hopeless="needs y", **TIME)
        before = resting(PAST)
        runs = rested(before, Phase.STARTING, "due at P", order="due at P", **begins)
        yield Case(before, event, runs, Spawn(NEXT), spec=JOB, **TIME)
    for news in (DependenciesChanged(), Configured(), ClockChanged()):
        yield Case(resting(), news, resting(), spec=JOB, **TIME)
    other = replace(COMING, of="other")
    yield Case(resting(other), Configured(), rests(resting(), "started by operator", restarts=0), spec=JOB, **TIME)
    set_back = replace(COMING, deadline=10.0)
    yield Case(resting(set_back), ClockChanged(), rests(resting(), "the clock was changed"), spec=JOB, **TIME)
    told = "missed the run due at P: the machine slept, or its clock was set"
    yield Case(resting(SLEPT), ClockChanged(), rests(resting(), told), spec=JOB, **TIME)
    missed = "due at P, missed while the machine slept or its clock was set"
    runs = rested(resting(), Phase.STARTING, missed, order=missed, **begins)
    yield Case(resting(SLEPT), ClockChanged(), runs, Spawn(NEXT), spec=replace(JOB, missed="run"), **TIME)
    yield Case(waiting(), ClockChanged(), waiting(), spec=JOB, **TIME)


def other_phases() -> Iterator[Case]:
    before = backoff(once=True)
    gone = rested(before, Phase.STOPPED, "needs y", goal=Goal.DOWN)
    yield Case(before, DeadlinePassed(), gone, spec=JOB, hopeless="needs y", **TIME)
    yield from tries()
    why = "exit code 1 after 5 s; policy never"
    yield Case(backoff(), Configured(), rests(backoff(), why), spec=JOB, **TIME)
    before = backoff(once=True)
    gone = rested(before, Phase.STOPPED, why, goal=Goal.DOWN)
    yield Case(before, Configured(), gone, spec=JOB, **TIME)
    for before in (exited(), failed()):
        yield Case(before, Configured(), rests(before, "scheduled by reload"), spec=JOB, **TIME)
    before = starting(due=replace(COMING, of="other"), deadline=None)
    yield Case(before, Configured(), replace(before, due=AFTER, deadline=160.0), spec=KILL, **TIME)
    before = starting(due=replace(COMING, deadline=1.0), deadline=None, health="unhealthy")
    yield Case(before, ClockChanged(), replace(before, due=COMING), spec=JOB, **TIME)
    yield Case(before, ClockChanged(), replace(before, due=COMING, deadline=110.002), spec=KILL, **TIME)


def tries() -> Iterator[Case]:
    """A run that waits for its next try."""
    begins = {"run": NEXT, "attempt": 0, "restarts": 0, "order": "due at P"}
    before = backoff(due=PAST)
    runs = rested(before, Phase.STARTING, "due at P", due=AFTER, **begins)
    yield Case(before, DeadlinePassed(), replace(runs, deadline=160.0), Spawn(NEXT), spec=KILL, **TIME)
    again = "restart 2; last run: exit code 1"
    goes_on = rested(before, Phase.STARTING, again, run=NEXT, due=replace(PAST, deadline=90.002))
    yield Case(before, DeadlinePassed(), goes_on, Spawn(NEXT), spec=JOB, **TIME)
    before = backoff(due=replace(COMING, deadline=1.0))
    yield Case(before, ClockChanged(), replace(before, due=COMING), spec=JOB, **TIME)
    before = replace(before, deadline=200.0)
    yield Case(before, ClockChanged(), replace(before, due=COMING, deadline=110.002), spec=KILL, **TIME)
    tries = {"restart": "on-failure", "backoff": Backoff(jitter=0.0)}
    before = backoff(due=replace(COMING, of="other"), deadline=200.0, since=98.0)
    after = replace(before, due=AFTER)
    yield Case(before, Configured(), replace(after, deadline=99.0), spec=replace(KILL, **tries), **TIME)
    soon = {**TIME, "due": replace(AFTER, deadline=98.5)}
    after = replace(before, due=soon["due"], deadline=98.5)
    yield Case(before, Configured(), after, spec=replace(KILL, **tries), **soon)


def ends() -> Iterator[Case]:
    before = starting(pid=70, started=97.0, deadline=None, due=PAST, attempt=0)
    reason = "the next run is due at P: sent SIGTERM, then SIGKILL in 10 s"
    stops = replace(before, phase=Phase.STOPPING, reason=reason, since=NOW, deadline=110.0, kill_at=110.0)
    yield Case(replace(before, deadline=90.0), DeadlinePassed(), stops, Signal(RUN, 15, "main"), spec=KILL, **TIME)
    set_back = replace(before, due=replace(COMING, deadline=90.0), deadline=90.0)
    yield Case(set_back, DeadlinePassed(), replace(before, due=COMING, deadline=110.002), spec=KILL, **TIME)
    slept = replace(before, due=SLEPT, deadline=4000.0)
    told = "started by operator; missed the run due at P: the machine slept, or its clock was set"
    yield Case(slept, ClockChanged(), replace(before, due=AFTER, deadline=160.0, reason=told), spec=KILL, **TIME)
    ended = Ended(Result.SUCCESS, RUN, NOW, 3.0, code=0)
    how = "exit code 0 after 3 s; policy never"
    for life, spec, after, effects in _ends(replace(before, ended=ended, pid=0), how):
        yield Case(replace(life, pid=70, ended=BAD), Exited(RUN, 0), after, *effects, spec=spec, **TIME)
    before = starting(due=PAST, attempt=0)
    ended = Ended(Result.EXIT_CODE, RUN, NOW, step="exec", errno=2, text="no", detail="/x")
    how = "cannot exec /x: no; policy never"
    for life, spec, after, effects in _ends(replace(before, ended=ended), how):
        failing = SpawnFailed(RUN, "exec", 2, "/x", "no")
        yield Case(replace(life, ended=BAD), failing, after, Failed(RUN), *effects, spec=spec, **TIME)


def _ends(over: Life, how: str) -> Iterator[tuple[Life, ServiceSpec, Life, tuple[Spawn, ...]]]:
    """What follows the end of a run: lives before it, but for how that ended."""
    coming = replace(over, due=COMING)
    yield coming, JOB, rests(coming, how, COMING), ()
    skipped = f"{how}; skipped the run due at P: the one before was still running"
    yield over, JOB, rests(over, skipped), ()
    told = "due at P, when the one before had ended"
    begins = {"run": NEXT, "due": AFTER, "attempt": 0, "restarts": 0}
    yield over, QUEUE, rested(over, Phase.STARTING, told, order=told, **begins), (Spawn(NEXT),)
    killed = rested(over, Phase.STARTING, "due at P", order="due at P", deadline=160.0, **begins)
    yield over, KILL, killed, (Spawn(NEXT),)
    once = replace(over, once=True, due=None)
    yield once, JOB, rested(once, Phase.STOPPED, how, goal=Goal.DOWN), ()


def hooked() -> Iterator[Case]:
    """What a run needs before it, and the next run comes meanwhile."""
    job, queue, kill = (replace(each, hooks=Hooks(pre_start=(FIRST,))) for each in (JOB, QUEUE, KILL))
    begins = {"run": NEXT, "due": AFTER, "attempt": 0, "restarts": 0}
    under_way = HookRun("pre_start", 0, NEXT, "pre_start 'first'", NOW, 60.0, False, "due at P")
    told = "due at P: runs pre_start 'first'"
    runs = rested(resting(), Phase.PREPARING, told, order="due at P", hook=under_way, deadline=160.0, **begins)
    yield Case(resting(replace(PAST, deadline=95.0)), ClockChanged(), runs, RunHook(NEXT), spec=job, **TIME)
    replaced = replace(AFTER, at=1030.0, deadline=130.0)
    soon = {**TIME, "due": replaced}
    before = resting(replace(PAST, deadline=95.0))
    runs = replace(runs, due=replaced, deadline=130.0)
    yield Case(before, DeadlinePassed(), runs, RunHook(NEXT), spec=kill, **soon)
    yield from _late_hooks(kill)
    failure = "pre_start 'first' failed: exit code 3"
    how = f"{failure}; policy never"
    for event in (HookEnded(OURS, "exit code 3"), HookGone(OURS)):
        failing = preparing(due=PAST, attempt=0, restarts=0)
        assert failing.hook is not None
        if isinstance(event, HookGone):
            failing = replace(failing, hook=replace(failing.hook, failure="exit code 3"))
        ended = Ended(Result.EXIT_CODE, OURS, NOW, step="hook", detail=failure)
        over = replace(failing, ended=ended)
        coming = replace(over, due=COMING)
        yield Case(replace(failing, due=COMING), event, rests(coming, how, COMING), Failed(OURS), spec=job, **TIME)
        once = replace(over, once=True, due=None)
        gone = rested(once, Phase.STOPPED, how, goal=Goal.DOWN)
        yield Case(replace(failing, once=True, due=None), event, gone, Failed(OURS), spec=job, **TIME)
    before = starting(due=PAST, attempt=0)
    ended = Ended(Result.EXIT_CODE, RUN, NOW, step="exec", errno=2, text="no", detail="/x")
    order = "due at P, when the one before had ended"
    under_way = HookRun("pre_start", 0, NEXT, "pre_start 'first'", NOW, 60.0, False, order)
    told = f"{order}: runs pre_start 'first'"
    over = replace(before, ended=ended)
    runs = rested(over, Phase.PREPARING, told, order=order, hook=under_way, deadline=160.0, **begins)
    broken = SpawnFailed(RUN, "exec", 2, "/x", "no")
    yield Case(before, broken, runs, Failed(RUN), RunHook(NEXT), spec=queue, **TIME)


def _late_hooks(kill: ServiceSpec) -> Iterator[Case]:
    """The deadline of the next run passes, or is moved, while the hook runs."""
    late = preparing(due=PAST, deadline=90.0)
    assert late.hook is not None
    asked = replace(late.hook, asked=True)
    told = "the next run is due at P: ends pre_start 'first'"
    gives_up = replace(late, phase=Phase.CLEANING, since=NOW, reason=told, hook=asked, deadline=102.0)
    yield Case(late, DeadlinePassed(), gives_up, EndHook(OURS), spec=kill, **TIME)
    moved = preparing(due=replace(COMING, deadline=90.0), deadline=90.0, hook=replace(late.hook, since=96.0))
    again = replace(moved, due=COMING, deadline=110.002)
    yield Case(moved, DeadlinePassed(), again, spec=kill, **TIME)
    yield Case(moved, ClockChanged(), again, spec=kill, **TIME)
    skip = replace(kill, overlap="skip")
    for news in (ClockChanged(), Configured()):
        yield Case(moved, news, replace(again, deadline=156.0), spec=skip, **TIME)
    old = replace(moved, due=replace(COMING, of="other"))
    yield Case(old, Configured(), replace(old, due=AFTER, deadline=156.0), spec=skip, **TIME)
    yield Case(old, Configured(), replace(old, due=AFTER, deadline=156.0), spec=replace(kill, timezone="UTC"), **TIME)
    ended = replace(late, hook=asked, deadline=99.0)
    yield Case(ended, DeadlinePassed(), *_killed(ended), spec=kill, **TIME)
    yield Case(ended, ClockChanged(), replace(ended, due=replace(PAST, deadline=90.002)), spec=kill, **TIME)
    over = replace(gives_up, deadline=102.0)
    begins = {"run": NEXT, "due": AFTER, "attempt": 0, "restarts": 0, "order": "due at P", "ended": BAD}
    under_way = HookRun("pre_start", 0, NEXT, "pre_start 'first'", NOW, 60.0, False, "due at P")
    runs = rested(over, Phase.PREPARING, "due at P: runs pre_start 'first'", hook=under_way, deadline=160.0, **begins)
    yield Case(over, HookEnded(OURS), runs, RunHook(NEXT), spec=kill, **TIME)
    never = replace(over, ended=None)
    yield Case(never, HookEnded(OURS), replace(runs, ended=None), RunHook(NEXT), spec=kill, **TIME)
    back = replace(never, due=COMING)
    rests_again = rests(back, "started by operator", COMING, restarts=back.restarts)
    yield Case(back, HookEnded(OURS), rests_again, spec=kill, **TIME)


def _killed(late: Life) -> tuple[Life, KillHook]:
    assert late.hook is not None
    told = "started by operator: pre_start 'first' is still running, sent SIGKILL"
    return replace(late, hook=replace(late.hook, killed=True), deadline=None, reason=told), KillHook(OURS)


def nothing_to_do() -> Iterator[Case]:
    """Cells without effect have none on what is scheduled either."""
    due = replace(COMING, deadline=1.0)
    living = (starting(), running(), closing(), stopping(), ending(), cleaning())
    lives = (stopped(), waiting(), listening(), preparing(), *living, backoff(), exited(), failed())
    events = {Stop: Stop(), Start: Start(), Unhealthy: Unhealthy(RUN, "x", ends=False)}
    for before in lives:
        for (phase, event), cell in TABLE.items():
            if phase is before.phase and cell.do is stay:
                life = replace(before, due=due)
                yield Case(life, events.get(event) or event(), life, spec=JOB, **TIME)
    left = ending(due=due)
    yield Case(left, Configured(), left, spec=JOB, **TIME)


SCHEDULED = (*by_hand(), *waits(), *other_phases(), *ends(), *hooked(), *nothing_to_do())
