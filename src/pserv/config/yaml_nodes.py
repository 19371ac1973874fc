"""YAML text to nodes: structure from the parser's events, bounded; scalars keep their text, whatever YAML 1.1 calls it.

Raises Unreadable where the text is no YAML or too large; duplicate keys and unknown tags are collected as mistakes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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
_AROUND: Final = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)


def read_yaml(text: str, file: str, mistakes: list[Mistake]) -> Node | None:
    """The root of the one document in `text`; None where there is none."""
    parser = _Parser(text)
    try:
        return _Composer(parser, file, mistakes).compose()
    except yaml.YAMLError as error:
        from pserv.config.yaml_slips import refused  # late: most files have none

        raise Unreadable(refused(error, file, text)) from None
    finally:
        parser.dispose()


class _Composer:
    """Builds the nodes of one file. Depth and number are checked before anything is built, so recursion has an end."""

    __slots__ = (
        "_aliased",
        "_anchors",
        "_count",
        "_deepest",
        "_depth",
        "_dollars",
        "_file",
        "_get_event",
        "_mistakes",
        "_open",
    )

    def __init__(self, parser: Any, file: str, mistakes: list[Mistake]) -> None:
        self._get_event = parser.get_event
        self._file = file
        self._mistakes = mistakes
        self._anchors: dict[str, _Anchored] = {}
        self._open: list[str] = []
        """Anchors of collections that are not closed."""
        self._count = 0
        """Values so far, those behind aliases counted each time; so many of them `_aliased`."""
        self._aliased = 0
        self._dollars = 0
        """Texts with a `$` so far."""
        self._depth = 0
        self._deepest = 0
        """How deep the collection that was last closed, or one before it in the same collection, is in itself."""

    def compose(self) -> Node | None:
        root: Node | None = None
        documents = 0
        while (event := self._get_event()) is not None:
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self._refused(event, "a second YAML document begins", "keep one: remove this line `---`")
            elif kind not in _AROUND:
                root = self._node(event)
        return root

    def _node(self, event: Any) -> Node:
        """The value that begins with this event; what is read last is the event that ends it."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._count += 1
            if self._count > MAX_NODES:
                raise self._too_many(event)
            mark = event.start_mark
            text = event.value
            quoted = bool(event.style) if event.tag is None else self._tagged(event)
            node = Scalar(self._file, mark.line + 1, mark.column + 1, text, quoted)
            if "$" in text:
                self._dollars += 1
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(node, 1, 0, refers="$" in text)
            return node
        return self._alias(event) if kind is yaml.AliasEvent else self._collection(event)

    def _collection(self, event: Any) -> Collection:
        how = "" if event.tag is None else self._how(event)
        if self._depth >= MAX_DEPTH:
            raise self._refused(event, f"nested more than {MAX_DEPTH} deep", "no option of Pserv is so deep")
        self._count += 1
        count, dollars, deepest = self._count, self._dollars, self._deepest
        if event.anchor:
            self._open.append(event.anchor)
        self._depth += 1
        self._deepest = 0
        mark = event.start_mark
        node: Collection
        if type(event) is yaml.MappingStartEvent:
            node = Mapping(self._file, mark.line + 1, mark.column + 1, how)
            self._pairs(node)
        else:
            node = Sequence(self._file, mark.line + 1, mark.column + 1, how)
            items = node.items
            while type(inner := self._get_event()) is not yaml.SequenceEndEvent:
                items.append(self._node(inner))
        node.refers = self._dollars > dollars
        self._depth -= 1
        self._deepest += 1
        if event.anchor:
            self._open.pop()
            self._anchors[event.anchor] = _Anchored(node, 1 + self._count - count, self._deepest, refers=node.refers)
        if self._deepest < deepest:
            self._deepest = deepest
        return node

    def _pairs(self, node: Mapping) -> None:
        get_event, pairs = self._get_event, node.pairs
        merges: list[tuple[Scalar, Node]] = []
        while type(event := get_event()) is not yaml.MappingEndEvent:
            key = self._node(event)
            if not isinstance(key, Scalar):
                hint = "quote the text if braces or brackets belong to it"
                raise Unreadable(key.mistake(f"{key.called} stands where a key is expected", hint))
            value = self._node(get_event())
            if key.text == "<<" and not key.quoted:
                merges.append((key, value))
            elif key.text in pairs:
                message = f"the key '{key.text}' is already set in line {pairs[key.text][0].line}"
                self._mistakes.append(key.mistake(message, "keep one of the two"))
            else:
                pairs[key.text] = key, value
        if merges:
            self._merge(node, merges)

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

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        found = self._anchors.get(name)
        if found is None:
            if name in self._open:
                raise self._refused(event, f"the alias *{name} stands inside of what it names", "it would have no end")
            raise self._refused(event, f"no anchor &{name} before this alias", f"put &{name} before the value it names")
        self._count += found.size
        self._aliased += found.size - 1
        self._dollars += found.refers
        self._deepest = max(self._deepest, found.depth)
        if self._depth + found.depth > MAX_DEPTH:
            told = f"more than {MAX_DEPTH} levels when aliases are expanded"
            raise self._refused(event, told, "write less with aliases")
        if self._count > MAX_NODES:
            raise self._too_many(event)
        return found.node

    def _how(self, event: Any) -> str:
        """What the tag of a collection says of what stands below it."""
        if event.tag in _HOW:
            return _HOW[event.tag]
        self._tagged(event)
        return ""

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

    def _too_many(self, event: Any) -> Unreadable:
        if self._count - self._aliased > MAX_NODES:
            return self._refused(event, f"more than {MAX_NODES} values in one file", "split it into several files")
        told = f"more than {MAX_NODES} values when aliases are expanded"
        return self._refused(event, told, "write less with aliases")

    def _at(self, event: Any, message: str, hint: str) -> Mistake:
        return Mistake(message, hint, self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refused(self, event: Any, message: str, hint: str) -> Unreadable:
        return Unreadable(self._at(event, message, hint))


class _Anchored(NamedTuple):
    """A value with an anchor: how many values it is, how deep, and whether there is a `$` in it."""

    node: Node
    size: int
    depth: int
    refers: bool
