"""Mistakes between services that depend on each other. Who waits for whom is in `rules.dependencies`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pserv.config.findings import short, shown
from pserv.config.hints import suggestion
from pserv.model.needs import Need
from pserv.model.spec import ServiceSpec
from pserv.rules import dependencies

Specs = Mapping[str, ServiceSpec]
LeftOut = Mapping[str, tuple[str, ...]]
"""Services of other profiles, and these."""

Wrong = tuple[str, tuple[str, ...], str, str]
"""The service; what is meant below its `depends_on`; what is wrong; a hint."""

_FEW: Final = 12
"""Services that are named in the message on a cycle."""


def mistakes(specs: Specs, left_out: LeftOut) -> Iterator[Wrong]:
    """All of all services."""
    for name, need in dependencies.unknown(specs):
        if specs[name].depends_on[need].required:
            told, near = _missing(need, specs, left_out)
            yield name, (need,), told, near or f"declare it under services, or remove {short(need)} here"
    for name, spec in specs.items():
        for need, edge in spec.depends_on.items():
            if need in specs:
                yield from ((name, (need,), *told) for told in _never(need, edge, specs[need]))
    for cycle in dependencies.cycles(specs):
        if len(cycle) == 2:
            yield cycle[0], (), "the service depends on itself", "remove it"
        else:
            told = f"the services wait for each other for ever: {_path(cycle)}"
            yield cycle[0], (), told, "remove one of these dependencies"


def notes(specs: Specs, left_out: LeftOut) -> Iterator[tuple[str, str]]:
    """(service, what a user should know): what is accepted, and may not be what its reader thinks."""
    for name, need in dependencies.unknown(specs):
        if not specs[name].depends_on[need].required:
            told, near = _missing(need, specs, left_out)
            told = f"{told}, so it is not waited for"
            yield name, f"{told}; {near}" if near else told
    for name, spec in specs.items():
        for need, edge in spec.depends_on.items():
            if need in specs and (told := _completed(need, edge, specs[need])):
                yield name, told


def _missing(need: str, specs: Specs, left_out: LeftOut) -> tuple[str, str]:
    """That there is no such service, and what may be meant."""
    if profiles := left_out.get(need):
        told = f"{shown(need)} is declared only with profile {' or '.join(profiles)}"
        return told, f"add --profile {profiles[0]}, or write {{{short(need)}: {{required: false}}}}"
    return f"there is no service {shown(need)}", suggestion(need, tuple(specs))


def _never(name: str, need: Need, spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    """Conditions that never come."""
    if need.condition == "healthy" and spec.health is None:
        hint = f"give {short(name)} a health probe, or write {short(name)}: ready"
        yield f"{shown(name)} has no health probe to be healthy by", hint
    elif need.condition == "healthy" and spec.lazy:
        told = f"{shown(name)} is lazy, and not asked for its health before somebody connects"
        yield told, f"write {short(name)}: ready, or remove its lazy"


def _completed(name: str, need: Need, spec: ServiceSpec) -> str:
    """What is to be known of waiting for the end of one that is no oneshot; "" where it is plain."""
    if need.condition != "completed" or spec.type == "oneshot":
        return ""
    if spec.policy in ("always", "on-success"):
        return f"{name} is started again when it ends (restart: {spec.policy}); it has completed at its first success"
    if spec.type == "notify" or spec.ready is not None or spec.health is not None:
        return f"{name} has completed when it ends with success; write {name}: ready if it is to run on"
    return ""


def _path(cycle: Sequence[str]) -> str:
    """The services of a cycle, in the order of their waiting; of many the first and the last."""
    names = list(map(short, cycle))
    if len(names) > _FEW:
        names[_FEW - 3 : -2] = [f"… ({len(names) - _FEW + 1} more)"]
    return " -> ".join(names)
