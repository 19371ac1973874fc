"""Cells of the machine's table that end a run: signals in steps, then SIGKILL. What follows it is in `aftermath`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model import units
from pserv.model.effects import Kill, Signal
from pserv.model.events import (
    Configured,
    DeadlinePassed,
    Extended,
    Hurry,
    MainChanged,
    Restart,
    Situation,
    Spawned,
    Start,
    StartFailed,
    Stop,
    Unhealthy,
    WatchdogExpired,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import Goal, Life, Phase, Result
from pserv.rules import hooking, restart, schedule
from pserv.rules.decision import Decision, at_rest, signal_name, soonest, why
from pserv.rules.readiness import after_news, lacks, outlasted, run_deadline, stable_at, time_to_start

SIGABRT = 6


def cancel(spec: ServiceSpec, life: Life, event: Stop, situation: Situation) -> Decision:
    """give up the start that was planned"""
    down = replace(life, goal=Goal.DOWN, order=f"stopped by {event.by}")
    return Decision(at_rest(down, Phase.STOPPED, situation.now, down.order))


def stop(spec: ServiceSpec, life: Life, event: Stop, situation: Situation) -> Decision:
    """pre_stop hooks, then the first stop signal"""
    down = replace(life, goal=Goal.DOWN, order=f"stopped by {event.by}")
    return _stopping(spec, down, situation, down.order)


def restart_run(spec: ServiceSpec, life: Life, event: Restart, situation: Situation) -> Decision:
    """pre_stop hooks, then the first stop signal; start once the run is gone"""
    again = replace(life, again=True, order=f"restarted by {event.by}", woken=spec.lazy)
    return _stopping(spec, again, situation, again.order)


def start_when_gone(spec: ServiceSpec, life: Life, event: Start | Restart, situation: Situation) -> Decision:
    """note that it is to start once its run is gone"""
    order = f"{'started' if isinstance(event, Start) else 'restarted'} by {event.by}"
    again = replace(life, goal=Goal.UP, again=True, order=order, woken=spec.lazy and isinstance(event, Restart))
    return Decision(replace(again, reason=f"{order}: waits until its last run is gone"))


def stop_for_good(spec: ServiceSpec, life: Life, event: Stop, situation: Situation) -> Decision:
    """note that it is not to start again; what is left has no longer than a stop may take"""
    if life.goal is Goal.DOWN:
        return Decision(life)
    order = f"stopped by {event.by}"
    latest = situation.now + sum(step.timeout for step in spec.stop_steps)
    down = replace(life, goal=Goal.DOWN, again=False, order=order, reason=f"{order}: waits until its run is gone")
    if life.phase is not Phase.CLOSING:
        down = replace(down, listening=False)
    if life.phase is Phase.ENDING and life.deadline is not None:
        down = replace(down, deadline=min(life.deadline, latest))
    return Decision(down)


def hurry(spec: ServiceSpec, life: Life, event: Hurry, situation: Situation) -> Decision:
    """SIGKILL to all of the run, unless it was sent"""
    told = replace(life, hurried=True) if spec.hooks.post_stop else life
    return Decision(told) if life.killed else _kill(spec, told, situation.now, "told to hurry")


def shorten_stop(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """a stop under way may get less time, never more"""
    if life.deadline is None:
        return Decision(life)
    left = spec.stop_steps[life.step :]
    step = left[0].timeout if left else 0.0
    latest = soonest(life.kill_at, situation.now + sum(each.timeout for each in left))
    return Decision(replace(life, deadline=min(life.deadline, situation.now + step), kill_at=latest))


def start_overdue(spec: ServiceSpec, life: Life, event: DeadlinePassed, situation: Situation) -> Decision:
    """send the first stop signal; that is a failure, unless the next scheduled run is to take its place"""
    if outlasted(spec, life, situation.now):
        return _overdue(spec, life, situation, spec.max_runtime, "still running after its max_runtime of ")
    if (at := schedule.replaced_at(spec, life)) is not None and situation.now >= at and life.due is not None:
        if schedule.replaces(spec, life, situation):
            return _stopping(spec, life, situation, f"the next run is due at {life.due.text}")
        return after_news(spec, schedule.caught_up(spec, life, situation), situation.now)
    limit = time_to_start(spec, life)
    if life.forked and spec.pid_file:
        return _overdue(spec, life, situation, limit, f"{spec.pid_file} named no main process within ")
    return _overdue(spec, life, situation, limit, "not ready after ", lacks(spec, situation.answer))


def run_overdue(spec: ServiceSpec, life: Life, event: DeadlinePassed, situation: Situation) -> Decision:
    """stable: the streak of restarts is over; or max_runtime is over: send the first stop signal, a failure"""
    if outlasted(spec, life, situation.now):
        return _overdue(spec, life, situation, spec.max_runtime, "still running after its max_runtime of ")
    due = stable_at(spec, life)
    if due is None or due > situation.now:
        return Decision(replace(life, deadline=run_deadline(spec, life)))
    stable = replace(life, attempt=0, hung=life.attempt, reason=f"stable again after restart {life.attempt}")
    return Decision(replace(stable, deadline=run_deadline(spec, stable)))


def unhealthy(spec: ServiceSpec, life: Life, event: Unhealthy, situation: Situation) -> Decision:
    """send the first stop signal, a failure, if the policy would start it again; else mark it and leave it alone"""
    life = replace(life, alarm=bool(spec.hooks.on_unhealthy or spec.hooks.on_healthy))
    if event.ends and Result.WATCHDOG in restart.RESTARTS[spec.policy]:
        fault = f"unhealthy: {event.why}"
        failing = replace(life, health="unhealthy", verdict=Result.WATCHDOG, fault=fault)
        return _stopping(spec, failing, situation, fault)
    return after_news(spec, replace(life, health="unhealthy", reason=f"unhealthy: {event.why}"), situation.now)


def start_failed(spec: ServiceSpec, life: Life, event: StartFailed, situation: Situation) -> Decision:
    """send the first stop signal; that is a failure"""
    failing = replace(life, verdict=Result.EXIT_CODE, fault=event.why)
    return _stopping(spec, failing, situation, event.why)


def watchdog_expired(spec: ServiceSpec, life: Life, event: WatchdogExpired, situation: Situation) -> Decision:
    """send SIGABRT, then SIGKILL; that is a failure"""
    now, wait = situation.now, sum(step.timeout for step in spec.stop_steps)
    aborted = replace(
        life,
        phase=Phase.STOPPING,
        reason=f"{event.why}: sent SIGABRT, then SIGKILL in {units.show_duration(wait)}",
        since=now,
        deadline=now + wait,
        kill_at=now + wait,
        step=len(spec.stop_steps) - 1,
        verdict=Result.WATCHDOG,
        fault=event.why,
    )
    return Decision(aborted, (Signal(life.run, SIGABRT, "main"),))


def extended(spec: ServiceSpec, life: Life, event: Extended, situation: Situation) -> Decision:
    """a later deadline for this step, never an earlier one; the SIGKILL at its end moves with it"""
    if life.deadline is None or event.until <= life.deadline:
        return Decision(life)
    latest = None if life.kill_at is None else life.kill_at + event.until - life.deadline
    wait = units.show_duration(event.until - situation.now)
    reason = f"{why(life)}: asked for more time, then {following(spec, life.step)} in {wait}"
    return Decision(replace(life, deadline=event.until, kill_at=latest, reason=reason))


def extended_closing(spec: ServiceSpec, life: Life, event: Extended, situation: Situation) -> Decision:
    """note it: the first stop signal, which is yet to come, has so much time"""
    return Decision(replace(life, extended=max(event.until, life.extended or 0.0)))


def stop_overdue(spec: ServiceSpec, life: Life, event: DeadlinePassed, situation: Situation) -> Decision:
    """send the next stop signal; after the last, SIGKILL to all of the run"""
    if life.step + 1 >= len(spec.stop_steps):
        return _kill(spec, life, situation.now, "still running")
    return _send(spec, life, life.step + 1, situation.now, why(life))


def rest_overdue(spec: ServiceSpec, life: Life, event: DeadlinePassed, situation: Situation) -> Decision:
    """SIGKILL to what is left of the run"""
    return _kill(spec, life, situation.now, "what it left behind is still running")


def main_changed(spec: ServiceSpec, life: Life, event: MainChanged, situation: Situation) -> Decision:
    """note the pid, whose end is the run's from now on"""
    return Decision(replace(life, pid=event.pid, forked=False))


