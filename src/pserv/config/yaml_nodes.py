"""YAML text to nodes: structure from the parser's events, bounded; scalars keep their text, whatever YAML 1.1 calls it.

Raises Unreadable where the text is no YAML or too large; duplicate keys and unknown tags are collected as mistakes.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from pserv.config.nodes import MAX_DEPTH, MAX_NODES, Collection, Mapping, Node, Scalar, Sequence, Unreadable
from pserv.model.mistakes import Mistake

# The C parser is some thirty times faster; PyYAML can be installed without it.
_Parser: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(_TAG + name for name in ("int", "float", "bool", "null"))
_INI: Final = re.compile(r"\[[A-Za-z][\w:. @-]*\][ \t]*\n[^\[\n]*=")
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
    """Builds the nodes of one file, with a stack of its own: depth and number are checked before anything is built.

    A file may have fifty thousand values, and two hundred files are read at once: what happens to each value stands in
    one loop, and what is rare in methods.
    """

    def __init__(self, parser: Any, file: str, mistakes: list[Mistake]) -> None:
        self._parser = parser
        self._file = file
        self._mistakes = mistakes
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Collection, str | None, Scalar | None, int, int]] = []
        """Of each collection that is not closed: itself, its anchor, its key, the values and the `$` before it."""
        self._merges: dict[int, list[tuple[Scalar, Node]]] = {}
        self._count = 0
        """Values so far, those behind aliases counted each time."""
        self._aliased = 0
        self._dollars = 0
        self._documents = 0

    def compose(self) -> Node | None:
        root: Node | None = None
        parent: Collection | None = None
        key: Scalar | None = None
        file, get_event = self._file, self._parser.get_event
        while (event := get_event()) is not None:
            kind = type(event)
            node: Node
            if kind is yaml.ScalarEvent:
                self._count += 1
                mark = event.start_mark
                quoted = bool(event.style) if event.tag is None else self._tagged(event)
                node = Scalar(event.value, quoted, file, mark.line + 1, mark.column + 1)
                if "$" in node.text:
                    self._dollars += 1
                if event.anchor:
                    self._anchors[event.anchor] = node
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._count += 1
                collection = self._collection(event, Mapping if kind is yaml.MappingStartEvent else Sequence)
                self._open.append((collection, event.anchor, key, self._count, self._dollars))
                parent, key = collection, None
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                node, key = self._close()
                parent = self._open[-1][0] if self._open else None
            elif kind is yaml.AliasEvent:
                node = self._alias(event)
            else:
                self._begun(event)
                continue
            if self._count > MAX_NODES:
                raise self._too_many(event)
            if type(parent) is Mapping:
                if key is None:
                    key = self._key(node)
                    continue
                if key.text in parent.pairs or key.text == "<<":
                    self._odd_pair(parent, key, node)
                else:
                    parent.pairs[key.text] = (key, node)
                key = None
            elif type(parent) is Sequence:
                parent.items.append(node)
            else:
                root = node
        return root

    def _begun(self, event: Any) -> None:
        self._documents += type(event) is yaml.DocumentStartEvent
        if self._documents > 1:
            raise self._refused(event, "a second YAML document begins", "keep one: remove this line `---`")

    def _too_many(self, event: Any) -> Unreadable:
        if self._count - self._aliased > MAX_NODES:
            return self._refused(event, f"more than {MAX_NODES} values in one file", "split it into several files")
        told = f"more than {MAX_NODES} values when aliases are expanded"
        return self._refused(event, told, "write less with aliases")

    def _collection(self, event: Any, kind: type[Mapping | Sequence]) -> Collection:
        how = _HOW.get(event.tag, "")
        if event.tag is not None and not how:
            self._tagged(event)
        if len(self._open) >= MAX_DEPTH:
            raise self._refused(event, f"nested more than {MAX_DEPTH} deep", "no option of Pserv is so deep")
        mark = event.start_mark
        collection = kind(self._file, mark.line + 1, mark.column + 1)
        collection.how = how
        return collection

    def _tagged(self, event: Any) -> bool:
        """Whether a scalar with a tag can only be a text; a tag that could build objects is a mistake."""
        if event.tag not in _KNOWN_TAGS:
            shown = "!!" + event.tag[len(_TAG) :] if event.tag.startswith(_TAG) else event.tag
            standard = shown.startswith("!!")
            hint = (
                "options have their types by name"
                if standard
                else "there are !replace for a mapping, !append for a list"
            )
            self._mistakes.append(self._at(event, f"the tag {shown} has no meaning here", f"remove it: {hint}"))
        return event.tag not in _PLAIN_TAGS

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        node = self._anchors.get(name)
        if node is None:
            if any(anchor == name for _, anchor, *_ in self._open):
                raise self._refused(event, f"the alias *{name} stands inside of what it names", "it would have no end")
            raise self._refused(event, f"no anchor &{name} before this alias", f"put &{name} before the value it names")
        self._count += node.size if isinstance(node, Collection) else 1
        self._aliased += node.size - 1 if isinstance(node, Collection) else 0
        self._dollars += node.refers if isinstance(node, Collection) else "$" in getattr(node, "text", "")
        self._deepen(node, event)
        return node

    def _close(self) -> tuple[Node, Scalar | None]:
        """The collection that ends here, and the key that it belongs to."""
        node, anchor, key, values, dollars = self._open.pop()
        node.size = 1 + self._count - values
        node.refers = self._dollars > dollars
        if self._merges and isinstance(node, Mapping) and (merges := self._merges.pop(id(node), None)):
            self._merge(node, merges)
        if anchor:
            self._anchors[anchor] = node
        self._deepen(node, None)
        return node, key

    def _deepen(self, node: Node, event: Any) -> None:
        """Take the depth of a collection into that of the one around it."""
        if not self._open or not isinstance(node, Collection):
            return
        parent = self._open[-1][0]
        if parent.depth <= node.depth:
            parent.depth = node.depth + 1
        if event and len(self._open) + node.depth > MAX_DEPTH:
            told = f"more than {MAX_DEPTH} levels when aliases are expanded"
            raise self._refused(event, told, "write less with aliases")

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        hint = "quote the text if braces or brackets belong to it"
        raise Unreadable(node.mistake(f"{node.called} stands where a key is expected", hint))

    def _odd_pair(self, parent: Mapping, key: Scalar, node: Node) -> None:
        """`<<`, or a key that is there already."""
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
    if _INI.match(text.lstrip()):
        message, hint = "this is an INI file, of supervisord or systemd", "write services: {web: {command: …}}"
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
