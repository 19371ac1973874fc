"""What a file says of all services: variables, then `defaults` over them, below what each declares itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pserv.config.declared import Declared, Part, lookup
from pserv.config.decode import Decoder
from pserv.config.findings import Findings, Path
from pserv.config.nodes import Mapping, Node, Scalar
from pserv.config.overriding import Written, merge, over
from pserv.config.shapes import SERVICE, Shape

OWN: Final = ("name", "extends", "profiles")
"""What a service says of itself alone: nobody inherits it."""

Once = Callable[[Path, Any, Any, Node], bool]
"""Whether this may be set here: path, what it is set to, what it would be, and where."""


class Below:
    """Of all files together."""

    def __init__(self, decoder: Decoder, findings: Findings, once: Once) -> None:
        self._decoder = decoder
        self._findings = findings
        self._once = once
        self._env: Written = {}
        self._env_parts: list[Part] = []
        self._env_files: tuple[Any, ...] = ()
        self._defaults: Written = {}
        self._default_parts: list[Part] = []

    def read_env(self, node: Node) -> None:
        """Variables of every service, below `defaults`."""
        read = self._decoder.option(SERVICE.options["env"].shape, node, ("env",))
        if not isinstance(read, dict):
            return
        known = self._env.get("env", {})
        for name, value in tuple(read.items()):
            if not self._once(("env", name), known.get(name), value, lookup(node, name) or node):
                del read[name]
        self._env = merge(SERVICE, self._env, {"env": read})
        alone = Mapping(node.file, node.line, node.column)
        alone.pairs["env"] = Scalar(node.file, node.line, node.column, "env", False), node
        self._env_parts.insert(0, (alone, {"env": read}))

    def read_env_file(self, node: Node) -> None:
        """Files of variables of every service, before its own."""
        read = self._decoder.option(SERVICE.options["env_file"].shape, node, ("env_file",))
        if isinstance(read, tuple) and self._once(("env_file",), self._env_files, read, node):
            self._env_files = read

    def read_defaults(self, mapping: Mapping) -> None:
        """Any option of a service."""
        written = self._decoder.struct(SERVICE, mapping, ("defaults",))
        for own in OWN:
            if written.pop(own, None) is not None:
                where = lookup(mapping, own) or mapping
                self._findings.add(("defaults", own), "is a service's own to say", "write it at each service", where)
        settle(self._once, SERVICE, "defaults", self._defaults, written, mapping)
        self._default_parts.insert(0, (mapping, written))

    def put(self, declared: Declared) -> Written:
        """All that is written of a service."""
        below = over(SERVICE, self._env, self._defaults) if self._env else self._defaults
        written = over(SERVICE, below, declared.written) if below else declared.written
        if self._env_files:
            written = {**written, "env_file": (*self._env_files, *written.get("env_file", ()))}
        declared.parts += (*self._default_parts, *self._env_parts)
        return written


def settle(once: Once, shape: Shape, section: str, known: Written, written: Written, node: Mapping) -> None:
    """Merge what a file says in a section into what is known of it."""
    allowed = {
        name: value
        for name, value in written.items()
        if once((section, name), known.get(name), value, lookup(node, name) or node)
    }
    known.update(merge(shape, known, allowed))
