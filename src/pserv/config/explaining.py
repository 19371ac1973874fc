"""One option in words, by its dotted name: what stands of it in model/spec.py, as on the page of all options."""

from __future__ import annotations

from typing import Final

import msgspec

from pserv.config import neighbours
from pserv.config.effective import written
from pserv.config.expected import EXPECTED, expected
from pserv.config.reference import value_text
from pserv.config.samples import example
from pserv.config.schema import first_sentence
from pserv.config.shapes import DAEMON, PAIRS, SERVICE, Option, Shape
from pserv.model.errors import UsageError

TOP: Final = {
    "name": ("The name of this daemon; by default that of its folder.", "a name", "name: shop"),
    "include": (
        "Further files, folders and globs, as seen from this file.",
        "a list",
        'include: [more.yaml, "apps/*.yaml"]',
    ),
    "defaults": (
        "Options of a service, for all that do not set them.",
        "options of a service",
        "defaults: {restart: always}",
    ),
    "groups": ("Tags for several services: names or globs.", "a mapping", 'groups: {back: [db, "work*"]}'),
    "services": ("The services, by name.", "a mapping", 'services: {web: {command: "serve --all"}}'),
    "secrets": (
        "Values that stand in no file of Pserv: in a service by name; at the top where they come from, for all.",
        "a mapping",
        'secrets: {DB_PASSWORD: {exec: "pass show db"}}',
    ),
    "env": (
        "Variables of a service; at the top those of all, below `defaults` and each service's own.",
        "a mapping, or a list of NAME=value",
        "env: {TZ: Europe/Berlin, LOG_LEVEL: info}",
    ),
    "env_file": (
        "Files of variables of a service, at the top of all; a later one wins over those before it, `env` over all.",
        "a path, or a list",
        "env_file: [app.env, {path: local.env, required: false}]",
    ),
    "daemon": ("What is declared of the daemon itself.", "options below", "daemon: {shutdown_timeout: 30s}"),
}
"""Keys of a file that are no option of a service: what each is, its value, an example."""

_NAMED: Final = ("needs", "secrets", "sockets")
"""Kinds whose options belong to something that a user named."""

_FEW: Final = 12


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `pserv config --explain` tells. `live`: whether a change acts at once; none where it has no meaning."""

    option: str
    of: str
    text: str
    value: str
    default: str = ""
    live: bool | None = None
    example: str = ""
    options: dict[str, str] = {}
    """The options that it has itself, and a line of text for each."""


def explain(key: str) -> Explanation:
    """Raises UsageError, with what may be meant, where there is no such option."""
    parts = [part.partition("[")[0] for part in key.strip().strip(".").split(".")]
    path = [part.replace("-", "_") for part in parts]
    if len(path) == 1 and path[0] in TOP:
        return _of_top(path[0])
    if path[0] == "services":
        path = path[2:]
        if not path:
            return _of_top("services")
    elif path[0] == "defaults":
        path = path[1:]
    if path[0] == "daemon":
        return _explained(DAEMON, path[1:], "the daemon", "daemon", key)
    return _explained(SERVICE, path, "a service", "", key)


def _of_top(name: str) -> Explanation:
    text, value, example = TOP[name]
    inner = {"daemon": DAEMON, "services": SERVICE}.get(name)
    return Explanation(name, "a file", text, value, example=example, options=_inside(inner))


def _explained(shape: Shape, path: list[str], of: str, before: str, key: str) -> Explanation:
    names: list[str] = [before] if before else []
    option: Option | None = None
    rest = list(path)
    while rest:
        name = rest.pop(0)
        option = shape.options.get(name)
        if option is None:
            raise _unknown(shape, name, names, key)
        names.append(option.name)
        shape = _within(option.shape)
        if option.shape.kind in _NAMED and rest and rest[0] not in shape.options:
            names.append(rest.pop(0))
        elif option.shape.kind in ("environment", "map"):
            rest = []
    assert option is not None
    default = written(option.shape, option.default, defaults=False)
    return Explanation(
        ".".join(names),
        of,
        option.text,
        _value(option.shape),
        "" if default in (None, "", [], {}) else _plain(default),
        option.live,
        example(names, option),
        _inside(shape if shape.kind == "struct" and shape.cls not in PAIRS else None),
    )


def _value(shape: Shape) -> str:
    """What it is written as; a plain value with its forms."""
    if shape.kind in EXPECTED and not (shape.options or shape.item or shape.choices or shape.either):
        return expected(shape)
    return value_text(shape).replace("`", "").replace(" below", "")


def _within(shape: Shape) -> Shape:
    """Where the options of an option are looked for."""
    return shape.item if shape.item is not None and shape.item.kind == "struct" else shape


def _inside(shape: Shape | None) -> dict[str, str]:
    options = {} if shape is None else shape.options
    return {name: option.text or first_sentence(option.shape) for name, option in options.items()}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(shape: Shape, name: str, before: list[str], key: str) -> UsageError:
    level = shape.cls.__name__ if shape.cls else ""
    hint = neighbours.called_here(level, name) or _near(shape, name, before)
    return UsageError(f"cannot explain {key}: there is no option {'.'.join([*before, name])}", hint)


def _near(shape: Shape, name: str, before: list[str]) -> str:
    """What is meant: an option of the same place that is spelt alike, or one of that very name elsewhere."""
    from difflib import get_close_matches

    elsewhere = [path for path in known() if path.rpartition(".")[2] == name]
    here = [*shape.options, *([] if before else TOP)]
    near = [".".join([*before, each]) for each in get_close_matches(name, here, 1, 0.6)]
    found = elsewhere[:3] or near or get_close_matches(".".join([*before, name]), known(), 1, 0.6)
    if found:
        return f"did you mean {' or '.join(found)}?"
    if 0 < len(shape.options) <= _FEW:
        return f"options here: {', '.join(shape.options)}"
    return "pserv config --explain services lists them"


def known() -> list[str]:
    """The dotted names of all options, those of the daemon after "daemon."."""
    return [*_names(SERVICE, ""), *_names(DAEMON, "daemon.")]


def _names(shape: Shape, before: str) -> list[str]:
    found = []
    for name, option in shape.options.items():
        found.append(before + name)
        inner = _within(option.shape)
        if inner.kind == "struct" and inner.cls not in PAIRS:
            found += _names(inner, f"{before}{name}.NAME." if option.shape.kind in _NAMED else f"{before}{name}.")
    return found
