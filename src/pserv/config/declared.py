"""A service as it was declared, perhaps in several places: what was written, and where, for what is said of it."""

from __future__ import annotations

from pserv.config.nodes import Mapping, Node
from pserv.config.overriding import Written, over
from pserv.config.shapes import SERVICE
from pserv.model.spec import ServiceSpec

Part = tuple[Mapping, Written]
"""A mapping of options in a file, and what was read in it."""


class Declared:
    """`layer` counts the files that may override each other; `parts` are what was written, the one that wins first."""

    __slots__ = ("groups", "key", "layer", "name", "parts", "profiles", "provided", "spec", "written")

    def __init__(self, name: str, key: Node, node: Mapping, written: Written, layer: int) -> None:
        self.name = name
        self.key = key
        self.parts: list[Part] = [(node, written)]
        self.written = written
        self.layer = layer
        self.groups: tuple[Node, ...] = ()
        """Where groups name it."""
        self.profiles: tuple[str, ...] = ()
        self.provided: dict[str, str] = {}
        """The provider of each secret that comes from one."""
        self.spec: ServiceSpec = ServiceSpec()

    def override(self, node: Mapping, written: Written, layer: int) -> None:
        """What a later file says of the same service."""
        self.written = over(SERVICE, self.written, written)
        self.parts.insert(0, (node, written))
        self.layer = layer

    def at(self, option: str, *inner: str) -> Node:
        """Where the option stands: in the service, else in what it extends, else in `defaults`, else the service."""
        for mapping, _ in self.parts:
            found: Node | None = mapping
            for part in (option, *inner):
                value = lookup(found, part)
                if value is None:
                    break
                found = value
            if found is not mapping and found is not None:
                return found
        return self.key


def lookup(node: Node | None, key: str) -> Node | None:
    """The value of a key, however its words are joined."""
    if not isinstance(node, Mapping):
        return None
    pair = node.pairs.get(key) or node.pairs.get(key.replace("_", "-"))
    return pair[1] if pair else None
