"""Nodes to the options that were written: what each value means, all mistakes at once. Knows shapes, not options.

A struct becomes a plain dict of what was written, so that others can stand below it (`overriding`) before it is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pserv.config import environment, hooks, neighbours, overriding, probing, scalars, schedules, secrets, sockets
from pserv.config.expected import expected
from pserv.config.findings import Findings, Path, Wrong, short, shown
from pserv.config.hints import suggestion
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.overriding import Written
from pserv.config.scalars import Spread
from pserv.config.shapes import COMMANDS, DAEMON, PAIRS, SERVICE, SHORT, Shape, build
from pserv.model.spec import DaemonSpec, ServiceSpec

UNSET: Final = object()
"""An empty section (`env:` with all its lines commented out) is as good as none."""

_MAY_BE_EMPTY: Final = frozenset(
    ("struct", "list", "words", "arguments", "environment", "env_files", "map", "needs", "hooks", "secrets", "sockets")
)
_FEW: Final = 12


class Decoder:
    """Reads nodes by shapes; what is wrong goes to the findings, and the rest is read all the same."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._collections: dict[str, Callable[[Shape, Node, Path], Any]] = {
            "struct": self._struct_or_short,
            "list": self._list,
            "words": self._words,
            "command": self._command,
            "arguments": self._command,
            "environment": lambda shape, node, path: environment.variables(node, path, self._findings),
            "call": self._call,
            "map": self._map,
            "needs": self._needs,
            "schedule": lambda shape, node, path: schedules.read(self, shape, node, path),
            "timezone": lambda shape, node, path: schedules.timezone(node, shape),
            "address": lambda shape, node, path: sockets.address(node, shape),
            "sockets": lambda shape, node, path: sockets.several(self, shape, node, path),
            "hooks": lambda shape, node, path: hooks.several(self, shape, node, path),
            "env_files": lambda shape, node, path: secrets.env_files(self, shape, node, path),
            "secrets": lambda shape, node, path: secrets.several(self, self._findings, shape, node, path),
        }

    def struct(self, shape: Shape, node: Mapping, path: Path) -> Written:
        """What is written in a mapping of options."""
        written: Written = {}
        keys: dict[str, Scalar] = {}
        spreads: list[tuple[str, Spread, Node]] = []
        options = shape.options
        for text, (key, value) in node.pairs.items():
            option = options.get(text) or options.get(text.replace("-", "_"))
            if option is None:
                self.unknown(shape.cls.__name__, tuple(shape.options), key, path)
                continue
            if option.name in keys:
                first = keys[option.name]
                message = f"already set as '{first.text}' in line {first.line}"
                self._findings.add((*path, text), message, "keep one of the two: - and _ are the same in keys", key)
                continue
            keys[option.name] = key
            read = self.option(option.shape, value, (*path, option.name))
            if isinstance(read, Spread):
                spreads.append((option.name, read, value))
            elif read is not UNSET:
                written[option.name] = read
        for name, spread, value in spreads:
            self._spread(name, spread, value, written, path)
        return written

    def option(self, shape: Shape, node: Node, path: Path) -> Any:
        """The value of one option; UNSET when it is empty or wrong."""
        try:
            return self._value(shape, node, path)
        except Wrong as wrong:
            self._findings.add(path, wrong.message, wrong.hint, wrong.node or node)
            return UNSET

    def option_value(self, shape: Shape, node: Node, path: Path) -> Any:
        """The value of one option. Raises Wrong."""
        return self._value(shape, node, path)

    def unknown(self, level: str, known: tuple[str, ...], key: Scalar, path: Path, meant: str = "") -> None:
        """A key that nobody knows: what it is called here, which one is near, or what its value says is `meant`."""
        name = key.text.replace("-", "_")
        hint = neighbours.called_here(level, key.text) or _elsewhere(level, name) or suggestion(name, known) or meant
        if not hint:
            listed = f"options here: {', '.join(known)}" if len(known) <= _FEW else "docs/options.md lists all options"
            hint = f"remove it, or check the indentation; {listed}"
        self._findings.add((*path, key.text), "unknown key", hint, key)

    def _spread(self, name: str, spread: Spread, node: Node, written: Written, path: Path) -> None:
        for other, value in spread.items():
            if other != name and other in written and written[other] != value:
                message = f"sets {other} to {value}, and {other} is set to {written[other]} beside it"
                self._findings.add((*path, name), message, "keep one of the two", node)
            written[other] = value

    def _value(self, shape: Shape, node: Node, path: Path) -> Any:
        if isinstance(node, Scalar) and not node.is_null and (scalar := scalars.READERS.get(shape.kind)):
            return scalar(node, shape)
        if isinstance(node, Scalar) and node.is_null:
            if shape.kind == "output" and node.text:
                return "null"
            if shape.optional and (node.text):
                return None
            if shape.kind in _MAY_BE_EMPTY:
                return UNSET
            raise Wrong("has no value", f"write {expected(shape)}, or remove the line")
        if shape.either:
            return self._either(shape, node, path)
        if read := self._collections.get(shape.kind):
            return overriding.marked(read(shape, node, path), node)
        hint = "write it as command, or as exec and args" if shape.kind == "program" else f"write {expected(shape)}"
        raise Wrong(f"{node.called} where a single value is expected", hint)

    def _either(self, shape: Shape, node: Node, path: Path) -> Any:
        """Of several types the one that fits how it is written: a list, a word for true or false, or the rest."""
        by_kind = {each.kind: each for each in shape.either}
        word = node.text.lower() if isinstance(node, Scalar) else ""
        if "bool" in by_kind and (word in scalars.TRUE or word in scalars.FALSE):
            return self._value(by_kind["bool"], node, path)
        for each in shape.either:
            if each.kind != "bool":
                return self._value(each, node, path)
        raise Wrong(f"{node.called} does not fit", f"write {expected(shape)}")

    def _struct_or_short(self, shape: Shape, node: Node, path: Path) -> Written:
        if shape.cls in COMMANDS:
            return hooks.one(self, shape, node, path)
        if shape.cls in probing.PROBES:
            return probing.read(self, self._findings, shape, node, path)
        if isinstance(node, Scalar) and (written := probing.inner(shape, node)) is not None:
            return written
        if isinstance(node, Mapping):
            pair = PAIRS.get(shape.cls)
            if pair and len(node.pairs) == 1 and not shape.options.keys() & node.pairs.keys():
                return self._pair(shape, node, pair, path)
            return self.struct(shape, node, path)
        short_form = SHORT.get(shape.cls)
        listed = short_form is not None and shape.options[short_form].shape.kind == "list"
        if short_form is None or not (isinstance(node, Scalar) or listed):
            raise Wrong(f"{self._described(node)} where a mapping is expected", _as_struct(shape, node, path))
        option = shape.options[short_form]
        if option.shape.kind == "list" and isinstance(node, Scalar) and not node.quoted and _is_bool(node.text):
            raise Wrong(f"{shown(node.text)} names no path", f"write {path[-1]}: src, or remove the line")
        try:
            return {short_form: self._value(option.shape, node, path)}
        except Wrong as wrong:
            meant = self._meant(shape, short_form, node, path) if isinstance(node, Scalar) else ""
            raise Wrong(wrong.message, meant or wrong.hint) from None

    def _pair(self, shape: Shape, node: Mapping, names: tuple[str, str], path: Path) -> Written:
        written: Written = {}
        for key, value in node.pairs.values():
            for name, part in zip(names, (key, value), strict=True):
                read = self.option(shape.options[name].shape, part, path)
                if read is not UNSET:
                    written[name] = read
        return written

    def _meant(self, shape: Shape, short_form: str, node: Scalar, path: Path) -> str:
        """`stop: 30s` is no signal, but it would fit `timeout`; `rotate: daily` fits `every`."""
        for option in shape.options.values():
            if option.name != short_form and option.shape.kind in ("duration", "period"):
                try:
                    self._value(option.shape, node, path)
                except Wrong:
                    continue
                return f"write {path[-1]}: {{{option.name}: {node.text}}}"
        return ""

    def _described(self, node: Node) -> str:
        return shown(node.text) if isinstance(node, Scalar) else node.called

    def _list(self, shape: Shape, node: Node, path: Path) -> tuple[Any, ...]:
        assert shape.item is not None
        if isinstance(node, Mapping) and not (shape.item.cls and shape.item.cls in PAIRS):
            raise Wrong("a mapping where a list is expected", "write [a, b], or lines that begin with `- `")
        values = []
        for index, item in enumerate(node.items if isinstance(node, Sequence) else [node]):
            here = (*path, index)
            before = len(self._findings)
            value = self.option(shape.item, item, here)
            if value is not UNSET and shape.item.kind == "struct":
                value = self._complete(shape.item, value, item, here) if len(self._findings) == before else UNSET
            if value is not UNSET:
                values.append(value)
        return tuple(values)

    def _complete(self, shape: Shape, written: Written, node: Node, path: Path) -> Any:
        missing = [option.name for option in shape.options.values() if option.required and option.name not in written]
        if not missing:
            return build(shape, written)
        self._findings.add(path, f"has no {' and no '.join(missing)}", "write {QUIT: 30s}", node)
        return UNSET

    def _words(self, shape: Shape, node: Node, path: Path) -> tuple[str, ...]:
        if isinstance(node, Mapping):
            names = ", ".join(short(text) for text in list(node.pairs)[:5])
            raise Wrong("a mapping where a list of words is expected", f"write {path[-1]}: [{names}]")
        if isinstance(node, Sequence):
            return tuple(dict.fromkeys(self._texts(node, path, shape)))
        assert isinstance(node, Scalar)
        word = scalars.filled(node, shape)
        parts = word.replace(",", " ").split()
        if len(parts) > 1:
            raise Wrong(f"{shown(word)} is several words in one", f"write {path[-1]}: [{', '.join(parts)}]")
        return (word,)

    def _needs(self, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
        """Services and what they must be; in a list each must be ready, as is one without a value."""
        assert shape.item is not None
        if isinstance(node, Mapping):
            written = {name: self.option(shape.item, value, (*path, name)) for name, _, value in node}
            return {name: build(shape.item, {} if each is UNSET else each) for name, each in written.items()}
        for item in node.items if isinstance(node, Sequence) else ():
            if isinstance(item, Mapping):
                names = ", ".join(f"{short(text)}: …" for text in list(item.pairs)[:5])
                raise Wrong("a mapping in a list of services", f"write {path[-1]}: {{{names}}}", item)
        return {name: build(shape.item, {}) for name in self._words(shape, node, path)}

    def _map(self, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
        """Names and texts, such as headers."""
        assert shape.item is not None
        if not isinstance(node, Mapping):
            raise Wrong(f"{self._described(node)} where a mapping is expected", f"write {path[-1]}: {{NAME: value}}")
        written = {name: self.option(shape.item, value, (*path, name)) for name, _, value in node}
        return {name: value for name, value in written.items() if value is not UNSET}

    def _texts(self, node: Sequence, path: Path, shape: Shape) -> list[str]:
        texts = []
        for index, item in enumerate(node.items):
            try:
                if not isinstance(item, Scalar):
                    raise Wrong(f"{item.called} where a word is expected", "quote it if it is meant literally")
                if item.is_null:
                    raise Wrong("has no value", 'write a word, or "" for an empty one')
                texts.append(scalars.filled(item, shape) if shape.kind in ("words", "needs") else scalars.text(item))
            except Wrong as wrong:
                self._findings.add((*path, index), wrong.message, wrong.hint, item)
        return texts

    def _command(self, shape: Shape, node: Node, path: Path) -> tuple[str, ...]:
        if isinstance(node, Mapping):
            raise Wrong("a mapping where a command is expected", 'write "prog a b", or [prog, a, b]')
        if isinstance(node, Sequence):
            words = tuple(self._texts(node, path, shape))
            before: Node = node.items[0] if node.items else node
        else:
            assert isinstance(node, Scalar)
            words, before = scalars.command_words(node, shape), node
        if shape.kind == "arguments":
            return words
        if not words or not words[0].strip():
            raise Wrong("names no program", 'write "prog a b", or [prog, a, b]')
        if "/" in words[0] and isinstance(before, Scalar):
            return (scalars.resolved(words[0], before), *words[1:])
        return words

    def _call(self, shape: Shape, node: Node, path: Path) -> tuple[str, ...]:
        """A COMMAND: words, or a mapping that says whether a shell is to read them."""
        if not isinstance(node, Mapping):
            return self._command(shape, node, path)
        if len(node.pairs) != 1 or not node.pairs.keys() <= {"command", "shell"}:
            raise Wrong("a mapping where a command is expected", 'write {command: [prog, a]} or {shell: "a | b"}')
        (word, (_, value)) = next(iter(node.pairs.items()))
        if word == "command":
            return self._command(shape, value, path)
        if not isinstance(value, Scalar) or not value.text.strip():
            raise Wrong("shell is no line for /bin/sh", 'write {shell: "a | b"}', value)
        return ("/bin/sh", "-c", scalars.text(value))


def _is_bool(word: str) -> bool:
    return word.lower() in scalars.TRUE or word.lower() in scalars.FALSE


def _elsewhere(level: str, name: str) -> str:
    """Where an option belongs that stands at the wrong level; "" where it is none."""
    if level == "top" and name in SERVICE.options:
        return f"it is an option of a service: write services: {{web: {{{name}: …}}}}"
    if level == "top" and name in DAEMON.options:
        return f"it is an option of the daemon: write daemon: {{{name}: …}}"
    if level == ServiceSpec.__name__ and name in DAEMON.options:
        return f"it is an option of the daemon: write daemon: {{{name}: …}} beside services"
    if level == DaemonSpec.__name__ and name in SERVICE.options:
        return f"it is an option of services: write it at one, or for all of them defaults: {{{name}: …}}"
    return ""


def _as_struct(shape: Shape, node: Node, path: Path) -> str:
    """The hint how to write as a mapping what was written in a shorter way than there is."""
    if shape.cls in PAIRS and isinstance(node, Scalar):
        return f"write {{{node.text}: 30s}}"
    lists = [option.name for option in shape.options.values() if option.shape.kind == "list"]
    if isinstance(node, Sequence) and lists:
        return f"write {path[-1]}: {{{lists[0]}: […]}}"
    return f"write {{{', '.join(f'{name}: …' for name in list(shape.options)[:3])}}}"


def plain(node: Node) -> Any:
    """A node as YAML 1.2's core schema understands it, where no option says more."""
    if isinstance(node, Mapping):
        return {text: plain(value) for text, _, value in node}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    if node.is_null:
        return None
    if not node.quoted:
        for kind in ("integer", "number"):
            try:
                return scalars.READERS[kind](node, Shape(kind))
            except Wrong:
                continue
        if node.text.lower() in ("true", "false"):
            return node.text.lower() == "true"
    return scalars.text(node)
