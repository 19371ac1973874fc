"""Where each value of an accepted configuration comes from: file and line, and the variables that were filled in.

What stands over what is `overriding`'s to say: here its rule is applied to places instead of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pserv.config.declared import Declared
from pserv.config.fragments import Configuration
from pserv.config.nodes import Collection, Filled, Mapping, Node, Scalar, Sequence
from pserv.config.overriding import ONE_OF, Appending, Merging, Replacing, Written, over
from pserv.config.shapes import DAEMON, SERVICE, Shape
from pserv.model.status import Placed

FOLLOWS: Final = {"type": "schedule", "autostart": "schedule", "backoff.maximum": "backoff.initial"}
"""Options that another one may set where nothing is written."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a value comes from: a file, or nowhere (`default`), or another option (`follows`)."""

    file: str = ""
    line: int = 0
    variables: tuple[str, ...] = ()
    """What was filled in, and from where: "HOST from /srv/.env:3"."""
    follows: str = ""
    secret: bool = False
    """A variable that was filled in looks secret."""

    def text(self, folder: str = "") -> str:
        """ "pserv.yaml:12, HOST from .env:3"; paths as seen from a folder, where they are in it."""
        if not self.file:
            return f"by {self.follows}" if self.follows else "default"
        above = folder.rstrip("/") + "/"
        shown = [f"{self.file}:{self.line}" if self.line else self.file, *self.variables]
        if folder:
            shown = [each.replace(f" from {above}", " from ").removeprefix(above) for each in shown]
        return ", ".join(shown)


DEFAULT: Final = Origin()


class Place:
    """Where a value is written. False, because to `overriding` it is not a mapping in which to look for more."""

    __slots__ = ("at", "value")

    def __init__(self, at: Node, value: Node) -> None:
        """`at`: what is pointed at, the key where there is one: a mapping or list begins in a line below it."""
        self.at = at
        self.value = value

    def __bool__(self) -> bool:
        return False

    @property
    def origin(self) -> Origin:
        filled = list(_filled(self.value))
        variables = dict.fromkeys(each.origin for each in filled)
        return Origin(self.at.file, self.at.line, tuple(variables), secret=any(each.secret for each in filled))


Tree = dict[str, Any]
"""The places of options by name; of options with options of their own, and of maps, again such a dict."""


class Origins:
    """Answers for one configuration that was read."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._trees: dict[str, Tree] = {}

    def of_service(self, name: str, path: tuple[str, ...]) -> tuple[Origin, ...]:
        """Where an option of a service comes from; several where a list was put together."""
        declared = self._configuration.services.get(name)
        if declared is None:
            return (DEFAULT,)
        if name not in self._trees:
            self._trees[name] = tree_of(declared)
        found = [place.origin for place in _places(self._trees[name], path)]
        if path == ("tags",):
            found += [Place(node, node).origin for node in declared.groups]
        if path[:1] == ("secrets",) and len(path) > 1 and path[1] in declared.provided:
            found += self.of_provider(declared.provided[path[1]])
        option = ".".join(path)
        if not found and option in FOLLOWS and _places(self._trees[name], tuple(FOLLOWS[option].split("."))):
            return (Origin(follows=FOLLOWS[option]),)
        return tuple(dict.fromkeys(found)) or (DEFAULT,)

    def of_daemon(self, option: str) -> tuple[Origin, ...]:
        node = self._configuration.at("daemon", option)
        return (DEFAULT,) if node is None else (Place(node, node).origin,)

    def of_provider(self, name: str) -> tuple[Origin, ...]:
        """One of the top level's `secrets`."""
        node = self._configuration.at("secrets", name)
        return () if node is None else (Place(node, node).origin,)

    def of_name(self) -> tuple[Origin, ...]:
        node = self._configuration.at("name")
        return (Origin(follows="the folder"),) if node is None else (Place(node, node).origin,)

    def placed(self, name: str, folder: str) -> dict[str, Placed]:
        """Where all that is written of a service stands, by option: "env.PORT", "stop.signal"."""
        self.of_service(name, ())
        told = {}
        for path in _paths(self._trees.get(name, {}), ()):
            found = self.of_service(name, path)
            told[".".join(path)] = Placed(
                ", ".join(each.text(folder) for each in found), any(each.secret for each in found)
            )
        return told

    def placed_of_daemon(self, folder: str) -> dict[str, Placed]:
        """The same of the daemon: "daemon.exit_when"."""
        found = {f"daemon.{option}": self.of_daemon(option) for option in DAEMON.options}
        return {option: Placed(each.text(folder)) for option, (each,) in found.items() if each is not DEFAULT}


