"""Which services a NAME on the command line means: a service, an instance, a tag, a glob. Nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pserv.model.errors import NoSuchService
from pserv.model.names import service_of
from pserv.model.spec import ServiceSpec

Specs = Mapping[str, ServiceSpec]


def select(
    patterns: Iterable[str],
    specs: Specs,
    services: Specs | None = None,
    left_out: Mapping[str, tuple[str, ...]] | None = None,
) -> list[str]:
    """The services meant, in the order of the configuration, each once; without patterns all of them.

    `specs` are those of instances, where there are any; the name of a service means all of its own. `services` are
    what is declared: of those that have no instance now, none is meant. `left_out` are the services of other profiles,
    with these. Raises NoSuchService for the first pattern that matches nothing.
    """
    wanted = list(patterns)
    if not wanted:
        return list(specs)
    chosen: set[str] = set()
    for pattern in wanted:
        matches = _matches(pattern, specs)
        if not matches and not _matches(pattern, services or {}):
            if left_out and pattern in left_out:
                reason = f"it is declared only with profile {' or '.join(left_out[pattern])}"
                raise NoSuchService(f"cannot find {pattern}: {reason}", f"pserv up --profile {left_out[pattern][0]}")
            raise _no_such(pattern, {**(services or {}), **specs})
        chosen.update(matches)
    return [name for name in specs if name in chosen]


def _matches(pattern: str, specs: Specs) -> list[str]:
    if pattern in specs:
        return [pattern]
    if pattern.startswith("@"):
        return [name for name, spec in specs.items() if pattern[1:] in spec.tags]
    if any(char in pattern for char in "*?["):
        from fnmatch import fnmatchcase

        return [name for name in specs if fnmatchcase(name, pattern) or fnmatchcase(service_of(name), pattern)]
    return [name for name in specs if service_of(name) == pattern]


def _no_such(pattern: str, specs: Specs) -> NoSuchService:
    import difflib

    tags = sorted({f"@{tag}" for spec in specs.values() for tag in spec.tags})
    known = tags if pattern.startswith("@") else list(specs)
    close = difflib.get_close_matches(pattern, known, n=1)
    if close:
        hint = f"did you mean {close[0]}?"
    elif known:
        shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        hint = f"there are: {shown}"
    else:
        hint = "no service has a tag" if pattern.startswith("@") else "no service is declared"
    if pattern.startswith("@"):
        return NoSuchService(f"cannot find {pattern}: no service has this tag", hint)
    if any(char in pattern for char in "*?["):
        return NoSuchService(f"cannot find {pattern}: it matches no service", hint)
    return NoSuchService(f"cannot find {pattern}: no such service", hint)
