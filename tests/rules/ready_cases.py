"""Examples of a run that lives: ready or not, well or not, silent, and the time that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pserv.model.effects import Signal
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    Extended,
    Healthy,
    MainChanged,
    Ready,
    Spawned,
    Unhealthy,
    Unready,
    WatchdogExpired,
)
from pserv.model.probe import Health
from pserv.model.states import Life, Phase, Result
from pserv.model.stop import Stop as StopSpec

from .lives import (
    BRIEF,
    HEALTH,
    NOTIFY,
    NOW,
    ONESHOT,
    PORT,
    READY,
    RUN,
    S6,
    SPEC,
    STEPS,
    Case,
    running,
    starting,
    stopping,
    waited_for,
)


def became_ready(before: Life, reason: str, *, at: float = NOW, deadline: float | None, **fields: Any) -> Life:
    up = replace(before, phase=Phase.RUNNING, since=NOW, ready_at=at, well_at=at, extended=None, reason=reason)
    return replace(up, deadline=deadline, **fields)


def readiness() -> Iterator[Case]:
    born = starting()
    for spec, awaited in (
        (NOTIFY, "waits for READY=1"),
        (READY, "waits until its tcp probe succeeds"),
        (S6, "waits for a line on descriptor 3"),
        (HEALTH, "waits until its tcp probe succeeds"),
    ):
        reason = f"started by operator; {awaited}"
        waits = replace(born, pid=5, started=98.0, reason=reason)
        yield Case(born, Spawned(RUN, 5, 98.0), waits, spec=spec)
        after = became_ready(waits, "started by operator; ready after 2 s: it says so", deadline=110.0)
        yield Case(waits, Ready(RUN, "it says so"), after, spec=spec)
    # The news of a spawn may come after what the process said.
    early = starting(ready_at=99.0, well_at=99.0, reason="started by operator; ready after 3 s: READY=1")
    yield Case(born, Ready(RUN, "READY=1", 99.0), early, spec=NOTIFY)
    after = became_ready(early, early.reason, at=99.0, deadline=109.0, pid=5, started=98.0)
    yield Case(early, Spawned(RUN, 5, 98.0), after, spec=NOTIFY)
    kept = became_ready(early, early.reason, at=99.0, deadline=109.0, pid=5, started=99.5)
    yield Case(early, Spawned(RUN, 5, 99.5), kept)
    taken_back = replace(early, ready_at=None, well_at=None, reason="not ready: RELOADING=1")
    yield Case(early, Unready(RUN, "RELOADING=1"), taken_back, spec=NOTIFY)
    waits = waited_for(extended=130.0, attempt=0)
    after = became_ready(waits, "started by operator; ready after 3 s", deadline=None)
    yield Case(waits, Ready(RUN), after, spec=NOTIFY)
    yield Case(waited_for(), Unready(RUN, "RELOADING=1"), waited_for(), spec=NOTIFY)
    yield Case(waited_for(), Ready(RUN, "READY=1"), waited_for(), spec=ONESHOT)
    # A run that was ready.
    marked = running(ready_at=None, well_at=None, deadline=None, reason="not ready: http 503")
    yield Case(running(), Unready(RUN, "http 503"), marked, spec=READY)
    yield Case(marked, Unready(RUN, "http 500"), marked, spec=READY)
    again = replace(marked, ready_at=NOW, well_at=NOW, deadline=110.0, reason="ready again: http 200")
    yield Case(marked, Ready(RUN, "http 200"), again, spec=READY)
    early_again = replace(again, ready_at=99.0, well_at=99.0, deadline=109.0, reason="ready again")
    yield Case(marked, Ready(RUN, "", 99.0), early_again, spec=READY)
    yield Case(running(), Ready(RUN, "READY=1"), running(), spec=NOTIFY)
    limited = replace(READY, max_runtime=40.0)
    yield Case(running(), Unready(RUN, "http 503"), replace(marked, deadline=136.0), spec=limited)


def health() -> Iterator[Case]:
    waits = waited_for(reason="started by operator; waits until its tcp probe succeeds")
    ready = became_ready(waits, "started by operator; ready after 3 s: tcp", deadline=110.0, health="healthy")
    yield Case(waits, Healthy(RUN, "tcp"), ready, spec=HEALTH)
    both = replace(NOTIFY, health=HEALTH.health)
    yield Case(waited_for(), Healthy(RUN, "tcp"), waited_for(health="healthy"), spec=both)
    yield Case(running(), Healthy(RUN, "tcp"), running(health="healthy"), spec=HEALTH)
    yield Case(running(health="healthy"), Healthy(RUN, "tcp"), running(health="healthy"), spec=HEALTH)
    sick = running(health="unhealthy", well_at=None, deadline=None, reason="unhealthy: refused")
    well = replace(sick, health="healthy", well_at=NOW, deadline=110.0, reason="healthy again: tcp")
    yield Case(sick, Healthy(RUN, "tcp"), well, spec=HEALTH)
    neither = replace(sick, ready_at=None)
    yield Case(neither, Healthy(RUN, "tcp"), replace(well, ready_at=None, well_at=None, deadline=None), spec=both)
    yield Case(sick, Ready(RUN), sick, spec=READY)
    # Marked only: where told so, and where the policy would not start it again.
    yield Case(running(health="healthy"), Unhealthy(RUN, "refused", ends=False), sick, spec=HEALTH)
    for policy in ("never", "on-success"):
        spec = replace(HEALTH, restart=policy, max_runtime=40.0)
        yield Case(running(), Unhealthy(RUN, "refused"), replace(sick, deadline=136.0), spec=spec)
    # Ended, where it would.
    for policy in ("on-watchdog", "on-failure", "on-abnormal", "always"):
        sent = "unhealthy: refused: sent SIGTERM, then SIGKILL in 10 s"
        ended = running(since=NOW, deadline=110.0, kill_at=110.0, reason=sent, health="unhealthy")
        ended = replace(ended, phase=Phase.STOPPING, verdict=Result.WATCHDOG, fault="unhealthy: refused")
        spec = replace(HEALTH, restart=policy)
        yield Case(running(), Unhealthy(RUN, "refused"), ended, Signal(RUN, 15, "main"), spec=spec)
    yield Case(waits, Unhealthy(RUN, "refused"), waits, spec=HEALTH)


def stability() -> Iterator[Case]:
    """A streak ends after a run that was ready and passed its checks; what its watchdog ends was never stable."""
    life = running(well_at=90.0, health="healthy", deadline=100.0)
    stable = replace(life, attempt=0, hung=1, deadline=None, reason="stable again after restart 1")
    yield Case(life, DeadlinePassed(), stable, spec=HEALTH)
    slow = replace(SPEC, health=Health(tcp=PORT, interval=9.0, timeout=1.0, failures=2))
    yield Case(life, DeadlinePassed(), replace(life, deadline=110.0), spec=slow)
    for lost in ({"well_at": None, "health": "unhealthy"}, {"well_at": None, "ready_at": None}):
        sick = replace(life, **lost)
        yield Case(sick, DeadlinePassed(), replace(sick, deadline=None), spec=HEALTH)


def watchdog() -> Iterator[Case]:
    silent = "WATCHDOG=1 did not come for 30 s"
    for life in (waited_for(), running()):
        aborted = replace(
            life,
            phase=Phase.STOPPING,
            since=NOW,
            verdict=Result.WATCHDOG,
            fault=silent,
            deadline=110.0,
            kill_at=110.0,
            reason=f"{silent}: sent SIGABRT, then SIGKILL in 10 s",
        )
        yield Case(life, WatchdogExpired(RUN, silent), aborted, Signal(RUN, 6, "main"), spec=NOTIFY)
        reason = f"{silent}: sent SIGABRT, then SIGKILL in 35 s"
        long = replace(aborted, step=1, deadline=135.0, kill_at=135.0, reason=reason)
        yield Case(life, WatchdogExpired(RUN, silent), long, Signal(RUN, 6, "main"), spec=STEPS)


def more_time() -> Iterator[Case]:
    yield Case(starting(), Extended(RUN, 150.0), starting(extended=150.0), spec=NOTIFY)
    longer = waited_for(extended=170.0, deadline=170.0)
    yield Case(waited_for(), Extended(RUN, 170.0), longer, spec=NOTIFY)
    yield Case(longer, Extended(RUN, 160.0), longer, spec=NOTIFY)
    endless = waited_for(deadline=None, extended=120.0)
    yield Case(waited_for(deadline=None), Extended(RUN, 120.0), replace(endless, deadline=127.0), spec=ONESHOT)
    yield Case(longer, Configured(), longer, spec=NOTIFY)
    yield Case(running(attempt=0), Extended(RUN, 120.0), running(attempt=0, extended=120.0, deadline=None))
    life = running(attempt=0, deadline=101.0)
    yield Case(life, Extended(RUN, 120.0), replace(life, extended=120.0, deadline=120.0), spec=BRIEF)
    late = waited_for(extended=100.0, deadline=100.0)
    fault = "not ready after 1 min: READY=1 did not come"
    sent = {"phase": Phase.STOPPING, "since": NOW, "deadline": 110.0, "kill_at": 110.0, "verdict": Result.TIMEOUT}
    later = fault.replace("1 min", "1 min 30 s")
    for life, spec, answer, told in (
        (late, NOTIFY, "", fault),
        (replace(late, since=10.0), NOTIFY, "", later),
        (late, S6, "", "not ready after 1 min: no line came on descriptor 3"),
        (late, READY, "", "not ready after 1 min: its tcp probe has not answered"),
        (late, READY, "port 1: connection refused", "not ready after 1 min: port 1: connection refused"),
        (late, HEALTH, "port 1: connection refused", "not ready after 1 min: port 1: connection refused"),
    ):
        after = replace(life, fault=told, reason=f"{told}: sent SIGTERM, then SIGKILL in 10 s", **sent)
        yield Case(life, DeadlinePassed(), after, Signal(RUN, 15, "main"), spec=spec, answer=answer)
    stop = stopping(deadline=104.0, kill_at=109.0)
    reason = "stopped by operator: asked for more time, then SIGKILL in 20 s"
    yield Case(stop, Extended(RUN, 120.0), replace(stop, deadline=120.0, kill_at=125.0, reason=reason))
    reason = "stopped by operator: asked for more time, then SIGTERM in 20 s"
    yield Case(stop, Extended(RUN, 120.0), replace(stop, deadline=120.0, kill_at=125.0, reason=reason), spec=STEPS)
    for life in (stop, stopping(deadline=None, killed=True)):
        yield Case(life, Extended(RUN, 104.0), life)
    stop = stopping(deadline=104.0, kill_at=None)
    reason = "stopped by operator: asked for more time, then SIGKILL in 20 s"
    yield Case(stop, Extended(RUN, 120.0), replace(stop, deadline=120.0, reason=reason))


def main_process() -> Iterator[Case]:
    """A run may name another of its processes, whatever it is doing."""
    for life in (waited_for(), running(), stopping(pid=5)):
        yield Case(life, MainChanged(RUN, 77), replace(life, pid=77))
        yield Case(replace(life, pid=77), MainChanged(RUN, 77), replace(life, pid=77))
    # Told before the spawn is: it stays what it is then, and the run is not up before.
    early = starting(pid=77)
    yield Case(starting(), MainChanged(RUN, 77), early)
    known = replace(early, ready_at=99.0, well_at=99.0, reason="started by operator; ready after 3 s")
    yield Case(early, Ready(RUN, "", 99.0), known, spec=NOTIFY)
    up = became_ready(known, known.reason, at=99.0, deadline=109.0, started=98.0)
    yield Case(known, Spawned(RUN, 5, 98.0), up, spec=NOTIFY)
    yield Case(early, Configured(), early)
    late = stopping(pid=77, started=0.0)
    yield Case(late, Spawned(RUN, 5), replace(late, started=NOW))


def reconfigured() -> Iterator[Case]:
    """A probe that is declared no more is not waited for, and its verdict is forgotten."""
    waits = waited_for()
    yield Case(waits, Configured(), waits, spec=NOTIFY)
    yield Case(waits, Configured(), waits, spec=HEALTH)
    told = "ready: it is not waited for any more"
    yield Case(waits, Configured(), became_ready(waits, told, deadline=110.0))
    well = waited_for(health="healthy")
    yield Case(well, Configured(), became_ready(well, told, deadline=110.0), spec=HEALTH)
    yield Case(well, Configured(), well, spec=replace(READY, health=HEALTH.health))
    yield Case(starting(), Configured(), starting(), spec=SPEC)
    unready = running(ready_at=None, well_at=None, deadline=None, reason="not ready: http 503")
    yield Case(unready, Configured(), replace(unready, ready_at=NOW, well_at=NOW, deadline=110.0, reason=told))
    yield Case(unready, Configured(), unready, spec=READY)
    sick = running(health="unhealthy", well_at=None, deadline=None, reason="unhealthy: refused")
    reason = "its health is not probed any more"
    yield Case(sick, Configured(), replace(sick, health="", well_at=NOW, deadline=110.0, reason=reason))
    yield Case(sick, Configured(), sick, spec=HEALTH)
    yield Case(running(health="healthy"), Configured(), running())
    quick = replace(NOTIFY, start_timeout=1.0, stop=StopSpec(timeout=1.0))
    yield Case(waits, Configured(), replace(waits, deadline=97.0), spec=quick)


def lives_on() -> Iterator[Case]:
    """All of them."""
    for cases in (readiness, health, stability, watchdog, more_time, main_process, reconfigured):
        yield from cases()
