"""Whether a service may start: what it waits for, how long, and when in vain. The order is in `dependencies`."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from pserv.model import units
from pserv.model.needs import Condition, Need
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase, Result

Specs = Mapping[str, ServiceSpec]
Lives = Mapping[str, Life]


class Outlook(msgspec.Struct, frozen=True):
    """Whether a service may start: `blocked` says what it waits for, `hopeless` why it never will, both "" if it may.

    At `until`, on the monotonic clock, somebody's patience ends and it is to be looked again.
    """

    blocked: str = ""
    hopeless: str = ""
    until: float | None = None


MAY_START = Outlook()


def outlook(name: str, specs: Specs, lives: Lives, now: float, restarting: Container[str] = ()) -> Outlook:
    """What its dependencies mean for the start of a service now; `restarting` are about to be restarted.

    One that is down as asked, has failed or has ended otherwise than it should will not come by itself: nobody waits
    for it. What is not required is waited for only while it is on its way.
    """
    spec = specs[name]
    if not spec.depends_on:
        return MAY_START
    own = lives.get(name)
    since = own.since if own is not None and own.phase is Phase.WAITING and not own.resting else now
    waits: list[str] = []
    until: float | None = None
    for need, edge in spec.depends_on.items():
        life = lives.get(need)
        if need not in restarting and life is not None and need in specs and met(edge, specs[need], life):
            continue
        verdict = _in_vain(need, edge, specs.get(need), life)
        limit = None if edge.timeout is None else since + edge.timeout
        if not verdict and limit is not None and now >= limit:
            assert life is not None
            waited = units.show_duration(edge.timeout or 0.0)
            verdict = f"needs {need}, which is not {word(edge, specs[need])} after {waited}: {life.reason}"
        if verdict and edge.required:
            return Outlook(hopeless=verdict)
        if not verdict:
            wanted = word(edge, specs[need])
            waits.append(need if wanted == "ready" else f"{need} ({wanted})")
            until = limit if until is None or (limit is not None and limit < until) else until
    return Outlook(f"waiting for {', '.join(waits)}", until=until) if waits else MAY_START


def met(need: Need, spec: ServiceSpec, life: Life) -> bool:
    """Whether a dependency is what it must be."""
    match word(need, spec):
        case "started":
            alive = bool(life.pid) and life.phase in (Phase.STARTING, Phase.RUNNING)
            return alive or life.phase is Phase.LISTENING or _completed(spec, life)
        case "ready":  # whoever connects is served, if a little later: as systemd orders after a socket
            return (life.phase is Phase.RUNNING and life.ready_at is not None) or life.phase is Phase.LISTENING
        case "healthy":
            return life.phase is Phase.RUNNING and life.health == "healthy"
        case _:
            return _completed(spec, life)


def word(need: Need, spec: ServiceSpec) -> Condition:
    """The condition in effect: a oneshot is ready when it has completed."""
    return "completed" if spec.type == "oneshot" and need.condition == "ready" else need.condition


def seen(life: Life) -> tuple[object, ...]:
    """All of a life that another service's start may depend on."""
    return (life.phase, life.goal, bool(life.pid), life.ready_at is None, life.health, life.ended, life.resting)


def _in_vain(name: str, need: Need, spec: ServiceSpec | None, life: Life | None) -> str:
    """Why a condition that is not met can only be met after somebody does something; "" while it may come."""
    if life is None or spec is None:
        return f"needs {name}, which is no service"
    if life.goal is Goal.DOWN or life.phase in AT_REST:
        verb = "failed" if life.phase is Phase.FAILED else f"is {life.state}"
        return f"needs {name}, which {verb}: {life.reason}"
    if need.condition == "healthy" and spec.health is None:
        return f"needs {name} to be healthy, and it has no health probe"
    return ""


def _completed(spec: ServiceSpec, life: Life) -> bool:
    """Whether it ended with success, and has not been told to begin anew since; a policy may have started it again."""
    if life.ended is None or life.ended.result is not Result.SUCCESS:
        return False
    again = spec.policy in ("always", "on-success") and life.restarts > 0
    ended = (Phase.EXITED, Phase.BACKOFF, Phase.LISTENING)
    return life.phase in ended or life.resting or (again and life.goal is Goal.UP)
