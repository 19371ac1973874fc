"""Examples of services that go to the background: their command ends, and another process is the main one then."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pserv.model.effects import Adopt, Failed, RunHook, Signal
from pserv.model.events import DeadlinePassed, Exited, Gone, MainChanged, MainUnknown
from pserv.model.hooks import Hooks
from pserv.model.states import Ended, HookRun, Life, Phase, Result

from .lives import FIRST, FORKING, NAMED, NEXT, NOW, PROBED, RUN, SPEC, Case, begun, rested, running, starting, stopping
from .ready_cases import became_ready

BEFORE = "started by operator; waits until it has gone to the background"
WAITS = "started by operator; waits for /run/old.pid"


def spawned(**fields: object) -> Life:
    """The command runs."""
    return replace(starting(pid=70, started=97.0, reason=BEFORE), **fields)


def sought(**fields: object) -> Life:
    """The command has ended with success and left something."""
    return replace(spawned(pid=0, forked=True, reason=WAITS), **fields)


def goes() -> Iterator[Case]:
    """Its command ends."""
    yield Case(spawned(), Exited(RUN, 0, gone=False), sought(), spec=NAMED)
    guessed = sought(reason="started by operator; waits until its main process is known")
    yield Case(spawned(), Exited(RUN, 0, gone=False), guessed, Adopt(RUN), spec=FORKING)
    lenient = replace(NAMED, success_exit_codes=(3,))
    yield Case(spawned(), Exited(RUN, 3, gone=False), sought(), spec=lenient)
    record = Failed(RUN)
    due = {"attempt": 2, "restarts": 4, "deadline": 101.0}
    for spec, event, result, told in (
        (NAMED, Exited(RUN, 0), Result.PROTOCOL, "ended without leaving a process in the background"),
        (PROBED, Exited(RUN, 0), Result.PROTOCOL, "ended without leaving a process in the background"),
        (NAMED, Exited(RUN, 3), Result.EXIT_CODE, ""),
    ):
        ended = Ended(result, RUN, NOW, 3.0, code=event.code, detail=told)
        reason = f"{told or 'exit code 3 after 3 s'}; restart 2 in 1 s; policy on-failure"
        after = rested(spawned(), Phase.BACKOFF, reason, ended=ended, **due)
        yield Case(spawned(), event, after, record, spec=spec)
    for event in (Exited(RUN, 3, gone=False), Exited(RUN, signal=9, gone=False), Exited(RUN, 0, oom=True, gone=False)):
        result = {3: Result.EXIT_CODE, None: Result.SIGNAL, 0: Result.OOM_KILL}[event.code]
        how = {3: "exit code 3", None: "killed by SIGKILL", 0: "killed by the OOM killer"}[event.code]
        ended = Ended(result, RUN, NOW, 3.0, code=event.code, signal=event.signal)
        rest = spawned(phase=Phase.ENDING, pid=0, since=NOW, deadline=102.0, ended=ended)
        rest = replace(rest, reason=f"{how}: waits for what it left behind")
        yield Case(spawned(), event, rest, record, Signal(RUN, 15, "rest"), spec=NAMED)


def is_known() -> Iterator[Case]:
    ready = {"pid": 77, "forked": False, "adopted": NOW, "deadline": 110.0}
    told = "started by operator; ready after 3 s: /run/old.pid names 77"
    yield Case(sought(), MainChanged(RUN, 77), became_ready(sought(), told, **ready), spec=NAMED)
    puzzled = sought(reason=f"{WAITS}: there is no process 5")
    yield Case(puzzled, MainChanged(RUN, 77), became_ready(puzzled, told, **ready), spec=NAMED)
    early = became_ready(spawned(), told, **ready)  # MAINPID came before its command ended
    yield Case(spawned(), MainChanged(RUN, 77), early, spec=NAMED)
    told = "started by operator; ready after 3 s: its main process is 77"
    guessed = sought(reason="started by operator; waits until its main process is known")
    yield Case(guessed, MainChanged(RUN, 77), became_ready(guessed, told, **ready), spec=FORKING)
    waits = spawned(pid=77, adopted=NOW, reason="started by operator; waits until its tcp probe succeeds")
    yield Case(sought(), MainChanged(RUN, 77), waits, spec=PROBED)
    probed = sought(ready_at=99.0, well_at=99.0, reason="started by operator; ready after 2 s: tcp")
    after = became_ready(probed, probed.reason, at=99.0, **{**ready, "deadline": 109.0})
    yield Case(probed, MainChanged(RUN, 77), after, spec=PROBED)
    # The spec was exchanged meanwhile; the restart that this means is on its way.
    exchanged = sought(reason="started by operator")
    told = "started by operator; ready after 3 s: its main process is 77"
    yield Case(exchanged, MainChanged(RUN, 77), became_ready(exchanged, told, **ready), spec=SPEC)
    late = stopping(pid=0, forked=True)
    yield Case(late, MainChanged(RUN, 77), replace(late, pid=77, forked=False), spec=NAMED)

    yield Case(running(), MainChanged(RUN, 77), replace(running(), pid=77), spec=FORKING)


def is_not_known() -> Iterator[Case]:
    event = MainUnknown(RUN, "there is no process 5")
    told = sought(reason=f"{WAITS}: there is no process 5")
    yield Case(sought(), event, told, spec=NAMED)
    yield Case(replace(told, reason=f"{WAITS}: it is empty"), event, told, spec=NAMED)
    for life in (spawned(), running(), stopping(forked=True)):
        yield Case(life, event, life, spec=NAMED, late=True)
    yield Case(sought(), MainUnknown(RUN - 1, "x"), sought(), spec=NAMED, late=True)
    event = MainUnknown(RUN, "left 2 processes")
    stops = sought(
        phase=Phase.STOPPING, since=NOW, verdict=Result.PROTOCOL, fault="left 2 processes", deadline=110.0,
        kill_at=110.0, reason="left 2 processes: sent SIGTERM, then SIGKILL in 10 s",
    )  # fmt: skip
    yield Case(sought(), event, stops, Signal(RUN, 15, "all"), spec=FORKING)
    record = Failed(RUN)
    due = {"attempt": 2, "restarts": 4, "deadline": 101.0}
    for spec, fault in (
        (NAMED, "what it left in the background has ended before /run/old.pid named a main process"),
        (FORKING, "what it left in the background has ended"),
    ):
        ended = Ended(Result.PROTOCOL, RUN, NOW, 3.0, code=0, detail=fault)
        reason = f"{fault}; restart 2 in 1 s; policy on-failure"
        yield Case(sought(), Gone(RUN), rested(sought(), Phase.BACKOFF, reason, ended=ended, **due), record, spec=spec)
    ended = Ended(Result.PROTOCOL, RUN, NOW, 3.0, code=0, detail="what it left in the background has ended")
    spent = sought(attempt=3)
    reason = "gave up after 3 retries: what it left in the background has ended; policy on-failure"
    yield Case(spent, Gone(RUN), rested(spent, Phase.FAILED, reason, ended=ended), record, spec=FORKING)
    cleaned = replace(FORKING, hooks=Hooks(post_stop=(FIRST,)))
    cause = "what it left in the background has ended"
    hook = HookRun("post_stop", 0, NEXT, "post_stop 'first'", NOW, 60.0, True, cause)
    cleans = sought(phase=Phase.CLEANING, since=NOW, deadline=160.0, hook=hook, ended=ended)
    cleans = replace(cleans, reason=f"{cause}: runs post_stop 'first'")
    yield Case(sought(), Gone(RUN), cleans, record, RunHook(NEXT), spec=cleaned)
    first = sought(attempt=0)
    reason = "what it left in the background has ended; restart 1 at once; policy on-failure"
    yield from begun(first, Gone(RUN), reason, record, spec=FORKING, attempt=1, restarts=4, ended=ended)


def forks_again() -> Iterator[Case]:
    """Who forks twice was seen between both: it is followed, unless a file says who is meant."""
    life = running(adopted=99.5)
    told = "started by operator; waits until its main process is known"
    again = starting(started=96.0, forked=True, since=NOW, reason=told, deadline=160.0)
    yield Case(life, Exited(RUN, 0, gone=False), again, Adopt(RUN), spec=FORKING)
    clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, code=0)
    for end, spec in ((running(adopted=98.9), FORKING), (life, NAMED)):
        left = replace(end, phase=Phase.ENDING, pid=0, since=NOW, deadline=102.0, ended=clean)
        left = replace(left, reason="exit code 0: waits for what it left behind")
        yield Case(end, Exited(RUN, 0, gone=False), left, Signal(RUN, 15, "rest"), spec=spec)


def stops() -> Iterator[Case]:
    """While nobody is known to be the main process, all are asked to end, and all are waited for."""
    life = stopping(pid=0, forked=True, started=96.0)
    clean = Ended(Result.SUCCESS, RUN, NOW, 4.0, code=0)
    yield Case(life, Gone(RUN), rested(life, Phase.STOPPED, "stopped by operator", ended=clean), spec=NAMED)
    fault = "/run/old.pid named no main process within 1 min"
    late = sought(deadline=100.0)
    sent = {"phase": Phase.STOPPING, "since": NOW, "deadline": 110.0, "kill_at": 110.0, "verdict": Result.TIMEOUT}
    reason = f"{fault}: sent SIGTERM, then SIGKILL in 10 s"
    hung = replace(late, fault=fault, reason=reason, **sent)
    yield Case(late, DeadlinePassed(), hung, Signal(RUN, 15, "all"), spec=NAMED)
    ended = replace(clean, result=Result.TIMEOUT, detail=fault, uptime=3.0)
    due = rested(hung, Phase.BACKOFF, f"{fault}; restart 2 in 1 s; policy on-failure", ended=ended)
    yield Case(hung, Gone(RUN), replace(due, attempt=2, restarts=4, deadline=101.0), Failed(RUN), spec=NAMED)
    # Its command ends when it was to stop: what it left has as long as it would have had.
    told = stopping(kill_at=108.0)
    rest = replace(told, phase=Phase.ENDING, pid=0, ended=clean, deadline=108.0)
    rest = replace(rest, reason="stopped by operator: waits for what it left behind")
    yield Case(told, Exited(RUN, 0, gone=False), rest, Signal(RUN, 15, "rest"), spec=NAMED)
    known = replace(told, adopted=98.0)
    rest = replace(rest, adopted=98.0, deadline=102.0)
    yield Case(known, Exited(RUN, 0, gone=False), rest, Signal(RUN, 15, "rest"), spec=NAMED)


def backgrounds() -> Iterator[Case]:
    """All of them."""
    for cases in (goes, is_known, is_not_known, forks_again, stops):
        yield from cases()
