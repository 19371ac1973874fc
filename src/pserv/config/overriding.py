"""What stands over what: one rule for `defaults`, `extends` and later files. What was written is read by `decode`.

Structs and mappings merge, single values and lists replace; `!replace` makes a mapping replace, `!append` a list add.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pserv.config.findings import Wrong
from pserv.config.nodes import Collection, Node, Sequence
from pserv.config.shapes import Shape
from pserv.model.probe import KINDS

Written = dict[str, Any]
"""The options of a struct that were written, by name; a struct inside of it is again such a dict."""

ONE_OF: Final = ("exec", "command", "shell")
"""The three ways to say what runs: a service that uses one takes none of the others from below."""


class Replacing(dict[str, Any]):
    """A mapping that nothing from below is merged into."""


class Merging(dict[str, Any]):
    """A list that was read as a mapping (dependencies, variables) and adds to the one below."""


class Appending(tuple[Any, ...]):
    """A list that goes on the one below."""


def marked(value: Any, node: Node) -> Any:
    """The value of a list or mapping with what its tag says. Raises Wrong for a tag that does not fit."""
    how = node.how if isinstance(node, Collection) else ""
    if not how:
        return value
    if how == "replace":
        return Replacing(value) if isinstance(value, dict) else value
    if not isinstance(node, Sequence):
        raise Wrong("!append goes with a list", "remove it: a mapping is merged by itself")
    return Merging(value) if isinstance(value, dict) else Appending(value)


def settled(value: Any) -> Any:
    """A value that nothing will stand below, without marks."""
    if isinstance(value, dict):
        return {name: settled(each) if isinstance(each, dict | Appending) else each for name, each in value.items()}
    return tuple(value) if isinstance(value, Appending) else value


def lacking(shape: Shape, written: Written) -> list[tuple[str, ...]]:
    """Paths of options that are missing where a struct is written that cannot be without them."""
    required, structs = _needing(shape)
    found: list[tuple[str, ...]] = [(name,) for name in required if name not in written]
    for name, inner in structs:
        if isinstance(value := written.get(name), dict):
            found += [(name, *path) for path in lacking(inner, value)]
    return found


@cache
def _needing(shape: Shape) -> tuple[tuple[str, ...], tuple[tuple[str, Shape], ...]]:
    """Options that a struct cannot be without; and its structs, which may have such (found out when one is written)."""
    options = shape.options.values()
    return (
        tuple(option.name for option in options if option.required),
        tuple((option.name, option.shape) for option in options if option.shape.kind == "struct"),
    )


def over(shape: Shape, below: Written, above: Written) -> Written:
    """The options of a service (or of the daemon) with others below them."""
    return merge(shape, _without_alternatives(below, above), above)


def merge(shape: Shape, below: Written, above: Written) -> Written:
    """`above` wins; maps and structs merge, everything else replaces, and so do dependencies, which may be a list."""
    merged = dict(below)
    options = shape.options
    for name, value in above.items():
        merged[name] = _one_over(options[name].shape, merged.get(name), value)
    return Replacing(merged) if isinstance(below, Replacing) else merged


def _one_over(shape: Shape, under: Any, value: Any) -> Any:
    if isinstance(value, Appending):
        if not isinstance(under, tuple):
            return value
        return Appending((*under, *value)) if isinstance(under, Appending) else (*under, *value)
    if not isinstance(value, dict) or not isinstance(under, dict) or isinstance(value, Replacing):
        return value
    if shape.kind == "needs" and not isinstance(value, Merging):
        return value
    if shape.kind == "struct":
        return merge(shape, under, value)
    return type(under)({**under, **value})


def _without_alternatives(below: Written, above: Written) -> Written:
    """What is below, without what stands above in another way."""
    if any(above.get(name) is not None for name in ONE_OF):
        below = {name: value for name, value in below.items() if name not in (*ONE_OF, "args")}
    for which in ("ready", "health"):
        probe, under = above.get(which), below.get(which)
        if probe and under and not probe.keys().isdisjoint(KINDS):
            below = {**below, which: {name: value for name, value in under.items() if name not in KINDS}}
    stop, under = above.get("stop"), below.get("stop")
    if stop and under:
        without = {"steps"} if stop.keys() & {"signal", "timeout"} else set()
        without |= {"signal", "timeout"} if "steps" in stop else set()
        below = {**below, "stop": {name: value for name, value in under.items() if name not in without}}
    return below
