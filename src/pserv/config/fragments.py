"""Files to one configuration: the sections of each, and what stands over what; `check` looks at the whole.

Files that stand side by side (in one folder, or included) declare a thing once; a later *layer* overrides.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence as Several
from typing import Any, Final

from pserv.config import check_secrets, secrets
from pserv.config.bases import Bases
from pserv.config.below import Below, settle
from pserv.config.declared import Declared, lookup
from pserv.config.decode import Decoder
from pserv.config.files import Loaded
from pserv.config.findings import Findings, Path, short, shown
from pserv.config.hints import suggestion, yaml_quoted
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.overriding import ONE_OF, Written, lacking, settled
from pserv.config.places import is_name
from pserv.config.shapes import DAEMON, SERVICE, build
from pserv.model.secrets import Source
from pserv.model.spec import DaemonSpec

TOP: Final = ("name", "include", "daemon", "secrets", "env", "env_file", "defaults", "groups", "services")


class Configuration:
    """All files together."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._decoder = Decoder(findings)
        self._layer = 0
        self.name: str | None = None
        self.services: dict[str, Declared] = {}
        self._daemon: Written = {}
        self._below = Below(self._decoder, findings, self._once)
        self._groups: dict[str, tuple[tuple[str, ...], Node]] = {}
        self._set: dict[Path, tuple[Node, int]] = {}
        self.providers: dict[str, Source] = {}
        """The top level's `secrets`."""
        self.private = False
        """A variable that looks secret was filled in somewhere."""

    def add(self, file: Loaded) -> None:
        """Reads what one file declares."""
        root, self._layer = file.root, file.layer
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
                self._decoder.unknown("top", TOP, key, (), _as_service(text, value))
        for name in TOP:
            if name in sections and name != "include" and not _is_null(sections[name]):
                getattr(self, f"_read_{name}")(sections[name])

    def _read_name(self, node: Node) -> None:
        if not isinstance(node, Scalar) or not is_name(node.text):
            value = shown(node.text) if isinstance(node, Scalar) else node.called
            self._findings.add(("name",), f"{value} cannot be a name", "use letters, digits, '.', '_' and '-'", node)
        elif self._once(("name",), self.name, node.text, node):
            self.name = node.text

    def _read_daemon(self, node: Node) -> None:
        if mapping := self._mapping(node, "daemon"):
            written = self._decoder.struct(DAEMON, mapping, ("daemon",))
            settle(self._once, DAEMON, "daemon", self._daemon, written, mapping)

    def _read_defaults(self, node: Node) -> None:
        if mapping := self._mapping(node, "defaults"):
            self._below.read_defaults(mapping)

    def _read_env(self, node: Node) -> None:
        self._below.read_env(node)

    def _read_env_file(self, node: Node) -> None:
        self._below.read_env_file(node)

    def _read_secrets(self, node: Node) -> None:
        mapping = self._mapping(node, "secrets")
        if mapping is None:
            return
        for name, source in secrets.providers(self._decoder, self._findings, mapping).items():
            if self._once(("secrets", name), self.providers.get(name), source, lookup(mapping, name) or mapping):
                self.providers[name] = source

    def _read_groups(self, node: Node) -> None:
        """Names for several services: a tag that they need not bear themselves."""
        mapping = self._mapping(node, "groups")
        for text, _, value in mapping or ():
            members = self._decoder.option(SERVICE.options["tags"].shape, value, ("groups", text))
            if isinstance(members, tuple):
                self._groups[text] = (members, value)

    def _once(self, path: Path, known: Any, value: Any, node: Node) -> bool:
        """Whether this may be set here: for the first time, over an earlier layer, or to what it is already."""
        first, layer = self._set.setdefault(path, (node, self._layer))
        if first is not node and known != value and layer == self._layer:
            message = f"already set to another value at {first.file}:{first.line}"
            self._findings.add(path, message, "keep one of the two", node)
            return False
        self._set[path] = (node, self._layer)
        return True

    def _mapping(self, node: Node, section: str) -> Mapping | None:
        if isinstance(node, Mapping):
            return node
        value = shown(node.text) if isinstance(node, Scalar) else node.called
        hint = 'write services: {web: {command: "prog a b"}}' if section == "services" else "write `option: value`"
        hint = 'write secrets: {vault: {exec: "vault kv get …"}}' if section == "secrets" else hint
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
        name = lookup(item, "name")
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
        known = self.services.get(name)
        if known is not None and known.layer == self._layer:
            first = known.key
            self._findings.add(path, f"already declared at {first.file}:{first.line}", "rename one, or remove it", key)
            return
        self._findings.service = name
        try:
            if not isinstance(node, Mapping):
                value = shown(node.text) if isinstance(node, Scalar) and not node.is_null else "nothing"
                value = value if isinstance(node, Scalar) else node.called
                hint = f'write {name}: {{command: "prog a b"}}'
                if isinstance(node, Scalar) and " = " in node.text:
                    hint = "write `command: …`, with a colon and a blank, and no ="
                self._findings.add(path, f"{value} where the options of a service are expected", hint, node)
                return
            written = self._decoder.struct(SERVICE, node, path)
            self._check_name(name, written.pop("name", None), node, path)
            if known is not None:
                known.override(node, written, self._layer)
            else:
                self.services[name] = Declared(name, key, node, written, self._layer)
        finally:
            self._findings.service = ""

    def _check_name(self, name: str, written: str | None, node: Mapping, path: Path) -> None:
        if written not in (None, name):
            message = f"{shown(written or '')} is not the key of this service, '{name}'"
            where = lookup(node, "name") or node
            self._findings.add((*path, "name"), message, "remove it, or make the two the same", where)

    def build(self, profiles: Several[str], bases: Bases) -> dict[str, tuple[str, ...]]:
        """Specs of the services of these profiles, what each extends and `defaults` below it.

        The others are left out and returned, with their profiles.
        """
        bases.resolve(self.services)
        groups = self._groups_of_services()
        for name, declared in self.services.items():
            written = self._below.put(declared)
            if name in groups:
                written = {**written, "tags": tuple(dict.fromkeys((*written.get("tags", ()), *groups[name])))}
            declared.spec = build(SERVICE, self._complete(declared, _derived(settled(written))))
            if declared.spec.secrets:
                check_secrets.complete(declared, self.providers, self._findings)
        left_out = {
            name: wanted
            for name, declared in self.services.items()
            if (wanted := declared.profiles) and not {"*", *wanted}.intersection(profiles)
        }
        for name in left_out:
            del self.services[name]
        return left_out

    def _complete(self, declared: Declared, written: Written) -> Written:
        """What is written without the structs that lack what they cannot be without; these are told."""
        for path in lacking(SERVICE, written):
            self._findings.service = declared.name
            *inner, missing = path
            told = ("services", declared.name, *inner)
            hint = f"write {inner[-1]}: {{{missing}: …}}"
            self._findings.add(told, f"has no {missing}", hint, declared.at(inner[0], *inner[1:]))
            written = {name: value for name, value in written.items() if name != inner[0]}
        self._findings.service = ""
        return written

    def _groups_of_services(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for group, (members, node) in self._groups.items():
            for pattern in members:
                found = fnmatch.filter(self.services, pattern)
                if not found:
                    hint = suggestion(pattern, tuple(self.services)) or f"declare it, or remove {short(pattern)} here"
                    self._findings.add(("groups", group), f"there is no service {shown(pattern)}", hint, node)
                for name in found:
                    groups.setdefault(name, []).append(group)
                    self.services[name].groups += (node,)
        return groups

    def at(self, *path: str) -> Node | None:
        """Where the name, or an option of the daemon, was set."""
        known = self._set.get(path)
        return None if known is None else known[0]

    @property
    def daemon(self) -> DaemonSpec:
        spec = build(DAEMON, settled(self._daemon))
        assert isinstance(spec, DaemonSpec)
        return spec


_LISTED: Final = "write - {name: web, command: …}"


def _derived(written: Written) -> Written:
    """`backoff: 1m` means a maximum of a minute at least, a schedule a oneshot: nobody should have to write both."""
    if written.get("schedule"):
        written = {"type": "oneshot", **written, "autostart": True}
    backoff = written.get("backoff")
    if isinstance(backoff, dict) and "maximum" not in backoff and backoff.get("initial", 0) > 30:
        return {**written, "backoff": {**backoff, "maximum": backoff["initial"]}}
    return written


def _as_service(name: str, node: Node) -> str:
    """The hint where a key and its value look like a service; "" where they do not."""
    ways = (*ONE_OF, "args", "image", "script", "cmd")
    if isinstance(node, Mapping) and any(way in node.pairs for way in ways):
        return f"services stand under services: write services: {{{short(name)}: …}}"
    if isinstance(node, Scalar) and len(node.text.split()) > 1 and is_name(name):
        return f"for a service write services: {{{short(name)}: {{command: {yaml_quoted(node.text)}}}}}"
    return ""


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
