"""One file to the services and settings it declares, several files to one configuration; `check` looks at the whole."""

from __future__ import annotations

from typing import Any, Final

from pserv.config.decode import Decoder, Written, merge
from pserv.config.files import Loaded
from pserv.config.findings import Findings, Path, shown
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.places import is_name
from pserv.config.shapes import DAEMON, SERVICE, build
from pserv.model.probe import KINDS
from pserv.model.spec import DaemonSpec, ServiceSpec

TOP: Final = ("name", "daemon", "defaults", "services")
ONE_OF: Final = ("exec", "command", "shell")
"""The three ways to say what runs: a service that uses one takes none of the others from `defaults`."""


class Declared:
    """A service as declared: where, what was written there, and the spec with `defaults` below it."""

    __slots__ = ("defaults", "key", "name", "node", "spec", "written")

    def __init__(self, name: str, key: Node, node: Mapping, written: Written) -> None:
        self.name = name
        self.key = key
        self.node = node
        self.written = written
        self.defaults: list[Mapping] = []
        self.spec: ServiceSpec = ServiceSpec()

    def at(self, option: str, *inner: str) -> Node:
        """Where the option stands: in the service, else in `defaults`, else the service itself."""
        for mapping in (self.node, *self.defaults):
            found: Node | None = mapping
            for part in (option, *inner):
                value = _lookup(found, part)
                if value is None:
                    break
                found = value
            if found is not mapping and found is not None:
                return found
        return self.key


def _lookup(node: Node | None, key: str) -> Node | None:
    if not isinstance(node, Mapping):
        return None
    pair = node.pairs.get(key) or node.pairs.get(key.replace("_", "-"))
    return pair[1] if pair else None