def spawned_late(spec: ServiceSpec, life: Life, event: Spawned, situation: Situation) -> Decision:
    """note the pid; the stop goes on"""
    return Decision(replace(life, pid=life.pid or event.pid, started=situation.now if event.at is None else event.at))


def _overdue(
    spec: ServiceSpec, life: Life, situation: Situation, limit: float | None, what: str, cause: str = ""
) -> Decision:
    fault = what + units.show_duration(limit or 0.0) + cause
    return _stopping(spec, replace(life, verdict=Result.TIMEOUT, fault=fault), situation, fault)


def _stopping(spec: ServiceSpec, life: Life, situation: Situation, cause: str) -> Decision:
    """As systemd's ExecStop: hooks are run before the stop of what was ready only."""
    since = replace(life, since=situation.now)
    if spec.hooks.pre_stop and life.phase is Phase.RUNNING:
        closing = replace(since, phase=Phase.CLOSING, extended=None)
        return hooking.begin(spec, closing, "pre_stop", 0, situation, cause)
    return send_first(spec, since, situation.now, cause)


def send_first(spec: ServiceSpec, life: Life, now: float, cause: str) -> Decision:
    """The first stop signal; from now on counts the time that a stop may take."""
    total = sum(step.timeout for step in spec.stop_steps)
    asked = max(0.0, (life.extended or 0.0) - now - spec.stop_steps[0].timeout) if life.phase is Phase.CLOSING else 0.0
    stopping = replace(life, phase=Phase.STOPPING, kill_at=now + total + asked, listening=_needed(life))
    return _send(spec, stopping, 0, now, cause, asked)


