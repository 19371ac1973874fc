"""The ways to write `sockets`: a port, an address, a list, or by name. What makes no sense together is `check`'s."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pserv.config.findings import Path, Wrong, shown
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.scalars import filled, resolved
from pserv.config.shapes import Shape, build
from pserv.model import listening

if TYPE_CHECKING:
    from pserv.config.decode import Decoder

FORMS: Final = ("8080", "127.0.0.1:8080", "udp://:53", "unix:/run/app.sock")
LONGEST_NAME: Final = 255
"""As systemd has it."""


def several(decoder: Decoder, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
    """Names and sockets, in the order of their descriptors. Raises Wrong."""
    assert shape.item is not None
    if isinstance(node, Mapping) and not _is_one(shape.item, node):
        named = [(name, value, (*path, name)) for name, _, value in node]
    else:
        items = list(node.items) if isinstance(node, Sequence) else [node]
        named = [("", each, (*path, index) if isinstance(node, Sequence) else path) for index, each in enumerate(items)]
    found: dict[str, Any] = {}
    for name, value, here in named:
        if name:
            _check_name(name, shape.item, value)
        read = decoder.option(shape.item, value, here)
        if not isinstance(read, dict):
            continue
        if "listen" in read:
            found[name or _named(read["listen"], found)] = build(shape.item, read)
        elif isinstance(value, Mapping) and "listen" not in value.pairs:
            raise Wrong("does not say where to listen", f"write {{listen: {FORMS[0]}}}", value)
    return found


def address(node: Node, shape: Shape) -> str:
    """An address as it is written, but for a relative path. Raises Wrong."""
    if not isinstance(node, Scalar):
        raise Wrong(f"{node.called} where an address is expected", f"write {FORMS[0]}, or {FORMS[-1]}")
    text = filled(node, shape).strip()
    if text.startswith("unix:"):
        rest = text[5:].removeprefix("//") if not text.startswith("unix:///") else text[7:]
        return f"unix:{rest}" if rest[:1] in ("/", "@", "") else f"unix:{resolved(rest, node)}"
    return f"unix:{resolved(text, node)}" if text.startswith(("./", "../")) else text


def _is_one(item: Shape, node: Mapping) -> bool:
    """One socket written with its options, not several by name."""
    return "listen" in node.pairs and all(name.replace("-", "_") in item.options for name in node.pairs)


def _check_name(name: str, item: Shape, value: Node) -> None:
    if not name.isascii() or not name.isprintable() or ":" in name or len(name) > LONGEST_NAME:
        raise Wrong(f"{shown(name)} cannot be the name of a socket", "use ASCII without colons", value)
    if name in item.options and name != "listen":
        raise Wrong(f"{name} is an option of one socket", f"write {{NAME: {{listen: …, {name}: …}}}}", value)


def _named(text: str, known: dict[str, Any]) -> str:
    """A name from the address, as nobody gave one: the port, or the name of the file."""
    try:
        where = listening.address(text)
        name = os.path.basename(where.path).lstrip("@") if where.kind == "unix" else str(where.port)
    except ValueError:
        name = ""
    name = name.replace(":", "-") if name.isascii() and name.isprintable() else ""
    name = name or f"socket-{len(known) + 1}"
    return name if name not in known else f"{name}-{len(known) + 1}"
