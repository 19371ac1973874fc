"""Cells of the machine's table for the end of a run: what is left of it, then what an operator or the policy wants."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.effects import Effect, Failed, Signal
from pserv.model.events import Configured, Exited, Gone, ListenFailed, Situation, SpawnFailed, Unresolved
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result, State
from pserv.rules import due, hooking, lazy, restart, schedule
from pserv.rules.decision import Decision, at_rest, soonest, told, why
from pserv.rules.starting import begin, fresh

REST_TIMEOUT = 2.0
"""Seconds between TERM and SIGKILL for what a main process left behind."""

SIGTERM = 15


def spawn_failed(spec: ServiceSpec, life: Life, event: SpawnFailed, situation: Situation) -> Decision:
    """as the goal and the policy say; a failed spawn is never tried again at once"""
    ended = restart.classify_spawn(life, event, situation.now)
    return over(spec, replace(life, ended=ended), situation, crash(life, ended))


def listen_failed(spec: ServiceSpec, life: Life, event: ListenFailed, situation: Situation) -> Decision:
    """as the policy says; what cannot be opened is never tried again at once"""
    return follow(spec, lazy.listen_failed(life, event, situation.now), situation, ())


def unresolved(spec: ServiceSpec, life: Life, event: Unresolved, situation: Situation) -> Decision:
    """as the policy says; what cannot be read is never tried again at once"""
    ended = Ended(Result.EXIT_CODE, life.run, situation.now, step="references", detail=event.why)
    return follow(spec, replace(life, ended=ended), situation, ())


def exited(spec: ServiceSpec, life: Life, event: Exited, situation: Situation) -> Decision:
    """TERM to what is left of the run; where nothing is left, as the goal and the policy say"""
    end, effects = ended(spec, life, event, situation)
    return after_exit(spec, end, situation, effects, gone=event.gone)


def ended(spec: ServiceSpec, life: Life, event: Exited, situation: Situation) -> tuple[Life, tuple[Effect, ...]]:
    """The life with how its main process ended."""
    end = restart.classify(spec, life, event, situation.now)
    return replace(life, ended=end, pid=0), crash(life, end)


def after_exit(
    spec: ServiceSpec, life: Life, situation: Situation, effects: tuple[Effect, ...], *, gone: bool
) -> Decision:
    """What comes when the main process has ended."""
    if gone:
        return over(spec, life, situation, effects)
    latest = life.kill_at if life.phase is Phase.STOPPING else None
    since = life.since if life.state is State.STOPPING else situation.now
    reason = f"{why(life)}: waits for what it left behind"
    rest = replace(life, phase=Phase.ENDING, since=since, reason=reason, deadline=None)
    if life.killed:
        return Decision(rest, effects)
    deadline = soonest(situation.now + REST_TIMEOUT, latest)
    if latest is not None and spec.type == "forking" and life.adopted is None:
        deadline = latest  # it was to stop while it went to the background: the rest is the service
    return Decision(replace(rest, deadline=deadline), (*effects, Signal(life.run, SIGTERM, "rest")))


def gone(spec: ServiceSpec, life: Life, event: Gone, situation: Situation) -> Decision:
    """as the goal and the policy say"""
    return over(spec, replace(life, survivors=event.survivors), situation, ())


def gone_unseen(spec: ServiceSpec, life: Life, event: Gone, situation: Situation) -> Decision:
    """over without an exit: nothing is left, or SIGKILL did not end the main process and it is not started again"""
    end, effects = unseen(life, event, situation)
    return after_unseen(spec, end, situation, effects)


def after_unseen(spec: ServiceSpec, life: Life, situation: Situation, effects: tuple[Effect, ...]) -> Decision:
    """What comes when SIGKILL has ended all that it could, and nobody saw the main process end."""
    if not life.survivors:
        return over(spec, life, situation, effects)
    if life.goal is Goal.DOWN:
        return follow(spec, life, situation, effects)
    reason = f"{_killed_for(life)}{told(life)}; not started again while that lives"
    return Decision(at_rest(life, Phase.FAILED, situation.now, reason), effects)


def _killed_for(life: Life) -> str:
    return life.fault or life.order


def unseen(life: Life, event: Gone, situation: Situation) -> tuple[Life, tuple[Effect, ...]]:
    """The life with the end of a main process that nobody saw."""
    uptime = max(situation.now - life.started, 0.0) if life.started else 0.0
    end = Ended(Result.SIGNAL, life.run, situation.now, uptime, signal=9, detail=life.fault, killed=life.killed)
    if life.forked and not life.killed:
        end = replace(end, result=Result.SUCCESS, signal=None, code=0)
    end = replace(end, result=life.verdict or end.result)
    return replace(life, ended=end, survivors=event.survivors), crash(life, end)


def buried(spec: ServiceSpec, life: Life, event: Exited | Gone, situation: Situation) -> Decision:
    """note that what SIGKILL did not end has ended since"""
    left = event.survivors if isinstance(event, Gone) else () if event.gone else life.survivors
    if left or not life.survivors:
        return Decision(replace(life, survivors=left))
    return Decision(replace(life, survivors=(), reason=f"{life.reason}; ended since"))


def reconsider(spec: ServiceSpec, life: Life, event: Configured, situation: Situation) -> Decision:
    """ask the new policy; a wait under way may get shorter, never longer"""
    if life.ended is None or life.deadline is None:
        return Decision(life)
    if spec.lazy and life.quick > lazy.FREE:
        return Decision(life)
    verdict = restart.after(spec, life.ended, attempt=life.attempt - 1, hung=0, uptime=0.0, chance=situation.chance)
    if not verdict.restart and spec.schedule is not None:
        return Decision(schedule.rest(spec, life, situation, verdict.reason))
    if not verdict.restart:
        phase = Phase.FAILED if verdict.failed else Phase.EXITED
        return Decision(at_rest(life, phase, situation.now, verdict.reason))
    latest = life.since + restart.longest(spec.backoff, life.attempt)
    known = schedule.caught_up(spec, life, situation)
    return Decision(replace(known, deadline=soonest(life.deadline, latest, schedule.replaced_at(spec, known))))


def over(spec: ServiceSpec, life: Life, situation: Situation, effects: tuple[Effect, ...]) -> Decision:
    """What comes when nothing is left of a run: its post_stop hooks first."""
    if life.hurried or not spec.hooks.post_stop:
        return follow(spec, life, situation, effects)
    since = life.since if life.state is State.STOPPING else situation.now
    cleaning = replace(life, phase=Phase.CLEANING, since=since, pid=0)
    begun = hooking.begin(spec, cleaning, "post_stop", 0, situation, why(cleaning))
    return Decision(begun.life, effects + begun.effects)


def follow(spec: ServiceSpec, life: Life, situation: Situation, effects: tuple[Effect, ...]) -> Decision:
    """What comes when a run and its hooks are over: what an operator wants, else what the policy says."""
    now, ended, loudly = situation.now, life.ended, told(life)
    if scheduled := due.instead(spec, life, situation, loudly):
        return Decision(scheduled.life, effects + scheduled.effects)
    if life.goal is Goal.DOWN or (ended is None and not life.again):
        how = ""
        if ended is not None and ended.run == life.run and ended.result is not Result.SUCCESS and not life.killed:
            how = f"; {restart.describe(ended)}"
        return Decision(at_rest(life, Phase.STOPPED, now, life.order + how + loudly), effects)
    if life.again:
        begun = begin(spec, replace(fresh(spec, life, life.order), woken=life.woken), situation, life.order + loudly)
        return Decision(begun.life, effects + begun.effects)
    assert ended is not None
    well_for = ended.at - life.well_at if life.well_at is not None else 0.0
    verdict = restart.after(spec, ended, attempt=life.attempt, hung=life.hung, uptime=well_for, chance=situation.chance)
    reason = verdict.reason + loudly
    if not verdict.restart and spec.schedule is not None:
        begun = due.after_run(spec, life, situation, reason)
        return Decision(begun.life, effects + begun.effects)
    if not verdict.restart:
        if spec.lazy and not verdict.failed:
            waits = lazy.listen(spec, replace(life, attempt=0), situation, reason)
            return Decision(waits.life, effects + waits.effects)
        phase = Phase.FAILED if verdict.failed else Phase.EXITED
        return Decision(at_rest(life, phase, now, reason), effects)
    again = replace(life, attempt=verdict.number, restarts=life.restarts + 1)
    if verdict.delay:
        at = soonest(now + verdict.delay, schedule.replaced_at(spec, again))
        return Decision(at_rest(again, Phase.BACKOFF, now, reason, at), effects)
    begun = begin(spec, again, situation, reason)
    return Decision(begun.life, effects + begun.effects)


def crash(life: Life, ended: Ended) -> tuple[Effect, ...]:
    """A record is kept of failures, not of what an operator stopped however it ended."""
    asked = life.phase in (Phase.CLOSING, Phase.STOPPING) and life.verdict is None
    return () if asked or ended.result is Result.SUCCESS else (Failed(ended.run),)