class Configuration:
    """All files together."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._decoder = Decoder(findings)
        self.name: str | None = None
        self.services: dict[str, Declared] = {}
        self._daemon: Written = {}
        self._defaults: Written = {}
        self._default_nodes: list[Mapping] = []
        self._set: dict[Path, Node] = {}

    def add(self, file: Loaded) -> None:
        """Reads what one file declares."""
        root = file.root
        if isinstance(root, Scalar) and root.is_null:
            self._findings.add((), "the file is empty", "declare a service: services: {web: {command: …}}", root)
            return
        if not isinstance(root, Mapping):
            message = f"a configuration is a mapping, and this file holds {root.called}"
            self._findings.add((), message, 'write services: {web: {command: "prog a b"}}', root)
            return
        sections: dict[str, Node] = {}
        for text, key, value in root:
            name = text.replace("-", "_")
            if name.startswith("x_"):
                continue  # compose's place for anchors and for other tools' data
            if name in TOP:
                sections[name] = value
            else:
                self._decoder.unknown("top", TOP, key, ())
        for name in TOP:
            if name in sections and not _is_null(sections[name]):
                getattr(self, f"_read_{name}")(sections[name])

    def _read_name(self, node: Node) -> None:
        if not isinstance(node, Scalar) or not is_name(node.text):
            value = shown(node.text) if isinstance(node, Scalar) else node.called
            self._findings.add(("name",), f"{value} cannot be a name", "use letters, digits, '.', '_' and '-'", node)
        elif self._once(("name",), self.name, node.text, node):
            self.name = node.text

    def _read_daemon(self, node: Node) -> None:
        if mapping := self._mapping(node, "daemon"):
            self._settings("daemon", self._daemon, self._decoder.struct(DAEMON, mapping, ("daemon",)), mapping)

    def _read_defaults(self, node: Node) -> None:
        mapping = self._mapping(node, "defaults")
        if mapping is None:
            return
        written = self._decoder.struct(SERVICE, mapping, ("defaults",))
        if "name" in written:
            self._findings.add(
                ("defaults", "name"), "each service has its own name", "remove it", _lookup(mapping, "name") or mapping
            )
        self._settings("defaults", self._defaults, written, mapping)
        self._default_nodes.append(mapping)

    def _settings(self, section: str, known: Written, written: Written, node: Mapping) -> None:
        for name, value in written.items():
            where = _lookup(node, name) or node
            if self._once((section, name), known.get(name), value, where):
                known[name] = value

    def _once(self, path: Path, known: Any, value: Any, node: Node) -> bool:
        first = self._set.setdefault(path, node)
        if first is not node and known != value:
            message = f"already set to another value at {first.file}:{first.line}"
            self._findings.add(path, message, "keep one of the two", node)
            return False
        return True

    def _mapping(self, node: Node, section: str) -> Mapping | None:
        if isinstance(node, Mapping):
            return node
        value = shown(node.text) if isinstance(node, Scalar) else node.called
        hint = 'write services: {web: {command: "prog a b"}}' if section == "services" else "write `option: value`"
        self._findings.add((section,), f"{value} where a mapping is expected", hint, node)
        return None

    def _read_services(self, node: Node) -> None:
        if isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                self._listed(item, index)
        elif mapping := self._mapping(node, "services"):
            for text, key, value in mapping:
                self._service(text, key, value)

    def _listed(self, item: Node, index: int) -> None:
        name = _lookup(item, "name")
        if not isinstance(item, Mapping):
            self._findings.add(("services", index), f"{item.called} where a service is expected", _LISTED, item)
        elif not isinstance(name, Scalar) or name.is_null:
            self._findings.add(("services", index), "has no name", _LISTED, item)
        else:
            self._service(name.text, name, item)

    def _service(self, name: str, key: Scalar, node: Node) -> None:
        path: Path = ("services", name)
        if reason := _refused_name(name):
            hint = "use letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"
            self._findings.add(path if name else ("services",), reason, hint, key)
            return
        if name in self.services:
            first = self.services[name].key
            self._findings.add(path, f"already declared at {first.file}:{first.line}", "rename one, or remove it", key)
            return
        self._findings.service = name
        try:
            if isinstance(node, Mapping):
                self.services[name] = Declared(name, key, node, self._decoder.struct(SERVICE, node, path))
                self._check_name(self.services[name], path)
            else:
                value = shown(node.text) if isinstance(node, Scalar) and not node.is_null else "nothing"
                value = value if isinstance(node, Scalar) else node.called
                hint = f'write {name}: {{command: "prog a b"}}'
                self._findings.add(path, f"{value} where the options of a service are expected", hint, node)
        finally:
            self._findings.service = ""

    def _check_name(self, declared: Declared, path: Path) -> None:
        written = declared.written.pop("name", None)
        if written not in (None, declared.name):
            message = f"{shown(written)} is not the key of this service, '{declared.name}'"
            self._findings.add((*path, "name"), message, "remove it, or make the two the same", declared.at("name"))

    def build(self) -> None:
        """Specs of all services, `defaults` below each."""
        for declared in self.services.values():
            below = self._below(declared.written)
            declared.defaults = self._default_nodes
            written = merge(SERVICE, below, declared.written) if below else declared.written
            declared.spec = build(SERVICE, _derived(written))

    @property
    def daemon(self) -> DaemonSpec:
        spec = build(DAEMON, self._daemon)
        assert isinstance(spec, DaemonSpec)
        return spec

    def _below(self, written: Written) -> Written:
        """The defaults without what this service says in another way."""
        below = self._defaults
        if any(name in written for name in ONE_OF):
            below = {name: value for name, value in below.items() if name not in (*ONE_OF, "args")}
        for which in ("ready", "health"):
            probe, under = written.get(which), below.get(which)
            if probe and under and not probe.keys().isdisjoint(KINDS):
                below = {**below, which: {name: value for name, value in under.items() if name not in KINDS}}
        stop, under = written.get("stop"), below.get("stop")
        if stop and under:
            without = {"steps"} if stop.keys() & {"signal", "timeout"} else set()
            without |= {"signal", "timeout"} if "steps" in stop else set()
            below = {**below, "stop": {name: value for name, value in under.items() if name not in without}}
        return below


_LISTED: Final = "write - {name: web, command: …}"


def _derived(written: Written) -> Written:
    """`backoff: 1m` means a maximum of a minute at least, a schedule a oneshot: nobody should have to write both."""
    if written.get("schedule"):
        written = {"type": "oneshot", **written, "autostart": True}
    backoff = written.get("backoff")
    if isinstance(backoff, dict) and "maximum" not in backoff and backoff.get("initial", 0) > 30:
        return {**written, "backoff": {**backoff, "maximum": backoff["initial"]}}
    return written


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null


def _refused_name(name: str) -> str:
    if is_name(name):
        return ""
    if not name:
        return "a service needs a name"
    if ":" in name:
        return "a name cannot contain ':', which stands before the number of an instance"
    if name.startswith("@"):
        return "a name cannot begin with '@', which stands before a tag"
    if len(name) > 64:
        return f"a name of {len(name)} characters is too long"
    return f"{shown(name)} cannot be a name"
