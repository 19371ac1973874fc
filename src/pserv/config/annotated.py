"""The effective configuration as YAML lines, each with what is to be said of its value; and without its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml

from pserv.config.origins import Origin, Origins
from pserv.rules.secrecy import MASK, mask

Path = tuple[str, ...]
Plain = dict[str, Any]

_SHORT_LIST: Final = 72
"""Characters of a list that stands in one line."""
_LONG: Final = 1 << 20
"""So long a line may be: none is folded."""


def origins_of(document: Plain, origins: Origins) -> dict[Path, tuple[Origin, ...]]:
    """Where each value of the effective configuration comes from, in its order."""
    return {path: _origin(path, origins) for path in _leaves(document, ())}


def without_secrets(document: Plain, origins: dict[Path, tuple[Origin, ...]]) -> Plain:
    """The same with what looks secret, or was made with a variable that does, masked."""
    shown: Plain = _masked(document, (), {path for path, found in origins.items() if any(o.secret for o in found)})
    for options in shown["services"].values():
        mask(options)
    return shown


def lines(document: Plain, comment: Callable[[Path], str]) -> Iterator[tuple[str, str]]:
    """Each line of the document as YAML, and the comment that belongs at its end."""
    text = yaml.dump(_flowing(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LONG)
    comments: dict[int, str] = {}
    for path, at in _positions(yaml.compose(text, Loader=yaml.CSafeLoader), ()):
        comments[at] = comment(path)
    for number, line in enumerate(text.splitlines()):
        yield line, comments.get(number, "")


def _origin(path: Path, origins: Origins) -> tuple[Origin, ...]:
    if path[0] == "services" and len(path) > 2:
        return origins.of_service(path[1], path[2:])
    return origins.of_daemon(path[1]) if path[0] == "daemon" and len(path) > 1 else origins.of_name()


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    """The paths of values; a list is one, whatever is in it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path


def _masked(value: Any, path: Path, secret: set[Path]) -> Any:
    if path in secret:
        return [MASK] if isinstance(value, list) else MASK
    if isinstance(value, dict):
        return {name: _masked(inner, (*path, name), secret) for name, inner in value.items()}
    return value


def _positions(node: Any, path: Path) -> Iterator[tuple[Path, int]]:
    """(path, number of the line that a comment may end) of each value of a composed document."""
    for key, value in node.value:
        inner = (*path, key.value)
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _positions(value, inner)
        else:
            yield inner, key.start_mark.line


class _Flow(list[Any]):
    """A list that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """Short lists in one line, texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(
    _Flow, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def _flowing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _flowing(inner) for name, inner in value.items()}
    if isinstance(value, list):
        simple = all(isinstance(each, (str, int, float)) and "\n" not in str(each) for each in value)
        return _Flow(value) if simple and len(", ".join(map(str, value))) <= _SHORT_LIST else list(map(_flowing, value))
    return value