def _needed(life: Life) -> bool:
    """Whether its sockets stay open for the next run; else clients are refused as soon as the run accepts no more."""
    return life.listening and life.goal is Goal.UP


def _send(spec: ServiceSpec, life: Life, step: int, now: float, cause: str, asked: float = 0.0) -> Decision:
    """The signal of one step; the deadline is the next step's, `asked` seconds later if the run wanted more time."""
    steps = spec.stop_steps
    this = steps[step]
    wait = units.show_duration(this.timeout + asked)
    reason = f"{cause}: sent {signal_name(this.signal)}, then {following(spec, step)} in {wait}"
    sent = replace(life, step=step, deadline=now + this.timeout + asked, reason=reason)
    # As long as no process is known to be the main one, all of them are asked.
    return Decision(sent, (Signal(life.run, this.signal, "all" if life.forked else spec.stop_scope),))


def following(spec: ServiceSpec, step: int) -> str:
    """The signal after that of a step."""
    return signal_name(spec.stop_steps[step + 1].signal) if step + 1 < len(spec.stop_steps) else "SIGKILL"


def _kill(spec: ServiceSpec, life: Life, now: float, cause: str) -> Decision:
    reason = f"{why(life)}: {cause}, sent SIGKILL after {units.show_duration(now - life.since)}"
    step = len(spec.stop_steps)
    killed = replace(life, killed=True, step=step, deadline=None, kill_at=now, reason=reason)
    return Decision(killed, (Kill(life.run),))
