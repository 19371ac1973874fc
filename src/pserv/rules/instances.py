"""One spec a service -> one spec an instance: names, ports, `${pserv.…}`, edges of dependencies. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from pserv.model import listening
from pserv.model.names import number_of, service_of
from pserv.model.spec import ServiceSpec

Services = Mapping[str, ServiceSpec]

FACTS = ("instance", "index", "port", "name", "service")
"""What `${pserv.…}` may ask for: the number from 1 and from 0, the port, "web:2", "web"."""

OF_MACHINE = ("host", "config_dir", "run_dir")
"""What it may ask for besides, the same for all services: filled in as the file is read."""

LEFT_ALONE = frozenset(
    ("shell", "name", "description", "tags", "depends_on", "user", "group", "supplementary_groups", "pattern")
)
"""Options whose text is taken as it is written."""

LAST_PORT = 65535
MOST = 10_000
"""Instances of one service at most; as `instances` in the spec."""

LOOKED_AT = 100
"""Instances of a service that are compared with those of others, where all would take too long."""

_OPENED = "${pserv."
_SECRET = "${secrets."


class Scale(msgspec.Struct, frozen=True):
    """What an operator made of `instances`; it holds until a reload changes what is `declared`."""

    count: int
    declared: int


Scales = Mapping[str, Scale]
UNSCALED: Scales = {}


def count(name: str, spec: ServiceSpec, scales: Scales = UNSCALED) -> int | None:
    """How many instances are wanted; None for a service without instances."""
    scale = scales.get(name)
    return scale.count if scale is not None and scale.declared == spec.instances else spec.instances


def keys(name: str, spec: ServiceSpec, scales: Scales = UNSCALED) -> tuple[str, ...]:
    """The names of all instances, or the service's own."""
    wanted = count(name, spec, scales)
    return (name,) if wanted is None else tuple(f"{name}:{number}" for number in range(1, wanted + 1))


def first_keys(name: str, spec: ServiceSpec, most: int) -> tuple[str, ...]:
    """The names of its first instances, `most` at most."""
    return keys(name, spec, {name: Scale(min(spec.instances or 0, most), spec.instances or 0)})


def expand(services: Services, scales: Scales = UNSCALED) -> dict[str, ServiceSpec]:
    """The spec of each instance by its name, in the order declared; a service without instances keeps its name.

    A dependency on a service is one on each of its instances; on one that has none there is nothing to wait for, as
    in compose (`--scale db=0`).
    """
    many = {name: keys(name, spec, scales) for name, spec in services.items() if spec.instances is not None}
    return {
        key: _with_edges(instance(key, spec), many)
        for name, spec in services.items()
        for key in many.get(name, (name,))
    }


def instance(key: str, spec: ServiceSpec) -> ServiceSpec:
    """The spec of one instance from that of its service; the same object where they do not differ."""
    values = facts(key, spec)
    made: ServiceSpec = _filled(spec, values) if refers(spec) else spec
    port = int(values["port"]) if spec.port is not None else _listens(made)
    if port is not None:
        asked = {which: _asked(getattr(made, which), port) for which in ("ready", "health")}
        made = replace(made, port=port if spec.port is not None else None, **asked)
    return made if made.instances is None else replace(made, instances=None)


def refers(spec: ServiceSpec) -> bool:
    """Whether any of its texts has a `$`: far sooner known than by a look at each of them."""
    return b"$" in msgspec.json.encode(spec)


def facts(key: str, spec: ServiceSpec) -> dict[str, str]:
    """What `${pserv.…}` means in the spec of a service; `port` only where it declares one."""
    index = (number_of(key) or 1) - 1
    told = {"instance": str(index + 1), "index": str(index), "name": key, "service": service_of(key)}
    return told if spec.port is None else {**told, "port": str(spec.port + index)}


def lasting(scales: Scales, services: Services) -> dict[str, Scale]:
    """The scales that still hold: a configuration that changes `instances` sets them anew."""
    return {
        name: scale
        for name, scale in scales.items()
        if name in services and services[name].instances == scale.declared != scale.count
    }


def together(specs: Services) -> dict[str, ServiceSpec]:
    """The specs with all instances of a service beside each other, in the order of their numbers."""
    places: dict[str, int] = {}
    for key in specs:
        places.setdefault(service_of(key), len(places))
    return dict(sorted(specs.items(), key=lambda item: (places[service_of(item[0])], number_of(item[0]) or 0)))


def refused(name: str, spec: ServiceSpec, wanted: int) -> tuple[str, str] | None:
    """Why a service cannot have so many instances, and a hint; None where it can."""
    if spec.instances is None:
        return f"cannot scale {name}: it declares no instances", f"write instances: 1 at {name}, then pserv reload"
    if wanted > MOST:
        return f"cannot scale {name}: {wanted} instances are more than {MOST}", f"pserv scale {name}={MOST}"
    if (port := last_port(spec, wanted)) > LAST_PORT:
        most = LAST_PORT - (spec.port or 0) + 1
        return f"cannot scale {name}: the last instance would have port {port}", f"pserv scale {name}={most}, or less"
    option = shared_output(spec) if wanted > 1 else None
    if option is not None:
        path = getattr(spec, option)
        reason = f"{path} would be written by {wanted} instances"
        return f"cannot scale {name}: {reason}", f"put ${{pserv.instance}} into {option}, then pserv reload"
    return None


