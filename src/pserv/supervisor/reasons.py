"""Why a service is as it is, and what comes next, in sentences: `pserv why`. Decides and changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from pserv.model import units
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase
from pserv.rules import conditions, readiness, restart, stopping
from pserv.rules.conditions import Lives, Specs

LINKS = 20
"""So many services that others wait for are told of; a file may declare a thousand."""


SETTLING = frozenset(
    {Phase.STOPPED, Phase.LISTENING, Phase.EXITED, Phase.CLOSING, Phase.STOPPING, Phase.ENDING, Phase.CLEANING}
)
"""What it needs does not matter: nothing of it is to be started now."""


def chain(
    name: str, specs: Specs, lives: Lives, now: float, trouble: Iterable[str] = (), pending: str = ""
) -> Iterator[str]:
    """The state and its cause, then what it needs and why that is not there, what comes next at the end.

    `trouble` are further sentences: what it says itself, what is wrong with its logs; `pending` is what was ordered
    and waits for others.
    """
    spec, life = specs[name], lives[name]
    yield state(life, now)
    yield from _cause(spec, life, now)
    links = _links(name, specs, lives, now)
    yield from islice(links, LINKS)
    more = sum(1 for _ in links)
    if more:
        yield f"and {more} more that others wait for"
    yield from trouble
    yield from (f"SIGKILL did not end {text}" for text in life.survivors)
    yield f"next: {pending or upcoming(name, spec, life, now)}"


def state(life: Life, now: float) -> str:
    """ "running for 5 s, not ready: started by operator"."""
    marks = ""
    if life.phase is Phase.RUNNING:
        marks = (", not ready" if life.ready_at is None else "") + (f", {life.health}" if life.health else "")
    return f"{life.state} for {_span(now - life.since)}{marks}: {life.reason}"


def policy(spec: ServiceSpec) -> str:
    """The restart policy in words."""
    limit = "" if spec.max_retries is None else f", at most {spec.max_retries} in a row"
    return f"{spec.policy}{limit}"


def upcoming(name: str, spec: ServiceSpec, life: Life, now: float) -> str:
    """What will happen next, and when."""
    left = "" if life.deadline is None else _span(life.deadline - now)
    match life.phase:
        case Phase.STOPPED | Phase.FAILED:
            return f"nothing until it is started: pserv start {name}"
        case Phase.EXITED:
            return f"nothing; its policy is {policy(spec)}"
        case Phase.WAITING if life.resting:
            return f"it runs in {left}" if left else "nothing: no run of its schedule is to come"
        case Phase.WAITING:
            limit = f"; it waits no longer than {left}" if left else ""
            return f"it starts as soon as it need not wait any more{limit}"
        case Phase.LISTENING:
            return f"the first connection starts it, or `pserv restart {name}`"
        case Phase.BACKOFF:
            return f"it is started again in {left}"
        case Phase.PREPARING:
            return f"{_until_hook(life, left)}; it is started once its pre_start hooks are done"
        case Phase.STARTING:
            return _until_ready(spec, life, left) + _overlap(spec, life)
        case Phase.RUNNING:
            end = readiness.ends_at(spec, life)
            limit = "" if end is None else f"it is ended in {_span(end - now)}, at its max_runtime; "
            return f"{limit}when it ends, its policy is {policy(spec)}"
    return _until_gone(spec, life, left)


def _until_ready(spec: ServiceSpec, life: Life, left: str) -> str:
    if life.forked:
        named = f"{spec.pid_file} names its main process" if spec.pid_file else "its main process is known"
        return f"it is stopped in {left} unless {named} by then" if left else f"{named}, or it ends"
    if spec.ready_by == "end":
        return "it runs to its end" + (f"; it is ended in {left}" if left else "")
    return f"it is stopped in {left} unless it is ready by then" if left else "it is ready, or it ends"


def _overlap(spec: ServiceSpec, life: Life) -> str:
    """What becomes of the next run of a schedule should this one still be under way."""
    if spec.schedule is None or life.due is None:
        return ""
    then = {"skip": "it is left out", "queue": "it follows", "kill": "it takes its place"}[spec.overlap]
    return f"; the next run is due at {life.due.text}, should this one still be under way {then}"


def _until_gone(spec: ServiceSpec, life: Life, left: str) -> str:
    then = "it is stopped" if life.goal is Goal.DOWN else f"its policy decides ({policy(spec)})"
    if life.again:
        then = "it is started again"
    if life.phase is Phase.CLOSING:
        return f"{_until_hook(life, left)}; the first stop signal comes after its pre_stop hooks, then {then}"
    if life.phase is Phase.CLEANING:
        return f"{_until_hook(life, left)}; {then} after its post_stop hooks"
    if not left:
        return f"{then} once the kernel has ended what got SIGKILL"
    sent = "SIGKILL" if life.phase is Phase.ENDING else stopping.following(spec, life.step)
    return f"{sent} in {left}; {then} once nothing of it is left"


def _until_hook(life: Life, left: str) -> str:
    title = "its hook" if life.hook is None else life.hook.title
    return f"{title} is ended in {left} if it is still running" if left else f"{title} has got SIGKILL"


def _cause(spec: ServiceSpec, life: Life, now: float) -> Iterator[str]:
    """What led here, where the reason does not say it."""
    if life.order and life.order not in life.reason:
        yield f"last order: {life.order}"
    if not life.order and life.phase is Phase.STOPPED and not spec.autostart:
        yield "it is not started with the daemon: autostart is false"
    if life.phase is Phase.RUNNING and life.ready_at is not None:
        yield f"ready for {_span(now - life.ready_at)}"
    if life.ended is not None:
        yield _ended(life.ended, life, now)
    if life.phase is Phase.RUNNING and life.attempt:
        stable = readiness.stable_at(spec, life)
        when = "not while it is like this" if stable is None else f"in {_span(stable - now)} if it stays well"
        yield f"this is restart {life.attempt} in a row; it counts as stable {when}"


def _ended(ended: Ended, life: Life, now: float) -> str:
    lasted = "" if ended.step else f" after {_span(ended.uptime)}"
    run = f"{_span(now - ended.at)} ago{lasted}: {restart.describe(ended)}"
    closing = life.phase is Phase.CLOSING and ended.run != life.run
    if closing or life.phase in (Phase.STARTING, Phase.RUNNING, Phase.STOPPING):
        again = "last restart: the" if life.restarts else "the"
        return f"{again} run before this one ended {run}"
    return f"the last run ended {run}"


def _links(name: str, specs: Specs, lives: Lives, now: float) -> Iterator[str]:
    """What it needs and is not there, and what keeps that from coming: nearest first, each service once."""
    told = {name}
    ahead = deque([] if _settling(lives[name]) else [name])
    while ahead:
        who = ahead.popleft()
        needs = {} if _settling(lives[who]) else specs[who].depends_on
        for need, edge in needs.items():
            spec, life = specs.get(need), lives.get(need)
            if spec is None or life is None:
                yield f"{'it' if who == name else who} needs {need}, which is no service"
            elif not conditions.met(edge, spec, life):
                wish = conditions.word(edge, spec) + ("" if edge.required else ", if it can be had")
                yield f"{'it' if who == name else who} needs {need} to be {wish}: {need} is {state(life, now)}"
                if need not in told:
                    told.add(need)
                    ahead.append(need)
        if who != name and (lives[who].phase is not Phase.WAITING or lives[who].resting):
            yield f"{who} next: {upcoming(who, specs[who], lives[who], now)}"


def _settling(life: Life) -> bool:
    return life.phase in SETTLING or life.resting


def _span(seconds: float) -> str:
    return units.show_duration(max(0.0, seconds))
