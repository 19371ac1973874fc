"""YAML text to nodes: structure from the parser's events, bounded; scalars keep their text, whatever YAML 1.1 calls it.

Raises Unreadable where the text is no YAML or too large; duplicate keys and unknown tags are collected as mistakes.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from pserv.config.nodes import MAX_DEPTH, MAX_NODES, Collection, Mapping, Node, Scalar, Sequence, Unreadable
from pserv.model.mistakes import Mistake

# The C parser is some thirty times faster; PyYAML can be installed without it.
_Parser: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(_TAG + name for name in ("int", "float", "bool", "null"))
_HOW: Final = {"!replace": "replace", "!append": "append"}
"""Tags of lists and mappings that stand over others."""
_KNOWN_TAGS: Final = _PLAIN_TAGS | {"!", _TAG + "str", _TAG + "map", _TAG + "seq"}


def read_yaml(text: str, file: str, mistakes: list[Mistake]) -> Node | None:
    """The root of the one document in `text`; None where there is none."""
    parser = _Parser(text)
    try:
        return _Composer(parser, file, mistakes).compose()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_explained(error, file, text)) from None
    except yaml.YAMLError as error:
        raise Unreadable(_unreadable_character(error, file, text)) from None
    finally:
        parser.dispose()


class _Composer:
    """Builds the nodes of one file, with a stack of its own: depth and number are checked before anything is built."""

    def __init__(self, parser: Any, file: str, mistakes: list[Mistake]) -> None:
        self._parser = parser
        self._file = file
        self._mistakes = mistakes
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Collection, str | None]] = []
        self._keys: list[Scalar | None] = []
        self._merges: dict[int, list[tuple[Scalar, Node]]] = {}
        self._count = 0

    def compose(self) -> Node | None:
        root: Node | None = None
        documents = 0
        get_event = self._parser.get_event
        while (event := get_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                root = self._scalar(event) or root
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                root = self._close() or root
            elif kind is yaml.MappingStartEvent:
                self._open_collection(event, Mapping)
            elif kind is yaml.SequenceStartEvent:
                self._open_collection(event, Sequence)
            elif kind is yaml.AliasEvent:
                self._counted(event)
                root = self._add(self._alias(event), event) or root
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self._refused(event, "a second YAML document begins", "keep one: remove this line `---`")
        return root

    def _counted(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._refused(event, f"more than {MAX_NODES} values in one file", "split it into several files")

    def _scalar(self, event: Any) -> Node | None:
        self._counted(event)
        quoted = (event.tag is not None and self._tagged(event)) or bool(event.style)
        mark = event.start_mark
        scalar = Scalar(event.value, quoted, self._file, mark.line + 1, mark.column + 1)
        if event.anchor:
            self._anchors[event.anchor] = scalar
        return self._add(scalar, event)

    def _open_collection(self, event: Any, kind: type[Mapping | Sequence]) -> None:
        self._counted(event)
        how = _HOW.get(event.tag, "")
        if event.tag is not None and not how:
            self._tagged(event)
        if len(self._open) >= MAX_DEPTH:
            raise self._refused(event, f"nested more than {MAX_DEPTH} deep", "no option of Pserv is so deep")
        mark = event.start_mark
        collection = kind(self._file, mark.line + 1, mark.column + 1)
        collection.how = how
        self._open.append((collection, event.anchor))
        self._keys.append(None)

    def _tagged(self, event: Any) -> bool:
        """Whether a tag makes this a text; a tag that could build objects is a mistake."""
        if event.tag not in _KNOWN_TAGS:
            shown = "!!" + event.tag[len(_TAG) :] if event.tag.startswith(_TAG) else event.tag
            self._mistakes.append(
                self._at(event, f"the tag {shown} has no meaning here", "remove it: options have their types by name")
            )
        elif event.tag in _PLAIN_TAGS and isinstance(event, yaml.ScalarEvent):
            event.style = None
            return False
        return True

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        if name in self._anchors:
            return self._anchors[name]
        if any(anchor == name for _, anchor in self._open):
            raise self._refused(event, f"the alias *{name} stands inside of what it names", "it would have no end")
        raise self._refused(event, f"no anchor &{name} before this alias", f"put &{name} before the value it names")

    def _close(self) -> Node | None:
        node, anchor = self._open.pop()
        self._keys.pop()
        if isinstance(node, Mapping) and (merges := self._merges.pop(id(node), None)):
            self._merge(node, merges)
        if anchor:
            self._anchors[anchor] = node
        return self._add(node, None)

    def _add(self, node: Node, event: Any) -> Node | None:
        """Puts a complete node where it belongs; returns it when it is the root."""
        if not self._open:
            return node
        parent = self._open[-1][0]
        size, depth = (node.size, node.depth) if isinstance(node, Collection) else (1, 0)
        parent.size += size
        parent.depth = max(parent.depth, depth + 1)
        if parent.size > MAX_NODES or len(self._open) + depth > MAX_DEPTH:
            what = f"{MAX_NODES} values" if parent.size > MAX_NODES else f"{MAX_DEPTH} levels"
            mistake = parent.mistake(f"more than {what} when aliases are expanded", "write less with aliases")
            raise Unreadable(self._at(event, mistake.message, mistake.hint) if event else mistake)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif isinstance(parent, Mapping):
            self._add_to_mapping(parent, node)
        return None

    def _add_to_mapping(self, parent: Mapping, node: Node) -> None:
        key = self._keys[-1]
        if key is None:
            if not isinstance(node, Scalar):
                raise Unreadable(
                    Mistake(
                        f"{node.called} stands where a key is expected",
                        "quote the text if braces or brackets belong to it",
                        self._file,
                        node.line,
                        node.column,
                    )
                )
            self._keys[-1] = node
            return
        self._keys[-1] = None
        if key.text == "<<" and not key.quoted:
            self._merges.setdefault(id(parent), []).append((key, node))
        elif key.text in parent.pairs:
            first = parent.pairs[key.text][0]
            self._mistakes.append(
                key.mistake(f"the key '{key.text}' is already set in line {first.line}", "keep one of the two")
            )
        else:
            parent.pairs[key.text] = (key, node)

    def _merge(self, node: Mapping, merges: list[tuple[Scalar, Node]]) -> None:
        """`<<`: keys written out win, then the mapping named first (yaml.org/type/merge)."""
        for key, value in merges:
            for source in value.items if isinstance(value, Sequence) else [value]:
                if not isinstance(source, Mapping):
                    self._mistakes.append(
                        key.mistake(f"<< takes a mapping, not {source.called}", "write `<<: *name` or `<<: [*a, *b]`")
                    )
                    continue
                for text, pair in source.pairs.items():
                    node.pairs.setdefault(text, pair)

    def _at(self, event: Any, message: str, hint: str) -> Mistake:
        return Mistake(message, hint, self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refused(self, event: Any, message: str, hint: str) -> Unreadable:
        return Unreadable(self._at(event, message, hint))


def _explained(error: yaml.MarkedYAMLError, file: str, text: str) -> Mistake:
    """The parser's words for the commonest slips, in words that say what to do."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    problem = error.problem or "cannot be read"
    message, hint = _problem(problem, error.context or "", _character(text, line, column))
    if "mapping values are not allowed" in problem and _glued(text, line - 1):
        hint = f"write a blank after the colon in line {line - 1}"
    start = error.context_mark
    if start and start.line + 1 != line and "block" not in (error.context or "block"):
        message += f" (it begins in line {start.line + 1})"
    return Mistake(f"not YAML: {message}", hint, file, line, column)


