"""A compose file to services: what runs, and in which folder. Each option's translation is in `compose_options`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Any, Final

from pserv.config import neighbours
from pserv.config.decode import plain
from pserv.config.findings import Wrong, short
from pserv.config.nodes import Mapping as MappingNode
from pserv.config.nodes import Node, Unreadable
from pserv.config.places import is_name
from pserv.convert import compose_options, dockerfile
from pserv.convert.entries import Entry, Find, splits
from pserv.model.mistakes import Mistake

NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

_PROGRAMS: Final = {
    "postgres": "postgres -D data",
    "postgis": "postgres -D data",
    "redis": "redis-server",
    "valkey": "valkey-server",
    "memcached": "memcached",
    "nginx": "nginx -g 'daemon off;'",
    "mysql": "mysqld",
    "mariadb": "mariadbd",
    "mongo": "mongod",
    "rabbitmq": "rabbitmq-server",
    "haproxy": "haproxy -f haproxy.cfg",
    "caddy": "caddy run",
    "traefik": "traefik",
    "minio": "minio server data",
    "mailhog": "MailHog",
    "mailpit": "mailpit",
}
"""Images that everybody knows, and the program in them."""
_ALONE: Final = ("redis", "valkey", "memcached", "mailhog", "mailpit")
"""Those that run without a folder or a file prepared for them."""

_READ_HERE: Final = ("command", "entrypoint", "build", "image", "working_dir", "volumes", "environment")

Which = Callable[[str], str | None]
"""The path of a program of this machine; None where there is none."""


def read(text: str, source: str, folder: str, environ: Mapping[str, str], which: Which = shutil.which) -> Find:
    """The services of a compose file; `environ` is what its variables are filled from, `.env` included."""
    from pserv.config.yaml_nodes import read_yaml

    find = Find(source)
    mistakes: list[Mistake] = []
    try:
        root = read_yaml(text, source, mistakes)
    except Unreadable as error:
        find.remarks.append(f"is not taken: {error.mistake.message} in line {error.mistake.line}")
        return find
    services = _child(root, "services")
    if services is None:
        find.remarks.append("is not taken: it declares no services")
        return find
    for name, key, node in services:
        if not is_name(name) or not isinstance(node, MappingNode):
            find.remarks.append(f"line {key.line} is not taken: it declares no service of a name that is one here")
            continue
        find.entries.append(_Service(name, f"{source}:{key.line}", node, folder, environ, which).entry())
    for name in ("secrets", "configs"):
        if _child(root, name) is not None:
            find.remarks.append(f"{name} is not taken: it is docker's")
    if any("restart" not in entry.options for entry in find.entries):
        find.notes.append("Where compose was told no restart, it starts nothing again; here on-failure is the default.")
    _hosts(find.entries)
    return find


class _Service:
    """One service that is being translated."""

    def __init__(
        self, name: str, origin: str, node: MappingNode, folder: str, environ: Mapping[str, str], which: Which
    ) -> None:
        self._entry = Entry(name, origin)
        self._folder = folder
        self._environ = environ
        self._which = which
        self._said: dict[str, Any] = {}
        self._context = "."
        for key, _, value in node:
            try:
                said = self._filled(plain(value))
            except Wrong:
                self._entry.remarks.append(f"{key}: not translated: it cannot be read")
            else:
                if said is not None:
                    self._said[key] = said
        self._image = self._dockerfile()
        self._inside: list[tuple[str, str]] = []
        """Folders of the container, and of this machine (from the file's folder)."""

    def entry(self) -> Entry:
        self._places()
        self._program()
        if "environment" in self._said:
            variables = compose_options.environment(self._entry, self._said["environment"])
            if variables:
                self._entry.options["env"] = {**self._entry.options.get("env", {}), **variables}
        for key, value in self._said.items():
            if key in _READ_HERE:
                continue
            if translate := compose_options.TABLE.get(key):
                translate(self._entry, value)
            else:
                reason = neighbours.called_here("ServiceSpec", key) or "there is no such option here"
                self._entry.remarks.append(f"{key}: {reason}")
        return self._entry

    def _filled(self, value: Any) -> Any:
        """Variables that are not set are empty in compose, and would be mistakes here."""
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        return _VARIABLE.sub(self._or_empty, value) if isinstance(value, str) else value

    def _or_empty(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return found[0] if not name or name in self._environ else f"${{{name}:-}}"

    def _dockerfile(self) -> dockerfile.Image:
        build = self._said.get("build")
        if isinstance(build, str):
            build = {"context": build}
        if not isinstance(build, dict):
            return dockerfile.Image()
        context, name = str(build.get("context") or "."), str(build.get("dockerfile") or "Dockerfile")
        self._context = os.path.normpath(context)
        try:
            with open(os.path.join(self._folder, context, name), encoding="utf-8", errors="replace") as file:
                return dockerfile.read(file.read(1 << 20))
        except (OSError, ValueError):
            return dockerfile.Image()

    def _places(self) -> None:
        """Folders of this machine that the container sees, and the one that it works in."""
        volumes = self._said.get("volumes") or []
        for volume in volumes if isinstance(volumes, list) else []:
            here, there = _bind(volume)
            if here:
                self._inside.append((there, os.path.normpath(here)))
            else:
                self._entry.remarks.append(f"volumes: {short(str(volume))}: {neighbours.called_here(*_VOLUMES)}")
        if "build" in self._said and self._image.folder:
            self._inside.append((self._image.folder, self._context))
        folder = self._said.get("working_dir") or self._image.folder
        if folder:
            found = self._here(str(folder))
            if found is None:
                self._entry.remarks.append(f"working_dir: {folder} is a folder of the image")
            elif found != ".":
                self._entry.options["cwd"] = found
        elif "build" in self._said and self._context != ".":
            self._entry.options["cwd"] = self._context

    def _here(self, path: str) -> str | None:
        """A path of the container on this machine; None where it is the image's."""
        for there, here in self._inside:
            if path == there or path.startswith(there.rstrip("/") + "/"):
                return os.path.normpath(os.path.join(here, path[len(there) :].lstrip("/")))
        return None

    def _program(self) -> None:
        words = _words(self._said.get("entrypoint"), self._said.get("command"), self._image.command)
        image = str(self._said.get("image") or "")
        known = image.rpartition("/")[2].partition(":")[0].partition("@")[0]
        if words is None:
            line = _PROGRAMS.get(known, "")
            program = line.split(" ")[0]
            self._entry.options = {"command": line or "prog a b", **self._entry.options}
            what = f"the image {image}" if image else "an image"
            if not line:
                self._entry.off = f"what it runs is in {what}: name the program of this machine"
            elif self._which(program) is None:
                self._entry.off = f"it runs {what}, and there is no {program} on this machine: install it"
            elif known not in _ALONE:
                self._entry.off = f"it runs {what}, which prepares things for {program}: look at them first"
            return
        self._entry.options = {**_as_written(words, self._here), **self._entry.options}
        first = words[0] if isinstance(words, list) and words else ""
        if image and "build" not in self._said and "/" not in first and first and self._which(first) is None:
            self._entry.off = f"there is no {short(first)} on this machine: it is in the image {image}"


_VARIABLE: Final = re.compile(r"\$\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_VOLUMES: Final = ("ServiceSpec", "volumes")


def _child(node: Node | None, key: str) -> MappingNode | None:
    pair = node.pairs.get(key) if isinstance(node, MappingNode) else None
    return pair[1] if pair and isinstance(pair[1], MappingNode) else None


def _bind(volume: Any) -> tuple[str, str]:
    """The folder here and in the container of `./src:/app`; "" for a volume of docker's own."""
    if isinstance(volume, dict):
        here = str(volume.get("source", "")) if volume.get("type") == "bind" else ""
        return here, str(volume.get("target", ""))
    here, colon, rest = str(volume).partition(":")
    return (here if colon and here[:1] in "./~" else ""), rest.partition(":")[0]


def _words(entrypoint: Any, command: Any, image: list[str] | str | None) -> list[str] | str | None:
    """What runs: entrypoint and command, as lists of words; a text where it is a line."""
    if isinstance(entrypoint, list):
        rest = command.split() if isinstance(command, str) else command or []
        return [str(word) for word in [*entrypoint, *rest]]
    if isinstance(entrypoint, str) and entrypoint:
        rest = " ".join(map(str, command)) if isinstance(command, list) else command or ""
        return f"{entrypoint} {rest}".strip()
    if isinstance(command, list) and command:
        return [str(word) for word in command]
    return str(command) if command else image


def _as_written(words: list[str] | str, here: Callable[[str], str | None]) -> dict[str, Any]:
    if isinstance(words, list) and words[:2] in (["sh", "-c"], ["/bin/sh", "-c"], ["bash", "-c"], ["/bin/bash", "-c"]):
        words = words[2] if len(words) == 3 else words
        return {"shell": words.replace("$$", "$")} if isinstance(words, str) else {"command": words}
    if isinstance(words, list):
        return {"command": [_local(here(word)) or word for word in words]}
    line = " ".join(_local(here(word)) or word for word in words.split(" "))
    return {"command": line} if splits(line) else {"shell": line.replace("$$", "$")}


def _local(path: str | None) -> str | None:
    """A path of a program in the file's folder: with a `/`, else it would be looked up in PATH."""
    return path if path is None or "/" in path else f"./{path}"


def _hosts(entries: list[Entry]) -> None:
    """In compose a service's name is a host; here they are all this one."""
    names = "|".join(re.escape(entry.name) for entry in entries)
    host = re.compile(rf"(?:(?<=://)|(?<=@)|^)(?:{names})(?=[:/]|$)")
    for entry in entries:
        for name, value in entry.options.get("env", {}).items():
            found = host.sub("127.0.0.1", value)
            if found != value and ("://" in value or ":" in value or "HOST" in name.upper()):
                entry.options["env"][name] = found
                entry.remarks.append(f"env.{name}: the host is 127.0.0.1, as all listen on this machine")
