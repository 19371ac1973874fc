"""Hooks and the command of a reload as they are written: a COMMAND, a mapping, or a list of several. Runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pserv.config.findings import Path, Wrong, shown
from pserv.config.hints import suggestion, yaml_quoted
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.shapes import Shape, build
from pserv.model import units

if TYPE_CHECKING:
    from pserv.config.decode import Decoder


def several(decoder: Decoder, shape: Shape, node: Node, path: Path) -> tuple[Any, ...]:
    """One hook, or a list of them. Raises Wrong for a list of words, which could mean one command or several."""
    assert shape.item is not None
    items = list(node.items) if isinstance(node, Sequence) else [node]
    words = [each.text for each in items if isinstance(each, Scalar)]
    if len(items) > 1 and any(len(word.split()) == 1 for word in words):
        raise Wrong("could be one command or several", _either_way(words) if len(words) == len(items) else _NESTED)
    found = []
    for index, item in enumerate(items):
        here = (*path, index) if isinstance(node, Sequence) else path
        read = decoder.option(shape.item, item, here)
        if isinstance(read, dict) and ("command" in read or "shell" in read):
            found.append(build(shape.item, read))
    return tuple(found)


_NESTED = "write each command as a list of its own, or as one text"


def _either_way(words: list[str]) -> str:
    """How to write both meanings of a list of words."""
    quoted = [word if _plain(word) else yaml_quoted(word) for word in words]
    each = ", ".join(f"[{word}]" if len(word.split()) == 1 else yaml_quoted(word) for word in words)
    return f"write [[{', '.join(quoted)}]] for one command, [{each}] for {len(words)} hooks"


def _plain(word: str) -> bool:
    return word.replace("-", "").replace("_", "").replace("/", "").replace(".", "").isalnum() and word[0] != "-"


def one(decoder: Decoder, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
    """The options of one hook, or of a reload. Raises Wrong where not exactly one thing is said to be done."""
    if isinstance(node, Mapping):
        return _mapping(decoder, shape, node, path)
    if "signal" in shape.options and isinstance(node, Scalar) and len(node.text.split()) == 1:
        signal = _signal(node.text)
        if signal is not None:
            return {"signal": signal}
    read = decoder.option(shape.options["command"].shape, node, path)
    return {"command": read} if isinstance(read, tuple) else {}


def _mapping(decoder: Decoder, shape: Shape, node: Mapping, path: Path) -> dict[str, Any]:
    ways = [name for name in ("signal", "command", "shell") if name in shape.options]
    written = decoder.struct(shape, node, path)
    said = [name for name in ways if name in node.pairs]
    if not said and not any(text not in shape.options for text in node.pairs):
        raise Wrong(f"has no {' and no '.join(ways)}", 'write {command: "prog a b", timeout: 10s}')
    if len(said) > 1:
        raise Wrong(f"{said[1]} is set beside {said[0]}", f"keep one of {' and '.join(said)}", node.pairs[said[1]][0])
    if "shell" in written and not written["shell"].strip():
        raise Wrong("shell is an empty text", 'write {shell: "a | b"}', node.pairs["shell"][1])
    return written


def _signal(word: str) -> int | None:
    """The signal of that name. Raises Wrong for what looks like one and is none; None for the name of a program."""
    try:
        return units.parse_signal(word)
    except ValueError as error:
        if "/" in word or not word.isupper():
            return None
        near = suggestion(word.removeprefix("SIG"), tuple(units.signal_names()))
        raise Wrong(str(error).replace(repr(word), shown(word), 1), near or "write HUP, or a command") from None
