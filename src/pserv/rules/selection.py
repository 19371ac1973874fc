"""Which services a NAME on the command line means: a service, an instance, a tag, a glob. Nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pserv.model.names import is_pattern, no_such, service_of
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
            known = {**(services or {}), **specs}
            tags = sorted({tag for spec in known.values() for tag in spec.tags})
            raise no_such(pattern, known, tags, left_out)
        chosen.update(matches)
    return [name for name in specs if name in chosen]


def _matches(pattern: str, specs: Specs) -> list[str]:
    if pattern in specs:
        return [pattern]
    if pattern.startswith("@"):
        return [name for name, spec in specs.items() if pattern[1:] in spec.tags]
    if is_pattern(pattern):
        from fnmatch import fnmatchcase

        return [name for name in specs if fnmatchcase(name, pattern) or fnmatchcase(service_of(name), pattern)]
    return [name for name in specs if service_of(name) == pattern]
