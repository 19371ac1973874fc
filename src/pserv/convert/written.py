"""Options as a person would write them in YAML, with comments: what YAML libraries do not write. Reads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pserv.config.nodes import NULLS

WIDTH: Final = 100
"""Characters of a line, before a list or a mapping takes a line for each of its items."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./$][^\n\t\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]*\Z")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_IN_BRACKETS: Final = re.compile(r"[\[\]{},]")


def option(name: str, value: Any, indent: int) -> Iterator[str]:
    """The lines of `name: value`."""
    margin = " " * indent
    key = text(name, flow=False)
    if isinstance(value, str) and "\n" in value.strip("\n") and _is_block(value):
        yield f"{margin}{key}: |"
        yield from (f"{margin}  {line}".rstrip() for line in value.strip("\n").split("\n"))
        return
    line = f"{margin}{key}: {flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, dict | list):
        yield line
    elif isinstance(value, dict):
        yield f"{margin}{key}:"
        for inner, each in value.items():
            yield from option(inner, each, indent + 2)
    else:
        yield f"{margin}{key}:"
        yield from (f"{margin}  - {flow(each)}" for each in value)


def flow(value: Any, *, inside: bool = False) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        pairs = [f"{text(name, flow=True)}: {flow(each, inside=True)}" for name, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(each, inside=True) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(value, flow=inside) if isinstance(value, str) else str(value)


def text(value: str, *, flow: bool) -> str:
    """A text, in quotes where it would be read as something else."""
    bare = bool(_PLAIN.match(value)) and value not in NULLS and value == value.strip()
    if bare and not value.endswith(":") and ": " not in value and " #" not in value:
        return f'"{value}"' if flow and (_IN_BRACKETS.search(value) or ":" in value) else value
    if value and "'" not in value and value.isprintable():
        return f'"{value}"' if '"' not in value and "\\" not in value else f"'{value}'"
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(char: str) -> str:
    """A character within double quotes; JSON's pairs of surrogates are none in YAML."""
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def comment(line: str, indent: int) -> Iterator[str]:
    """A remark as comment lines, wrapped."""
    margin = " " * indent + "# "
    rest = "".join(char if char.isprintable() else _escaped(char) for char in " ".join(line.split()))
    while len(margin) + len(rest) > WIDTH + 10:
        cut = rest.rfind(" ", 0, WIDTH + 10 - len(margin))
        if cut <= 0:
            break
        yield margin + rest[:cut]
        rest = "  " + rest[cut + 1 :]
    yield margin + rest


def _is_block(value: str) -> bool:
    """Whether a text of several lines can be written line by line."""
    lines = value.strip("\n").split("\n")
    return not lines[0].startswith((" ", "\t")) and all(
        line.replace("\t", " ").isprintable() and not line.endswith(" ") for line in lines
    )
