"""The nodes of a file with the variables in their texts filled in. What a reference means is `interpolate`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pserv.config import interpolate
from pserv.config.findings import Findings, Path, Wrong
from pserv.config.nodes import NULLS, Collection, Filled, Mapping, Node, Scalar, Sequence, Unfilled
from pserv.config.variables import Variables
from pserv.rules.instances import LEFT_ALONE
from pserv.rules.secrecy import looks_secret

LITERAL: Final = frozenset(("shell", "pattern"))
"""A shell finds its variables by itself, and in a regular expression `$` is the end of a line."""
_NAMED_BY_USER: Final = frozenset(("env", "headers"))
_PROBES: Final = frozenset(("ready", "health"))

Fill = Callable[[str, interpolate.Look], str]


def fill(root: Node, variables: Variables, findings: Findings) -> None:
    """Replace, in place, each text that refers to variables; what cannot be filled goes to the findings."""
    if isinstance(root, Mapping):
        filling = _Filling(variables, findings)
        for text, (key, value) in root.pairs.items():
            section = text.replace("-", "_")
            if section.startswith("x_"):
                continue
            root.pairs[text] = key, filling.node(value, (section,), _OF_SERVICES.get(section, _FINAL))


_FINAL: Final = interpolate.final
_OF_SERVICES: Final = {
    **dict.fromkeys(("services", "defaults", "secrets", "env_file"), interpolate.template),
    "env": interpolate.variable,
}
"""Sections in which something may be filled in for each service."""


class _Filling:
    def __init__(self, variables: Variables, findings: Findings) -> None:
        self._variables = variables
        self._findings = findings
        self._seen: set[int] = set()

    def node(self, node: Node, path: Path, how: Fill) -> Node:
        """What stands in its place; a list or mapping that is used several times (`*alias`) is filled once."""
        if isinstance(node, Scalar):
            return self._scalar(node, path, how) if "$" in node.text else node
        if id(node) in self._seen or (isinstance(node, Collection) and not node.refers):
            return node
        self._seen.add(id(node))
        if isinstance(node, Sequence):
            node.items = [self.node(item, (*path, index), how) for index, item in enumerate(node.items)]
        elif isinstance(node, Mapping):
            self._mapping(node, path, how)
        return node

    def _mapping(self, node: Mapping, path: Path, how: Fill) -> None:
        options = path[-1] not in _NAMED_BY_USER and path != ("services",)
        for text, (key, value) in node.pairs.items():
            if ("$" not in value.text) if isinstance(value, Scalar) else _has_none(value):
                continue
            name = text.replace("-", "_") if options else text
            if options and (name in LITERAL or _is_pattern(name, value)):
                continue
            service = self._findings.service
            if path == ("services",):
                self._findings.service = text
            this = _FINAL if options and name in LEFT_ALONE else how
            if name == "env" and (path == ("defaults",) or path[:-1] == ("services",)):
                this = interpolate.variable
            node.pairs[text] = key, self.node(value, (*path, text), this)
            self._findings.service = service

    def _scalar(self, node: Scalar, path: Path, how: Fill) -> Scalar:
        asked: dict[str, str] = {}

        def look(name: str) -> str | None:
            value = self._variables.look(name)
            if value is not None and "." not in name:
                asked[name] = value
            return value

        try:
            text = how(node.text, look)
        except Wrong as wrong:
            self._findings.add(path, wrong.message, wrong.hint, node)
            return Unfilled(node.file, node.line, node.column, node.text, node.quoted)
        if not asked:
            return node if text == node.text else Scalar(node.file, node.line, node.column, text, True)
        origin = ", ".join(f"{name} from {self._variables.origin(name)}" for name in asked)
        secret = any(looks_secret(name, value) for name, value in asked.items())
        self._variables.private |= secret
        quoted = node.quoted or text in NULLS
        return Filled(node.file, node.line, node.column, text, quoted, origin, secret)


def _has_none(node: Node) -> bool:
    """Whether no text of a list or mapping has a `$`."""
    return isinstance(node, Collection) and not node.refers


def _is_pattern(option: str, value: Node) -> bool:
    """`ready: log:PATTERN`."""
    return option in _PROBES and isinstance(value, Scalar) and value.text.startswith("log:")
