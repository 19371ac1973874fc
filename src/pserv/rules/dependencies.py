"""Who starts before whom, who ends first, who comes along, cycles. Whether one may start now is in `conditions`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from pserv.model.states import AT_REST, Goal, Phase, State
from pserv.rules.conditions import Lives, Specs, met

NeededBy = Mapping[str, Sequence[str]]

UP = (State.STARTING, State.RUNNING)


def needed_by(specs: Specs) -> dict[str, list[str]]:
    """Who depends directly on each service; those that nobody depends on are left out."""
    found: dict[str, list[str]] = {}
    for name, spec in specs.items():
        for need in spec.depends_on:
            found.setdefault(need, []).append(name)
    return found


def unknown(specs: Specs) -> list[tuple[str, str]]:
    """(service, what it depends on) where there is no such service, required or not."""
    return [(name, need) for name, spec in specs.items() for need in spec.depends_on if need not in specs]


def cycles(specs: Specs) -> list[list[str]]:
    """Cycles with their path, `["a", "b", "a"]` where a depends on b and b on a; one at least of each knot."""
    found: dict[tuple[str, ...], None] = {}
    done: set[str] = set()
    for root in specs:
        path: dict[str, int] = {}
        ahead = [iter((root,))]
        while ahead:
            name = next(ahead[-1], None)
            if name is None:
                ahead.pop()
                if path:
                    done.add(path.popitem()[0])
            elif name in path:
                found[_turned(list(path)[path[name] :])] = None
            elif name not in done and name in specs:
                path[name] = len(path)
                ahead.append(iter(specs[name].depends_on))
    return [[*cycle, cycle[0]] for cycle in found]


def _turned(cycle: list[str]) -> tuple[str, ...]:
    """The same cycle, written from its alphabetically first member."""
    first = cycle.index(min(cycle))
    return (*cycle[first:], *cycle[:first])


def order(specs: Specs) -> list[list[str]]:
    """Levels: each service stands after all that it depends on; within a level all may start side by side.

    What is unknown is left out; what is on a cycle, or after one, makes the last level.
    """
    left = {name: {need for need in spec.depends_on if need in specs} for name, spec in specs.items()}
    dependents = needed_by(specs)
    level = [name for name, needs in left.items() if not needs]
    levels: list[list[str]] = []
    while level:
        levels.append(level)
        following: list[str] = []
        for name in level:
            del left[name]
            for dependent in dependents.get(name, ()):
                left[dependent].discard(name)
                if not left[dependent]:
                    following.append(dependent)
        level = following
    return [*levels, list(left)] if left else levels


def needs(names: Iterable[str], specs: Specs, *, wanted: bool = True, every: bool = False) -> list[str]:
    """The services named and all that they need, what is needed first; cycles are cut, unknown names left out.

    What is not required comes along if it is `wanted` and would be started with the daemon, or if `every` one is.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    named = set(names)
    for root in (name for name in specs if name in named):
        ahead = [(root, False)]
        while ahead:
            name, ready = ahead.pop()
            if ready:
                found[name] = None
            elif name in specs and name not in seen:
                seen.add(name)
                ahead.append((name, True))
                ahead.extend(
                    (need, False)
                    for need, edge in reversed(specs[name].depends_on.items())
                    if every or edge.required or need in named or (wanted and need in specs and specs[need].autostart)
                )
    return list(found)


def to_start(names: Iterable[str], specs: Specs, lives: Lives, *, wanted: bool = True) -> list[str]:
    """Of the services named and all that they need those that have to be told to start, in order (see `needs`)."""
    named = set(names)
    group = needs(named, specs, wanted=wanted)
    unmet = {
        need
        for name in group
        for need, edge in specs[name].depends_on.items()
        if need in lives and need in specs and lives[need].phase is Phase.EXITED
        if not met(edge, specs[need], lives[need])
    }
    return [
        name
        for name in group
        if name in named or name in unmet or lives[name].goal is Goal.DOWN or lives[name].phase is Phase.FAILED
    ]


def dependents(names: Iterable[str], needed_by: NeededBy) -> list[str]:
    """All that depend on one of these services, directly or not, without the services themselves."""
    named = list(names)
    found: dict[str, None] = {}
    ahead = list(named)
    while ahead:
        for dependent in needed_by.get(ahead.pop(), ()):
            if dependent not in found:
                found[dependent] = None
                ahead.append(dependent)
    return [name for name in found if name not in named]


def may_stop(name: str, needed_by: NeededBy, lives: Lives, *stopping: Container[str]) -> bool:
    """Whether nothing that depends on it, and is to stop as well, has still to be waited for.

    `stopping` are the services that wait to be told to stop; one that was told is known by its goal.
    """
    return not any(
        lives[dependent].goal is Goal.DOWN or any(dependent in each for each in stopping)
        for dependent in needed_by.get(name, ())
        if dependent in lives and lives[dependent].phase not in AT_REST
    )


def restarted_with(names: Iterable[str], specs: Specs, lives: Lives) -> list[str]:
    """Who runs and is to be restarted because one of these is, directly or not; without these themselves."""
    found: dict[str, None] = {}
    by = needed_by(specs)
    named = list(names)
    ahead = list(named)
    while ahead:
        need = ahead.pop()
        for name in by.get(need, ()):
            up = name in lives and lives[name].goal is Goal.UP and lives[name].state in UP
            if up and specs[name].depends_on[need].restart and name not in found and name not in named:
                found[name] = None
                ahead.append(name)
    return list(found)


def may_restart(name: str, needed_by: NeededBy, lives: Lives, *ending: Container[str]) -> bool:
    """Whether nothing that depends on it has still to end before it is restarted; `ending` are those that wait to."""
    return not any(
        any(dependent in each for each in ending) or lives[dependent].state is State.STOPPING
        for dependent in needed_by.get(name, ())
        if dependent in lives
    )


def left_behind(names: Iterable[str], needed_by: NeededBy, lives: Lives) -> dict[str, list[str]]:
    """Who runs and depends directly on each of these that are stopped, and is not stopped with them."""
    named = list(names)
    found = {}
    for name in named:
        up = [
            dependent
            for dependent in needed_by.get(name, ())
            if dependent not in named
            and dependent in lives
            and lives[dependent].goal is Goal.UP
            and lives[dependent].state in UP
        ]
        if up:
            found[name] = up
    return found