def tree_of(declared: Declared) -> Tree:
    """The places of all that is in effect of what was written."""
    tree: Tree = {}
    for node, written in reversed(declared.parts):
        tree = over(SERVICE, tree, _tree(SERVICE, written, Place(node, node)))
    return tree


def _tree(shape: Shape, written: Written, place: Place) -> Tree:
    tree: Tree = {}
    for name, value in written.items():
        if value is None and name in ONE_OF:
            continue
        found = _option(place.value, name)
        own = place if found is None else found
        inner = shape.options[name].shape
        if isinstance(value, dict):
            kept = type(value) if isinstance(value, (Replacing, Merging)) else dict
            tree[name] = kept(_tree(inner, value, own) if inner.kind == "struct" else _named(value, own))
        elif isinstance(value, tuple):
            tree[name] = Appending((own,)) if isinstance(value, Appending) else (own,)
        else:
            tree[name] = own
    return tree


def _named(value: dict[str, Any], place: Place) -> Tree:
    """Variables, headers, dependencies, sockets: names that a user gave."""
    found = {name: _item(place.value, name) for name in value}
    return {name: place if own is None else own for name, own in found.items()}


def _item(node: Node, name: str) -> Place | None:
    if isinstance(node, Mapping):
        return Place(*node.pairs[name]) if name in node.pairs else None
    for each in node.items if isinstance(node, Sequence) else ():
        if isinstance(each, Scalar) and name in (each.text, each.text.partition("=")[0]):
            return Place(each, each)
    return None


def _option(node: Node, name: str) -> Place | None:
    """The option in a mapping; what may stand beside another option or in it (`interval` of a probe) in either."""
    if not isinstance(node, Mapping):
        return None
    mappings = [node, *(value for _, _, value in node if isinstance(value, Mapping))]
    for mapping in mappings:
        for key in (name, name.replace("_", "-")):
            if key in mapping.pairs:
                return Place(*mapping.pairs[key])
    return None


def _places(tree: Any, path: tuple[str, ...]) -> tuple[Place, ...]:
    """Where the option of this path is written; a short form says all that is in it."""
    for part in path:
        if not isinstance(tree, dict):
            break
        if part not in tree:
            return ()
        tree = tree[part]
    return tuple(_leaves(tree))


def _leaves(tree: Any) -> Iterator[Place]:
    if isinstance(tree, Place):
        yield tree
        return
    for each in tree.values() if isinstance(tree, dict) else tree:
        yield from _leaves(each)


def _paths(tree: Tree, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, inner in tree.items():
        if isinstance(inner, dict):
            yield from _paths(inner, (*before, name))
        else:
            yield (*before, name)


def secret_in(node: Node) -> bool:
    """Whether a variable that looks secret was filled in somewhere."""
    return any(each.secret for each in _filled(node))


def _filled(node: Node) -> Iterator[Filled]:
    if isinstance(node, Filled):
        yield node
    if isinstance(node, Collection) and not node.refers:
        return
    inner: Iterable[Node] = node.items if isinstance(node, Sequence) else ()
    if isinstance(node, Mapping):
        inner = [value for _, _, value in node]
    for each in inner:
        yield from _filled(each)
