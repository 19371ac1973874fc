"""`extends`: the options of another service below a service's own, from the same configuration or from another file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pserv.config.declared import Declared
from pserv.config.findings import Findings, short, shown
from pserv.config.hints import suggestion
from pserv.config.overriding import over
from pserv.config.shapes import SERVICE

MAX_DEPTH: Final = 50

Services = Mapping[str, Declared]
Read = Callable[[str], Services]
"""The services that another file declares; what is wrong with it goes to the findings."""


class Bases:
    """Each service is resolved once, after what it extends."""

    def __init__(self, findings: Findings, read: Read) -> None:
        self._findings = findings
        self._read = read
        self._files: dict[str, Services] = {}
        self._done: set[int] = set()
        self._under_way: list[Declared] = []

    def resolve(self, services: Services) -> None:
        """Put below each service what it extends."""
        for declared in services.values():
            self._resolve(declared, services)

    def _resolve(self, declared: Declared, services: Services) -> None:
        if id(declared) in self._done:
            return
        self._done.add(id(declared))
        extends = declared.written.pop("extends", None)
        declared.profiles = tuple(declared.written.pop("profiles", ()))
        if extends is None:
            return
        siblings = self._siblings(extends.get("file"), services)
        base = siblings.get(extends.get("service", ""))
        owner, self._findings.service = self._findings.service, declared.name
        if "service" not in extends:
            self._wrong(declared, "names no service", "write extends: {service: NAME, file: …}, or extends: NAME")
        elif base is None:
            self._unknown(declared, extends["service"], siblings, extends.get("file"))
        elif base is declared or base in self._under_way:
            path = " -> ".join(
                [*(short(each.name) for each in self._under_way), short(declared.name), short(base.name)]
            )
            self._wrong(declared, f"the services extend each other: {path}", "remove one of these")
        elif len(self._under_way) >= MAX_DEPTH:
            self._wrong(declared, f"extends services more than {MAX_DEPTH} deep", "extend one that says more")
        else:
            self._under_way.append(declared)
            self._resolve(base, siblings)
            self._under_way.pop()
            declared.written = over(SERVICE, base.written, declared.written)
            declared.parts += base.parts
        self._findings.service = owner

    def _siblings(self, file: str | None, services: Services) -> Services:
        if file is None:
            return services
        if file not in self._files:
            self._files[file] = {}  # a file that extends from itself finds what stands there as its own
            self._files[file] = self._read(file)
        return self._files[file]

    def _unknown(self, declared: Declared, name: str, siblings: Services, file: str | None) -> None:
        where = f" in {file}" if file else ""
        hint = suggestion(name, tuple(siblings)) or f"declare it, or remove {short(name)} here"
        self._wrong(declared, f"there is no service {shown(name)}{where}", hint)

    def _wrong(self, declared: Declared, message: str, hint: str) -> None:
        self._findings.add(("services", declared.name, "extends"), message, hint, declared.at("extends"))
