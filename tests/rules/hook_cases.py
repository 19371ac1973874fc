"""Examples of the hooks that a service waits for: before its start and its stop, after its end; and what interrupts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import EndHook, Failed, Kill, KillHook, RunHook, Signal, Spawn
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    DependenciesChanged,
    Event,
    Exited,
    Extended,
    Gone,
    Healthy,
    HookEnded,
    HookGone,
    Hurry,
    MainChanged,
    Ready,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    StartFailed,
    Stop,
    Unhealthy,
    Unready,
)
from pserv.model.hooks import Hook, Hooks
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, HookRun, Life, Phase, Result

from .lives import (
    BRIEF,
    FIRST,
    NEXT,
    NOW,
    RUN,
    SECOND,
    SPEC,
    SURVIVORS,
    TERM_SENT,
    Case,
    begun,
    ending,
    rested,
    running,
    starting,
    stopping,
)

OURS = 90
"""The run of the hook that is under way."""
STRICT = Hook(command=("second",), on_failure="fail")
BEFORE = replace(SPEC, hooks=Hooks(pre_start=(FIRST, SECOND)))
CLOSED = replace(SPEC, hooks=Hooks(pre_stop=(FIRST, SECOND)))
CLEANED = replace(SPEC, hooks=Hooks(post_stop=(FIRST, SECOND)))
CLEAN_STRICTLY = replace(SPEC, hooks=Hooks(post_stop=(STRICT, SECOND)))
CLOSE_STRICTLY = replace(SPEC, hooks=Hooks(pre_stop=(STRICT, SECOND)))
CRASH = Ended(Result.EXIT_CODE, RUN, 98.0, 2.0, code=1)
CLEAN = Ended(Result.SUCCESS, RUN, 98.0, 2.0, code=0)
GONE: tuple[Event, ...] = (HookEnded(OURS), HookGone(OURS))
TOLD: dict[str, Any] = {"goal": Goal.DOWN, "order": "stopped by operator"}


def hook(kind: str, cause: str, **fields: Any) -> HookRun:
    run = HookRun(kind, 0, OURS, f"{kind} 'first'", 39.0, 60.0, False, cause)
    return replace(run, **fields)


def preparing(**fields: Any) -> Life:
    """A pre_start hook runs; its run stands for the attempt."""
    under_way = hook("pre_start", "started by operator")
    reason = "started by operator: runs pre_start 'first'"
    life = starting(run=OURS, deadline=99.0, hook=under_way, reason=reason)
    return replace(life, **{"phase": Phase.PREPARING, **fields})


def closing(**fields: Any) -> Life:
    """A pre_stop hook runs while the main process lives."""
    under_way = hook("pre_stop", "stopped by operator", ignored=True)
    reason = "stopped by operator: runs pre_stop 'first'"
    life = running(deadline=99.0, hook=under_way, reason=reason, **TOLD)
    return replace(life, **{"phase": Phase.CLOSING, **fields})


def cleaning(**fields: Any) -> Life:
    """A post_stop hook runs after a crash."""
    under_way = hook("post_stop", "exit code 1", ignored=True)
    reason = "exit code 1: runs post_stop 'first'"
    life = running(pid=0, ended=CRASH, deadline=99.0, hook=under_way, reason=reason, since=98.0)
    return replace(life, **{"phase": Phase.CLEANING, **fields})


def runs(life: Life, kind: str, number: int, cause: str, spec: ServiceSpec, **fields: Any) -> Life:
    """After the decision to run one of its hooks."""
    declared = spec.hooks.of(kind)[number]
    name = f"{kind} '{declared.argv[0]}'"
    ignored = declared.on_failure == "ignore" or (declared.on_failure is None and kind != "pre_start")
    under_way = HookRun(kind, number, NEXT, name, NOW, declared.timeout, ignored, cause)
    after = replace(life, hook=under_way, deadline=NOW + declared.timeout, reason=f"{cause}: runs {name}")
    return replace(after, **fields)


def with_hook(life: Life, **fields: Any) -> Life:
    assert life.hook is not None
    return replace(life, hook=replace(life.hook, **fields))


def in_all() -> Iterator[Case]:
    """What is the same for every hook that is waited for."""
    for life, spec in ((preparing(), BEFORE), (closing(), CLOSED), (cleaning(), CLEANED)):
        assert life.hook is not None
        title, cause = life.hook.title, life.hook.cause
        late = with_hook(replace(life, deadline=102.0), failure="not done after 1 min", asked=True)
        late = replace(late, reason=f"{cause}: {title} not done after 1 min, sent SIGTERM")
        yield Case(life, DeadlinePassed(), late, EndHook(OURS), spec=spec)
        asked = with_hook(life, asked=True)
        killed = replace(with_hook(life, asked=True, killed=True), deadline=None)
        killed = replace(killed, reason=f"{cause}: {title} is still running, sent SIGKILL")
        yield Case(asked, DeadlinePassed(), killed, KillHook(OURS), spec=spec)
        left = HookEnded(OURS, "exit code 1", gone=False)
        yield Case(life, left, replace(with_hook(life, failure="exit code 1", killed=True), deadline=None),
                   KillHook(OURS), spec=spec)  # fmt: skip
        sooner = replace(with_hook(life, failure="not done after 1 min", killed=True), deadline=None)
        yield Case(sooner, left, sooner, spec=spec)
        for event in (HookEnded(OURS - 1), HookGone(OURS + 1)):
            yield Case(life, event, life, spec=spec, late=True)
        for news in (Ready(life.run), Unready(life.run, "x"), Healthy(life.run), Unhealthy(life.run, "x")):
            yield Case(life, news, life, spec=spec, late=True)
        for quiet in (DependenciesChanged(), Configured()):
            yield Case(life, quiet, life, spec=spec)
            other = with_hook(replace(life, goal=Goal.UP, ready_at=None, deadline=140.0), since=80.0)
            yield Case(other, quiet, other, spec=spec)
    for order in (Start(), Hurry(), DependenciesChanged(), Configured()):
        for life in (preparing(), preparing(ready_at=96.0)):
            yield Case(life, order, life, spec=BEFORE)
    for event in (HookEnded(RUN), HookGone(RUN)):
        yield Case(running(), event, running(), late=True)
    for run, life in ((RUN + 1, running()), (RUN, starting()), (RUN, stopping())):
        yield Case(life, StartFailed(run, "post_start 'x' failed"), life, late=True)


def refused() -> Iterator[Case]:
    """Facts of a run that cannot be while there is none."""
    facts: tuple[Event, ...] = (Spawned(RUN, 1), SpawnFailed(RUN, "exec", 2), Exited(RUN, 0), Gone(RUN))
    for life, events in ((preparing(run=RUN), facts), (cleaning(), facts), (closing(), facts[:2])):
        for event in events:
            yield Case(life, event, None)


def interrupted() -> Iterator[Case]:
    """A stop or a restart while a pre_start hook runs: it is ended, and then all goes on from there."""
    order = "stopped by reload"
    down = preparing(
        phase=Phase.CLEANING, goal=Goal.DOWN, order=order, since=NOW, reason=f"{order}: ends pre_start 'first'"
    )
    yield Case(
        preparing(), Stop("reload"), with_hook(replace(down, deadline=102.0), asked=True), EndHook(OURS), spec=BEFORE
    )
    order = "restarted by operator"
    again = preparing(
        phase=Phase.CLEANING, again=True, order=order, since=NOW, reason=f"{order}: ends pre_start 'first'"
    )
    yield Case(
        preparing(), Restart(), with_hook(replace(again, deadline=102.0), asked=True), EndHook(OURS), spec=BEFORE
    )
    for event, after in ((Stop("reload"), down), (Restart(), again)):
        asked = with_hook(preparing(deadline=101.0), asked=True)
        yield Case(asked, event, with_hook(replace(after, deadline=101.0), asked=True), spec=BEFORE)
        killed = with_hook(preparing(deadline=None), killed=True)
        yield Case(killed, event, with_hook(replace(after, deadline=None), killed=True), spec=BEFORE)
    yield from interrupted_ends(down, again)
    for life in (closing(goal=Goal.UP), cleaning()):
        for anew, order in ((Start("reload"), "started by reload"), (Restart(), "restarted by operator")):
            reason = f"{order}: waits until its last run is gone"
            yield Case(life, anew, replace(life, goal=Goal.UP, again=True, order=order, reason=reason), spec=CLOSED)
        told = "stopped by operator: waits until its run is gone"
        again = replace(life, again=True)
        yield Case(again, Stop(), replace(life, **TOLD, reason=told), spec=CLOSED)
        yield Case(replace(life, **TOLD), Stop("reload"), replace(life, **TOLD), spec=CLOSED)


def interrupted_ends(down: Life, again: Life) -> Iterator[Case]:
    """The hook of the start that was given up has ended."""
    for event in (HookEnded(OURS, "killed by SIGTERM"), HookGone(OURS)):
        asked = with_hook(down, asked=True)
        yield Case(asked, event, rested(asked, Phase.STOPPED, "stopped by reload"), spec=BEFORE)
        both = replace(CLEANED, hooks=replace(CLEANED.hooks, pre_start=(FIRST,)))
        yield Case(asked, event, runs(asked, "post_stop", 0, "stopped by reload", both), RunHook(NEXT), spec=both)
        forgiven: dict[str, Any] = {"attempt": 0, "restarts": 0}
        yield from begun(with_hook(again, asked=True), event, "restarted by operator", **forgiven)
        first = with_hook(replace(again, ended=None), asked=True)
        yield from begun(first, event, "restarted by operator", **forgiven)


def prepared() -> Iterator[Case]:
    for event in GONE:
        life = preparing()
        yield Case(
            life, event, runs(life, "pre_start", 1, "started by operator", BEFORE, run=NEXT), RunHook(NEXT), spec=BEFORE
        )
        last = with_hook(life, index=1)
        spawned = replace(replace(starting(run=NEXT, deadline=160.0), since=NOW), reason="started by operator")
        yield Case(last, event, spawned, Spawn(NEXT), spec=BEFORE)
        waited = replace(last, waited=3.0)
        yield Case(waited, event, replace(spawned, waited=3.0), Spawn(NEXT), spec=BEFORE)
    for event in (HookEnded(OURS, "exit code 3"), HookGone(OURS)):
        life = preparing()
        if isinstance(event, HookGone):
            life = with_hook(life, failure="exit code 3")
        why = "pre_start 'first' failed: exit code 3"
        ended = Ended(Result.EXIT_CODE, OURS, NOW, step="hook", detail=why)
        due = rested(life, Phase.BACKOFF, f"{why}; restart 2 in 1 s; policy on-failure", ended=ended)
        yield Case(life, event, replace(due, attempt=2, restarts=4, deadline=101.0), Failed(OURS), spec=BEFORE)
        spent = replace(life, attempt=3)
        told = f"gave up after 3 retries: {why}; policy on-failure"
        yield Case(spent, event, rested(spent, Phase.FAILED, told, ended=ended), Failed(OURS), spec=BEFORE)
        after = runs(life, "post_stop", 0, why, CLEANED, phase=Phase.CLEANING, since=NOW, ended=ended)
        yield Case(life, event, after, Failed(OURS), RunHook(NEXT), spec=CLEANED)
        shy = with_hook(life, ignored=True)
        following = runs(life, "pre_start", 1, "started by operator", BEFORE, run=NEXT)
        yield Case(shy, event, following, RunHook(NEXT), spec=BEFORE)
        timed = with_hook(life, failure="not done after 1 min", asked=True)
        late = "pre_start 'first' failed: not done after 1 min"
        due = rested(
            timed, Phase.BACKOFF, f"{late}; restart 2 in 1 s; policy on-failure", ended=replace(ended, detail=late)
        )
        yield Case(timed, event, replace(due, attempt=2, restarts=4, deadline=101.0), Failed(OURS), spec=BEFORE)


def stops() -> Iterator[Case]:
    """A stop of what was ready begins with its hooks; of what was not, with the signal."""
    life = running()
    down = replace(life, phase=Phase.CLOSING, since=NOW, **TOLD)
    yield Case(life, Stop(), runs(down, "pre_stop", 0, "stopped by operator", CLOSED), RunHook(NEXT), spec=CLOSED)
    again = replace(life, phase=Phase.CLOSING, since=NOW, again=True, order="restarted by operator")
    yield Case(life, Restart(), runs(again, "pre_stop", 0, "restarted by operator", CLOSED), RunHook(NEXT), spec=CLOSED)
    spec, fault = replace(BRIEF, hooks=CLOSED.hooks), "still running after its max_runtime of 5 s"
    old = running(started=95.0, deadline=100.0)
    late = replace(old, phase=Phase.CLOSING, since=NOW, verdict=Result.TIMEOUT, fault=fault)
    yield Case(old, DeadlinePassed(), runs(late, "pre_stop", 0, fault, spec), RunHook(NEXT), spec=spec)
    fault = "unhealthy: http 500"
    ill = replace(life, phase=Phase.CLOSING, since=NOW, verdict=Result.WATCHDOG, fault=fault, health="unhealthy")
    yield Case(life, Unhealthy(RUN, "http 500"), runs(ill, "pre_stop", 0, fault, CLOSED), RunHook(NEXT), spec=CLOSED)
    told = replace(SPEC, restart="never", hooks=Hooks(on_unhealthy=(FIRST,)))
    marked = replace(life, health="unhealthy", alarm=True, well_at=None, deadline=None, reason="unhealthy: http 500")
    yield Case(life, Unhealthy(RUN, "http 500"), marked, spec=told)
    fault = "post_start 'x' failed: exit code 1"
    failing = replace(life, since=NOW, verdict=Result.EXIT_CODE, fault=fault)
    after = runs(failing, "pre_stop", 0, fault, CLOSED, phase=Phase.CLOSING)
    yield Case(life, StartFailed(RUN, fault), after, RunHook(NEXT), spec=CLOSED)
    sent = replace(failing, phase=Phase.STOPPING, deadline=110.0, kill_at=110.0)
    sent = replace(sent, reason=f"{fault}: sent SIGTERM, then SIGKILL in 10 s")
    yield Case(life, StartFailed(RUN, fault), sent, Signal(RUN, 15, "main"))
    life = starting()
    sent = replace(life, phase=Phase.STOPPING, since=NOW, deadline=110.0, kill_at=110.0, reason=TERM_SENT, **TOLD)
    yield Case(life, Stop(), sent, Signal(RUN, 15, "main"), spec=CLOSED)


def closed() -> Iterator[Case]:
    for event in (*GONE, HookEnded(OURS, "exit code 1")):
        life = closing()
        yield Case(life, event, runs(life, "pre_stop", 1, "stopped by operator", CLOSED), RunHook(NEXT), spec=CLOSED)
        sent = replace(life, phase=Phase.STOPPING, hook=None, deadline=110.0, kill_at=110.0, reason=TERM_SENT)
        yield Case(with_hook(life, index=1), event, sent, Signal(RUN, 15, "main"), spec=CLOSED)
        opened = with_hook(replace(life, listening=True), index=1)
        yield Case(opened, event, sent, Signal(RUN, 15, "main"), spec=CLOSED)
        stays = replace(sent, goal=Goal.UP, listening=True)
        yield Case(replace(opened, goal=Goal.UP), event, stays, Signal(RUN, 15, "main"), spec=CLOSED)
        longer = replace(sent, extended=125.0, deadline=125.0, kill_at=125.0)
        longer = replace(longer, reason=TERM_SENT.replace("10 s", "25 s"))
        asked = with_hook(replace(life, extended=125.0), index=1)
        yield Case(asked, event, longer, Signal(RUN, 15, "main"), spec=CLOSED)
        broken = with_hook(life, failure="exit code 1", ignored=False)
        yield Case(broken, event, sent, Signal(RUN, 15, "main"), spec=CLOSE_STRICTLY)
        killed = replace(life, killed=True, hurried=True, deadline=None, kill_at=99.0, reason="why")
        stopped = replace(killed, phase=Phase.STOPPING, hook=None, step=1)
        yield Case(killed, event, stopped, spec=CLOSED)
        yield from after_its_end(event)
    life = closing()
    for left in (False, True):
        ended = Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
        yield Case(
            life, Exited(RUN, signal=15, gone=not left), replace(life, pid=0, ended=ended, left=left), spec=CLOSED
        )
    yield Case(life, MainChanged(RUN, 77), replace(life, pid=77), spec=CLOSED)
    longer = replace(life, extended=120.0, goal=Goal.UP)
    for until in (None, 119.0):
        yield Case(replace(longer, extended=until), Extended(RUN, 120.0), longer, spec=CLOSED)
    yield Case(longer, Extended(RUN, 119.0), longer, spec=CLOSED)
    exchanged = replace(CLOSED, type="forking")
    yield Case(life, MainChanged(RUN, 77), replace(life, pid=77), spec=exchanged)
    over = closing(pid=0, ended=CLEAN, left=True)
    yield Case(over, MainChanged(RUN, 77), over, spec=CLOSED, late=True)
    ill = closing(goal=Goal.UP, verdict=Result.WATCHDOG, fault="unhealthy: no")
    ended = Ended(Result.WATCHDOG, RUN, NOW, 4.0, code=0, detail="unhealthy: no")
    yield Case(ill, Exited(RUN, 0), replace(ill, pid=0, ended=ended), Failed(RUN), spec=CLOSED)
    life = closing(pid=0, ended=CLEAN, left=True)
    yield Case(life, Gone(RUN, SURVIVORS), replace(life, left=False, survivors=SURVIVORS), spec=CLOSED)
    life = closing(killed=True, hurried=True, kill_at=99.0, deadline=None)
    ended = Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    yield Case(life, Gone(RUN, SURVIVORS), replace(life, ended=ended, survivors=SURVIVORS), spec=CLOSED)


def after_its_end(event: Event) -> Iterator[Case]:
    """The main process ended while a hook before its stop was running."""
    over = closing(pid=0, ended=CLEAN)
    yield Case(over, event, rested(over, Phase.STOPPED, "stopped by operator"), spec=CLOSED)
    both = replace(CLEANED, hooks=replace(CLEANED.hooks, pre_stop=(FIRST,)))
    cleans = runs(over, "post_stop", 0, "stopped by operator", both, phase=Phase.CLEANING)
    yield Case(over, event, cleans, RunHook(NEXT), spec=both)
    left = replace(over, left=True)
    rest = replace(over, phase=Phase.ENDING, hook=None, deadline=102.0)
    rest = replace(rest, reason="stopped by operator: waits for what it left behind")
    yield Case(left, event, rest, Signal(RUN, 15, "rest"), spec=CLOSED)
    again = replace(over, goal=Goal.UP, again=True, order="restarted by operator")
    yield from begun(again, event, "restarted by operator", spec=CLOSED, attempt=0, restarts=0)
    fault = {"goal": Goal.UP, "verdict": Result.WATCHDOG, "fault": "unhealthy: no"}
    ended = replace(CLEAN, result=Result.WATCHDOG, detail="unhealthy: no")
    ill = replace(over, **fault, order="started by operator", ended=ended)
    due = rested(ill, Phase.BACKOFF, "unhealthy: no; restart 2 in 1 s; policy on-failure")
    yield Case(ill, event, replace(due, attempt=2, restarts=4, deadline=101.0), spec=CLOSED)
    ended = Ended(Result.SIGNAL, RUN, 98.0, 2.0, signal=9, killed=True)
    unseen = closing(killed=True, hurried=True, kill_at=99.0, ended=ended, survivors=SURVIVORS)
    told = "stopped by operator; needed SIGKILL after 3 s; survived SIGKILL: pid 9 (cp), state D"
    yield Case(unseen, event, rested(unseen, Phase.STOPPED, told), spec=CLOSED)
    again = replace(unseen, goal=Goal.UP, again=True, order="restarted by operator")
    told = "restarted by operator; needed SIGKILL after 3 s; survived SIGKILL: pid 9 (cp), state D"
    yield Case(again, event, rested(again, Phase.FAILED, f"{told}; not started again while that lives"), spec=CLOSED)


def hurried() -> Iterator[Case]:
    life = closing()
    reason = "stopped by operator: told to hurry, sent SIGKILL after 4 s"
    told = with_hook(replace(life, hurried=True, deadline=None, reason=reason), killed=True)
    killed = replace(told, killed=True, kill_at=NOW)
    yield Case(life, Hurry(), killed, KillHook(OURS), Kill(RUN), spec=CLOSED)
    yield Case(with_hook(life, killed=True), Hurry(), killed, Kill(RUN), spec=CLOSED)
    ended: dict[str, Any] = {"pid": 0, "ended": CLEAN}
    left = replace(life, **ended, left=True)
    yield Case(left, Hurry(), replace(killed, **ended, left=True), KillHook(OURS), Kill(RUN), spec=CLOSED)
    yield Case(replace(life, **ended), Hurry(), replace(told, **ended), KillHook(OURS), spec=CLOSED)
    yield Case(killed, Hurry(), killed, spec=CLOSED)
    life = cleaning(**TOLD)
    told = with_hook(replace(life, hurried=True, deadline=None), killed=True)
    told = replace(told, reason="stopped by operator: told to hurry, sent SIGKILL to post_stop 'first'")
    yield Case(life, Hurry(), told, KillHook(OURS), spec=CLEANED)
    yield Case(told, Hurry(), told, spec=CLEANED)
    for life in (stopping(killed=True, deadline=None, step=1), ending(killed=True, deadline=None)):
        yield Case(life, Hurry(), replace(life, hurried=True), spec=CLEANED)
    life = stopping(hurried=True)
    ended_by_term = Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
    after = rested(life, Phase.STOPPED, "stopped by operator", ended=ended_by_term)
    yield Case(life, Exited(RUN, signal=15), after, spec=CLEANED)


def ends() -> Iterator[Case]:
    """Whatever a run ended of: its post_stop hooks come next."""
    record = Failed(RUN)
    crash = Ended(Result.EXIT_CODE, RUN, NOW, 4.0, code=1)
    for life in (running(), starting(pid=70, started=96.0)):
        after = runs(life, "post_stop", 0, "exit code 1", CLEANED, phase=Phase.CLEANING, since=NOW, pid=0, ended=crash)
        yield Case(life, Exited(RUN, 1), after, record, RunHook(NEXT), spec=CLEANED)
    event = SpawnFailed(RUN, "exec", 2, "/no/such", "No such file or directory")
    ended = Ended(Result.EXIT_CODE, RUN, NOW, step="exec", errno=2, text="No such file or directory", detail="/no/such")
    what = "cannot exec /no/such: No such file or directory"
    after = runs(starting(), "post_stop", 0, what, CLEANED, phase=Phase.CLEANING, since=NOW, ended=ended)
    yield Case(starting(), event, after, record, RunHook(NEXT), spec=CLEANED)
    late = stopping(pid=0, started=0.0, ready_at=None)
    after = runs(late, "post_stop", 0, "stopped by operator", CLEANED, phase=Phase.CLEANING, ended=ended)
    yield Case(late, event, after, RunHook(NEXT), spec=CLEANED)
    life, term = stopping(), Ended(Result.SUCCESS, RUN, NOW, 4.0, signal=15)
    after = runs(life, "post_stop", 0, "stopped by operator", CLEANED, phase=Phase.CLEANING, pid=0, ended=term)
    yield Case(life, Exited(RUN, signal=15), after, RunHook(NEXT), spec=CLEANED)
    life, ended = stopping(killed=True, deadline=None), Ended(Result.SIGNAL, RUN, NOW, 4.0, signal=9, killed=True)
    after = runs(life, "post_stop", 0, "stopped by operator", CLEANED, phase=Phase.CLEANING, pid=0, ended=ended)
    yield Case(life, Gone(RUN), after, RunHook(NEXT), spec=CLEANED)
    life = ending()
    after = runs(life, "post_stop", 0, "exit code 1", CLEANED, phase=Phase.CLEANING, survivors=SURVIVORS)
    yield Case(life, Gone(RUN, SURVIVORS), after, RunHook(NEXT), spec=CLEANED)


def cleaned() -> Iterator[Case]:
    for event in (*GONE, HookEnded(OURS, "exit code 9")):
        life = cleaning()
        yield Case(life, event, runs(life, "post_stop", 1, "exit code 1", CLEANED), RunHook(NEXT), spec=CLEANED)
        last = with_hook(life, index=1)
        due = rested(last, Phase.BACKOFF, "exit code 1 after 2 s; restart 2 in 1 s; policy on-failure")
        due = replace(due, attempt=2, restarts=4, deadline=101.0)
        yield Case(last, event, due, spec=CLEANED)
        yield Case(with_hook(life, failure="exit code 9", ignored=False), event, due, spec=CLEAN_STRICTLY)
        yield Case(replace(life, hurried=True), event, due, spec=CLEANED)
        spent = replace(last, attempt=3)
        told = "gave up after 3 retries: exit code 1; policy on-failure"
        yield Case(spent, event, rested(spent, Phase.FAILED, told), spec=CLEANED)
        done = replace(last, ended=CLEAN)
        yield Case(done, event, rested(done, Phase.EXITED, "exit code 0 after 2 s; policy on-failure"), spec=CLEANED)
        down = replace(last, **TOLD)
        yield Case(down, event, rested(down, Phase.STOPPED, "stopped by operator; exit code 1"), spec=CLEANED)
        again = replace(last, again=True, order="restarted by operator")
        yield from begun(again, event, "restarted by operator", attempt=0, restarts=0)


def hook_cases() -> Iterator[Case]:
    yield from in_all()
    yield from refused()
    yield from interrupted()
    yield from prepared()
    yield from stops()
    yield from closed()
    yield from hurried()
    yield from ends()
    yield from cleaned()
