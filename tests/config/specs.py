"""Random specs, made from the shapes of the options: a new option is tested without a line here."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pserv.config.overriding import ONE_OF
from pserv.config.shapes import COMMANDS, SERVICE, Shape, build
from pserv.model.kinds import ALL
from pserv.model.secrets import KINDS
from pserv.model.spec import ServiceSpec

_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$")
"""A `$` has a meaning in files; what it has is tested where it is filled in."""

WORDS = st.text(_CHARACTERS, min_size=1, max_size=8)
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))

_SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "text": WORDS,
    "program": NAMES,
    "path": PATHS,
    "output": st.one_of(st.sampled_from(["log", "inherit", "null"]), PATHS),
    "bool": st.booleans(),
    "duration": st.one_of(st.integers(0, 10**6).map(float), st.floats(0, 10**6)),
    "schedule": st.sampled_from(["*/5 * * * *", "@daily", "@every 90s"]),
    "timezone": st.sampled_from(["Europe/Berlin", "UTC"]),
    "size": st.integers(0, 2**62),
    "limit": st.integers(0, 2**62),
    "count": st.one_of(st.integers(0, 100), st.just(ALL)),
    "period": st.sampled_from([0.0, 60.0, 3600.0, 86400.0, 604800.0, 21600.0]),
    "rate": st.one_of(st.integers(1, 10**6).map(float), st.floats(0.001, 10**6)),
    "signal": st.sampled_from([1, 2, 3, 9, 10, 15]),
    "consequence": st.sampled_from(["restart", "none", "HUP"]),
    "reaction": st.sampled_from(["restart", "reload", "HUP"]),
    "octal": st.integers(0, 0o7777),
    "port": st.integers(1, 65535),
    "words": st.lists(NAMES, max_size=3, unique=True).map(tuple),
    "command": st.lists(WORDS, max_size=3).map(lambda words: ("prog", *words)),
    "arguments": st.lists(WORDS, max_size=3).map(tuple),
    "environment": st.dictionaries(NAMES, st.text(_CHARACTERS, max_size=8), max_size=3),
    "address": st.one_of(st.integers(1, 65535).map(str), PATHS.map(lambda path: f"unix:{path}")),
    "map": st.dictionaries(NAMES, WORDS, max_size=3),
    "call": st.lists(WORDS, max_size=3).map(lambda words: ("prog", *words)),
}


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Values of an option, as they stand in the document."""
    if shape.either:
        return st.one_of([values(each) for each in shape.either])
    if shape.kind == "struct":
        return structs(shape)
    if shape.kind == "needs":
        assert shape.item is not None
        return st.dictionaries(NAMES, structs(shape.item), max_size=3)
    if shape.kind == "sockets":
        assert shape.item is not None
        names = NAMES.map(lambda name: f"{name}-x")
        return st.dictionaries(names, structs(shape.item), max_size=3)
    if shape.kind == "secrets":
        assert shape.item is not None
        return st.dictionaries(NAMES, secrets(shape.item), max_size=3)
    if shape.positive:
        return _SIMPLE[shape.kind].filter(bool)
    if shape.choices:
        return st.sampled_from(shape.choices)
    if shape.kind in ("integer", "number"):
        low, high = shape.low or 0, shape.high if shape.high is not None else 10**6
        return st.integers(int(low), int(high)) if shape.kind == "integer" else st.floats(low, high)
    if shape.kind == "size" and shape.high is not None:
        return st.integers(int(shape.low or 0), int(shape.high))
    if shape.kind in ("list", "hooks", "env_files"):
        assert shape.item is not None
        return st.lists(values(shape.item), max_size=3).map(tuple)
    return _SIMPLE[shape.kind]


def structs(shape: Shape) -> st.SearchStrategy[Any]:
    """Structs with some of their options set."""
    required = {name: values(option.shape) for name, option in shape.options.items() if option.required}
    optional = {name: values(option.shape) for name, option in shape.options.items() if not option.required}
    if shape.cls in COMMANDS:
        ways = {name: optional.pop(name) for name in ("command", "shell", "signal") if name in optional}
        said = st.sampled_from(sorted(ways)).flatmap(lambda way: st.fixed_dictionaries({way: ways[way]}))
        said = said.filter(lambda written: str(written.get("shell", "x")).strip())
        return st.tuples(said, st.fixed_dictionaries({}, optional=optional)).map(lambda p: build(shape, p[0] | p[1]))
    return st.fixed_dictionaries(required, optional=optional).map(lambda written: build(shape, written))


def secrets(shape: Shape) -> st.SearchStrategy[Any]:
    """Secrets from one source each."""
    optional = {name: values(option.shape) for name, option in shape.options.items()}
    ways = {name: optional.pop(name) for name in (*KINDS, "provider")}
    key = optional.pop("key")
    optional["refresh"] = st.integers(1, 10**6).map(float)

    def of(way: str) -> st.SearchStrategy[Any]:
        more = {**optional, "key": key} if way in ("dir", "provider") else optional
        return st.fixed_dictionaries({way: ways[way]}, optional=more)

    said = st.sampled_from(sorted(ways)).flatmap(of)
    return said.map(lambda written: build(shape, {**written, **({"deliver": "file"} if "path" in written else {})}))


def _one_way(names: list[str]) -> list[str]:
    """Without a second way to say what runs, which nobody may write."""
    ways = [name for name in names if name in ONE_OF]
    return [name for name in names if name not in ways[1:]]


def services() -> st.SearchStrategy[ServiceSpec]:
    """Any service with up to ten options; they need not make sense together. All at once would only take longer."""
    options = {name: values(option.shape) for name, option in SERVICE.options.items()}
    chosen = st.lists(st.sampled_from(sorted(options)), max_size=10, unique=True).map(_one_way)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: options[name] for name in names})).map(
        lambda written: build(SERVICE, written)
    )
