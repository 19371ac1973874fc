"""Who starts before whom, who stops first, who waits and who waits in vain, cycles. Nothing is started or stopped."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase, Result

Specs = Mapping[str, ServiceSpec]
Lives = Mapping[str, Life]
NeededBy = Mapping[str, Sequence[str]]


def needed_by(specs: Specs) -> dict[str, list[str]]:
    """Who depends directly on each service; those that nobody depends on are left out."""
    found: dict[str, list[str]] = {}
    for name, spec in specs.items():
        for need in dict.fromkeys(spec.depends_on):
            found.setdefault(need, []).append(name)
    return found


def unknown(specs: Specs) -> list[tuple[str, str]]:
    """(service, what it depends on) where there is no such service."""
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


def needs(names: Iterable[str], specs: Specs) -> list[str]:
    """The services named and all that they need, what is needed first; cycles are cut, unknown names left out."""
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
                ahead.extend((need, False) for need in reversed(specs[name].depends_on))
    return list(found)


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


def may_stop(name: str, needed_by: NeededBy, lives: Lives, stopping: Container[str]) -> bool:
    """Whether nothing that depends on it, and is to stop as well, has still to be waited for.

    `stopping` are the services that wait to be told to stop; one that was told is known by its goal.
    """
    return not any(
        dependent in stopping or (lives[dependent].goal is Goal.DOWN and lives[dependent].phase not in AT_REST)
        for dependent in needed_by.get(name, ())
        if dependent in lives and lives[dependent].phase not in AT_REST
    )


def blocked(name: str, specs: Specs, lives: Lives) -> tuple[str, str]:
    """Why a service may not start yet, and why it never will; empty strings where it may.

    A dependency must be ready; one that is a oneshot must have ended cleanly. One that is down as asked, has failed
    or has ended otherwise will not come by itself: nobody waits for it.
    """
    waits: list[str] = []
    for need in specs[name].depends_on:
        life = lives.get(need)
        if life is None or need not in specs:
            return "", f"needs {need}, which is no service"
        if _met(specs[need], life):
            continue
        if life.goal is Goal.DOWN or life.phase in AT_REST:
            verb = "failed" if life.phase is Phase.FAILED else f"is {life.state}"
            return "", f"needs {need}, which {verb}: {life.reason}"
        waits.append(need)
    return (f"waiting for {', '.join(waits)}" if waits else ""), ""


def _met(spec: ServiceSpec, life: Life) -> bool:
    if spec.type == "oneshot":
        clean = life.ended is not None and life.ended.result is Result.SUCCESS
        return clean and life.phase in (Phase.EXITED, Phase.BACKOFF)
    return life.phase is Phase.RUNNING and life.ready_at is not None
