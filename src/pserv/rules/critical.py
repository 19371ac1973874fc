"""The critical chain: of the starts that waited for each other, those that made the last one late. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pserv.model.needs import Need
from pserv.model.spec import ServiceSpec
from pserv.model.states import Life, Phase
from pserv.rules.conditions import Lives, Specs, word


class Span(msgspec.Struct, frozen=True):
    """The last start of a service, in seconds on the monotonic clock: executed at `begun`, after it had `waited`.

    `up` is when it was ready, or had completed; a run that has become unready since has none.
    """

    begun: float
    up: float
    waited: float


def span(spec: ServiceSpec, life: Life) -> Span | None:
    """The last start, if it came to its end."""
    ended = life.ended
    if spec.type == "oneshot":
        if ended is None or (life.phase not in (Phase.EXITED, Phase.BACKOFF) and not life.resting):
            return None
        return Span(ended.at - ended.uptime, ended.at, life.waited)
    if life.phase is not Phase.RUNNING or life.ready_at is None:
        return None
    return Span(life.started, max(life.ready_at, life.started), life.waited)


def chain(names: Iterable[str], specs: Specs, lives: Lives) -> list[tuple[str, Span]]:
    """The chain that ends with the service that was up last, its first start first; empty while nothing is up.

    Of several at one time the last named counts: `names` are in order, what is needed first.
    """
    spans = {name: found for name in names if (found := span(specs[name], lives[name])) is not None}
    if not spans:
        return []
    name: str | None = max(reversed(spans), key=lambda each: spans[each].up)
    links: list[tuple[str, Span]] = []
    while name is not None:
        own = spans[name]
        links.append((name, own))
        name = _awaited(name, own, specs, lives, spans)
    return links[::-1]


def _awaited(name: str, own: Span, specs: Specs, lives: Lives, spans: dict[str, Span]) -> str | None:
    """What this start waited for longest; None if it waited for nothing that is known to have come before it."""
    if not own.waited:
        return None
    came = {
        need: at
        for need, edge in specs[name].depends_on.items()
        if need in spans and (at := _met_at(edge, specs[need], lives[need], spans[need])) <= own.begun
    }
    return max(came, key=lambda need: came[need]) if came else None


def _met_at(edge: Need, spec: ServiceSpec, life: Life, own: Span) -> float:
    """When the dependency was as it must be; when it became healthy is not kept, so it is taken to be when ready."""
    match word(edge, spec):
        case "started":
            return own.begun
        case "completed" if life.ended is not None:
            return life.ended.at
    return own.up
