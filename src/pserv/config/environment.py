"""Environment variables as they are written, a mapping or a list of NAME=value, to names and texts."""

from __future__ import annotations

from pserv.config import scalars
from pserv.config.findings import Findings, Path, Wrong, short, shown
from pserv.config.nodes import Mapping, Node, Scalar, Sequence


def variables(node: Node, path: Path, findings: Findings) -> dict[str, str]:
    """All that can be read; what is wrong with the others goes to the findings."""
    values: dict[str, str] = {}
    if isinstance(node, Scalar):
        message = f"{shown(node.text)} where a mapping or a list is expected"
        raise Wrong(message, "write {NAME: value}, or [NAME=value]")
    for name, where, value in _pairs(node):
        try:
            values[name or ""] = _text(name, value)
        except Wrong as wrong:
            findings.add((*path, name) if name else path, wrong.message, wrong.hint, where)
    return values


def _pairs(node: Node) -> list[tuple[str | None, Node, Node]]:
    """Name, where to point at, value; the name is None where an item of a list has none."""
    if isinstance(node, Mapping):
        return [(text, value if isinstance(value, Scalar) else key, value) for text, key, value in node]
    found: list[tuple[str | None, Node, Node]] = []
    for item in node.items if isinstance(node, Sequence) else []:
        if isinstance(item, Scalar) and "=" in item.text:
            name, _, value = item.text.partition("=")
            found.append((name, item, Scalar(item.file, item.line, item.column, value, True)))
        else:
            found.append((None, item, item))
    return found


def _text(name: str | None, value: Node) -> str:
    """The value of one variable, as it was written: numbers and words like `yes` are texts here."""
    if not isinstance(value, Scalar):
        hint = "write NAME=value" if name is None else "write it as one text, in quotes"
        raise Wrong(f"{value.called} where a text is expected", hint)
    if name is None:
        raise Wrong(
            f"{shown(value.text)} has no '='",
            f"write {short(value.text)}=value, or inherit_env: [{short(value.text)}] to take the daemon's",
        )
    if not name or "=" in name or "\0" in name:
        raise Wrong(f"{shown(name)} cannot be the name of a variable", "use letters, digits and _")
    if name.split() != [name]:
        plain = "".join(name.split())
        raise Wrong(f"the name {shown(name)} has a blank in it", f"write {short(plain)}=…, or {{{short(plain)}: …}}")
    if value.is_null:
        raise Wrong(
            "has no value",
            f'write {short(name)}: "" for an empty text, or inherit_env: [{short(name)}] to take the daemon\'s',
        )
    return scalars.text(value)