def falling(names: Iterable[str]) -> list[str]:
    """Instances in the order in which they are stopped: of each service the highest first."""
    return sorted(names, key=lambda key: (service_of(key), -(number_of(key) or 0)))


def shared_output(spec: ServiceSpec) -> str | None:
    """The option whose file all instances would write; devices may be shared."""
    for option in ("stdout", "stderr"):
        path = getattr(spec, option)
        if path is not None and path.startswith("/") and not path.startswith("/dev/") and not _varies(path):
            return option
    return None


def last_port(spec: ServiceSpec, wanted: int) -> int:
    """The port of the last of so many instances; 0 where the service declares none."""
    return 0 if spec.port is None else spec.port + max(wanted, 1) - 1


def written(struct: msgspec.Struct) -> list[tuple[str, Any]]:
    """Options with their values where these are neither defaults nor empty nor numbers: all that can hold texts."""
    found = []
    for field, default in _defaults(type(struct)):
        value = getattr(struct, field)
        if value is not default and value and not isinstance(value, (int, float)):
            found.append((field, value))
    return found


@cache
def _defaults(cls: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    fields, defaults = cls.__struct_fields__, cls.__struct_defaults__
    return tuple(zip(fields, (None,) * (len(fields) - len(defaults)) + defaults, strict=True))


def asked_for(value: Any) -> set[str]:
    """What the texts of a value ask for by `${pserv.…}`, known or not."""
    found: set[str] = set()

    def look(text: str) -> str:
        found.update(_asked_for(text))
        return text

    _walk(value, look)
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with `${pserv.…}` replaced and each `$$` a `$`; every other `$` and what is unknown stay as they are.

    Of `${secrets.…}` the `$` becomes a NUL, which no text can have, since a `$${secrets.…}` is no reference.
    """
    if "$" not in text:
        return text
    parts = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        end = text.find("}", dollar)
        fact = text[dollar + len(_OPENED) : end] if end >= 0 and text.startswith(_OPENED, dollar) else ""
        if fact in values:
            parts.append(values[fact])
            at = end + 1
        elif end >= 0 and text.startswith(_SECRET, dollar):
            parts.append(f"\0{text[dollar + 1 : end + 1]}")
            at = end + 1
        else:
            parts.append("$")
            at = dollar + (2 if text.startswith("$$", dollar) else 1)
    made = "".join([*parts, text[at:]])
    return text if made == text else made


def _asked_for(text: str) -> Iterator[str]:
    at = 0
    while _OPENED in text and (dollar := text.find("$", at)) >= 0:
        at = dollar + (2 if text.startswith("$$", dollar) else 1)
        if text.startswith(_OPENED, dollar) and (end := text.find("}", dollar)) >= 0:
            yield text[dollar + len(_OPENED) : end]


def _varies(text: str) -> bool:
    """Whether a text differs from instance to instance."""
    return bool({"instance", "index", "name", "port"}.intersection(_asked_for(text)))


def _with_edges(spec: ServiceSpec, many: Mapping[str, tuple[str, ...]]) -> ServiceSpec:
    if many.keys().isdisjoint(spec.depends_on):
        return spec
    edges = {key: need for name, need in spec.depends_on.items() for key in many.get(name, (name,))}
    return replace(spec, depends_on=edges)


def _listens(spec: ServiceSpec) -> int | None:
    """The port of its first tcp socket."""
    if spec.ready is None and spec.health is None:
        return None
    for declared in spec.sockets.values():
        try:
            where = listening.address(declared.listen)
        except ValueError:
            continue
        if where.kind == "tcp":
            return where.port
    return None


def _asked(probe: Any, port: int) -> Any:
    """A probe that names no port asks at the service's."""
    for kind in ("http", "tcp"):
        question = getattr(probe, kind, None)
        if question is not None and question.port is None:
            return replace(probe, **{kind: replace(question, port=port)})
    return probe


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    return _walk(value, lambda text: filled(text, values))


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each text in it changed; the same object where nothing does."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        items = tuple(_walk(each, change) for each in value)
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if isinstance(value, dict):
        made = {key: _walk(each, change) for key, each in value.items()}
        return value if all(made[key] is each for key, each in value.items()) else made
    if not isinstance(value, msgspec.Struct):
        return value
    changed = {}
    for field, old in written(value):
        if field in LEFT_ALONE:
            continue
        new = _walk(old, change)
        if new is not old:
            changed[field] = new
    return replace(value, **changed) if changed else value