def _glued(text: str, line: int) -> bool:
    """Whether a line looks like `key:value`, which is one text and goes on in the next line."""
    lines = text.splitlines()
    key, colon, value = lines[line - 1].strip().partition(":") if 0 < line <= len(lines) else ("", "", "")
    return bool(colon) and key.replace("-", "_").isidentifier() and bool(value) and not value[0].isspace()


def _character(text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    return here[column - 1] if 0 < column <= len(here) else ""


def _problem(problem: str, context: str, char: str) -> tuple[str, str]:
    quote = "put the value in quotes"
    if "cannot start any token" in problem:
        if char == "\t":
            return "a tab where YAML wants spaces", "indent with spaces"
        return f"a value cannot begin with {char!r}", quote
    if "scanning an alias" in context and not char.isalnum():
        return "a value cannot begin with '*'", quote
    if "mapping values are not allowed" in problem:
        return "a ':' that cannot stand here", f"{quote} if the ':' belongs to it; else check the indentation"
    if "unexpected ':'" in problem:
        return "a ':' in a bare text inside of brackets", f"{quote}, or write a blank after the ':'"
    if "could not find expected ':'" in problem:
        return "a key without ': '", "write `key: value`, with a blank after the colon"
    if "expected key" in problem:
        return "something that is neither a key nor the end of the mapping", "check the indentation and the quotes"
    if "expected '-' indicator" in problem:
        return "a key where the list goes on", "check the indentation: items begin with `- `"
    if "expected ',' or" in problem:
        return f"a list or mapping in brackets is not closed by {problem[-3:]}", f"close it with {problem[-3:]}"
    if "unexpected end of stream" in problem:
        return "the file ends inside of a quoted text", "close the quote"
    if "escape" in problem:
        return "an escape that YAML does not know in double quotes", "use single quotes: a backslash is plain there"
    if "expected <document start>" in problem:
        return "a line further left than the first one", "begin all top-level keys in the same column"
    if "node content" in problem:
        return "a bracket that closes nothing, or a list that is not closed", "check the brackets"
    return f"{context}: {problem}" if context else problem, "check this line and the one before it"


def _unreadable_character(error: yaml.YAMLError, file: str, text: str) -> Mistake:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Mistake(f"not YAML: {error}", "", file)
    before = text[:position]
    line = before.count("\n") + 1
    shown = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
    return Mistake(
        f"not YAML: the control character {shown}",
        "remove it, or write it as an escape in double quotes",
        file,
        line,
        position - (before.rfind("\n") + 1) + 1,
    )
