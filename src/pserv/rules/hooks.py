"""Cells of the machine's table for the hooks that a service waits for: before its start and its stop, after its end."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model import units
from pserv.model.effects import Effect, Failed, Kill
from pserv.model.events import DeadlinePassed, Exited, Gone, HookEnded, HookGone, Hurry, Restart, Situation, Stop
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.rules import aftermath, hooking, schedule, starting, stopping
from pserv.rules.decision import Decision, why


def prepared(spec: ServiceSpec, life: Life, event: HookEnded | HookGone, situation: Situation) -> Decision:
    """end what it left behind; then the next pre_start hook, after the last spawn; as the policy says if it failed"""
    life = hooking.heard(life, event)
    if hooking.stays(event):
        return hooking.kill(life)
    hook = hooking.of(life)
    if hooking.breaks(hook):
        failure = f"{hook.title} failed: {hook.failure}"
        ended = Ended(Result.EXIT_CODE, life.run, situation.now, step="hook", detail=failure)
        return aftermath.over(spec, replace(life, ended=ended, hook=None), situation, (Failed(life.run),))
    if hook.index + 1 < len(spec.hooks.pre_start):
        following = replace(life, run=situation.next_run)
        return hooking.begin(spec, following, "pre_start", hook.index + 1, situation, hook.cause)
    return starting.spawn(spec, life, situation, hook.cause)


def stop_preparing(spec: ServiceSpec, life: Life, event: Stop, situation: Situation) -> Decision:
    """end the hook: TERM to all of it"""
    order = f"stopped by {event.by}"
    return _give_up(replace(life, goal=Goal.DOWN, order=order), situation)


def restart_preparing(spec: ServiceSpec, life: Life, event: Restart, situation: Situation) -> Decision:
    """end the hook: TERM to all of it; start over once it is gone"""
    order = f"restarted by {event.by}"
    return _give_up(replace(life, again=True, order=order), situation)


def _give_up(life: Life, situation: Situation) -> Decision:
    reason = f"{life.order}: ends {hooking.of(life).title}"
    return hooking.end(replace(life, phase=Phase.CLEANING, since=situation.now, reason=reason), situation.now)


def closed(spec: ServiceSpec, life: Life, event: HookEnded | HookGone, situation: Situation) -> Decision:
    """end what it left behind; then the next pre_stop hook, after the last send the first stop signal"""
    life = hooking.heard(life, event)
    if hooking.stays(event):
        return hooking.kill(life)
    hook = hooking.of(life)
    rest = replace(life, hook=None, left=False, deadline=None)
    if life.pid and life.ended is not None and life.ended.run == life.run:
        return aftermath.after_unseen(spec, rest, situation, ())
    if not life.pid:
        return aftermath.after_exit(spec, rest, situation, (), gone=not life.left)
    if life.killed:
        return Decision(replace(rest, phase=Phase.STOPPING, step=len(spec.stop_steps)))
    if hook.index + 1 < len(spec.hooks.pre_stop) and not hooking.breaks(hook):
        return hooking.begin(spec, life, "pre_stop", hook.index + 1, situation, hook.cause)
    return stopping.send_first(spec, rest, situation.now, hook.cause)


def exited_closing(spec: ServiceSpec, life: Life, event: Exited, situation: Situation) -> Decision:
    """note it; the hook goes on, since it may be what ended it"""
    over, effects = aftermath.ended(spec, life, event, situation)
    return Decision(replace(over, left=not event.gone), effects)


def gone_closing(spec: ServiceSpec, life: Life, event: Gone, situation: Situation) -> Decision:
    """note it; the hook goes on"""
    if not life.pid:
        return Decision(replace(life, left=False, survivors=event.survivors))
    return Decision(*aftermath.unseen(life, event, situation))


def hurry_closing(spec: ServiceSpec, life: Life, event: Hurry, situation: Situation) -> Decision:
    """SIGKILL to the hook and to all of the run"""
    if life.hurried:
        return Decision(life)
    lives = bool(life.pid) or life.left
    waited = units.show_duration(situation.now - life.since)
    reason = f"{why(life)}: told to hurry, sent SIGKILL after {waited}"
    now = situation.now if lives else None
    hook = hooking.kill(replace(life, hurried=True, killed=lives, kill_at=now, reason=reason))
    effects: tuple[Effect, ...] = (Kill(life.run),) if lives else ()
    return Decision(hook.life, hook.effects + effects)


def cleaned(spec: ServiceSpec, life: Life, event: HookEnded | HookGone, situation: Situation) -> Decision:
    """end what it left behind; then the next post_stop hook; after the last as the goal and the policy say"""
    life = hooking.heard(life, event)
    if hooking.stays(event):
        return hooking.kill(life)
    hook = hooking.of(life)
    rest = replace(life, hook=None, deadline=None)
    first = hook.kind != "post_stop"  # it was a hook of a start that was given up
    following = 0 if first else hook.index + 1
    if life.hurried or following >= len(spec.hooks.post_stop) or (hooking.breaks(hook) and not first):
        return aftermath.follow(spec, rest, situation, ())
    return hooking.begin(spec, rest, "post_stop", following, situation, why(rest))


def hurry_cleaning(spec: ServiceSpec, life: Life, event: Hurry, situation: Situation) -> Decision:
    """SIGKILL to the hook; no other is run after it"""
    if life.hurried:
        return Decision(life)
    reason = f"{why(life)}: told to hurry, sent SIGKILL to {hooking.of(life).title}"
    return hooking.kill(replace(life, hurried=True, reason=reason))


def overdue(spec: ServiceSpec, life: Life, event: DeadlinePassed, situation: Situation) -> Decision:
    """TERM to all of the hook, which has failed; 2 s later SIGKILL"""
    hook = hooking.of(life)
    at = schedule.replaced_at(spec, life) if life.phase is Phase.PREPARING and not hook.asked else None
    if at is not None and situation.now >= at:
        return _replaced(spec, life, situation)
    if hook.asked:
        return hooking.kill(replace(life, reason=f"{hook.cause}: {hook.title} is still running, sent SIGKILL"))
    failure = f"not done after {units.show_duration(hook.timeout)}"
    late = replace(hook, failure=failure)
    reason = f"{hook.cause}: {hook.title} {failure}, sent SIGTERM"
    return hooking.end(replace(life, hook=late, reason=reason), situation.now)


def _replaced(spec: ServiceSpec, life: Life, situation: Situation) -> Decision:
    """The next scheduled run takes the place of one that is still being prepared, unless the clock was set back."""
    if life.due is None or not schedule.replaces(spec, life, situation):
        return Decision(hooking.timed(spec, schedule.caught_up(spec, life, situation)))
    reason = f"the next run is due at {life.due.text}: ends {hooking.of(life).title}"
    return hooking.end(replace(life, phase=Phase.CLEANING, since=situation.now, reason=reason), situation.now)
