"""Parts of decisions about the hook that a service waits for: to begin it, end it, hear of it. Cells are in `hooks`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.effects import EndHook, KillHook, RunHook
from pserv.model.events import HookEnded, HookGone, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import HookRun, Life, Phase
from pserv.rules import schedule
from pserv.rules.decision import Decision, soonest

PATIENCE = 2.0
"""Seconds between TERM and SIGKILL for a hook."""


def begin(spec: ServiceSpec, life: Life, kind: str, index: int, situation: Situation, cause: str) -> Decision:
    """Run one hook; `cause` is the reason that stands again after it."""
    hook = spec.hooks.of(kind)[index]
    title = hook.title(kind)
    now, run = situation.now, situation.next_run
    under_way = HookRun(kind, index, run, title, now, hook.timeout, hook.ignored(kind), cause)
    begun = timed(spec, replace(life, hook=under_way, reason=f"{cause}: runs {title}"))
    return Decision(begun, (RunHook(run),))


def timed(spec: ServiceSpec, life: Life) -> Life:
    """With the deadline of its hook; before a start that may be that of the next scheduled run, which replaces it."""
    hook = of(life)
    if hook.asked or hook.killed:
        return life
    replaced = schedule.replaced_at(spec, life) if life.phase is Phase.PREPARING else None
    return replace(life, deadline=soonest(hook.since + hook.timeout, replaced))


def of(life: Life) -> HookRun:
    """The hook that is waited for; a life in one of the phases of hooks has one."""
    assert life.hook is not None
    return life.hook


def end(life: Life, now: float) -> Decision:
    """TERM, once; a hook that is being ended already keeps its deadline."""
    hook = of(life)
    if hook.asked or hook.killed:
        return Decision(life)
    asked = replace(life, hook=replace(hook, asked=True), deadline=now + PATIENCE)
    return Decision(asked, (EndHook(hook.run),))


def kill(life: Life) -> Decision:
    """SIGKILL, once; nothing but the end of it is waited for then."""
    hook = of(life)
    killed = replace(life, hook=replace(hook, killed=True), deadline=None)
    return Decision(killed, () if hook.killed else (KillHook(hook.run),))


def heard(life: Life, event: HookEnded | HookGone) -> Life:
    """With how the hook ended; what made us end it ourselves counts more."""
    hook = of(life)
    why = event.why if isinstance(event, HookEnded) else ""
    return replace(life, hook=replace(hook, failure=hook.failure or why))


def stays(event: HookEnded | HookGone) -> bool:
    """Whether its main process left something behind, which is to be ended before anything else is done."""
    return isinstance(event, HookEnded) and not event.gone


def breaks(hook: HookRun) -> bool:
    """Whether its failure counts."""
    return bool(hook.failure) and not hook.ignored
