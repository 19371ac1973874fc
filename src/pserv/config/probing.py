"""The ways to write a probe: `tcp:5432`, a URL, a COMMAND, or a mapping. What makes no sense together is `check`'s."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pserv.config.findings import Findings, Path, Wrong, shown
from pserv.config.hints import suggestion
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.scalars import SERVICE_PORT, resolved, text
from pserv.config.shapes import Shape
from pserv.model.probe import KINDS, Health, Http, Ready

if TYPE_CHECKING:
    from pserv.config.decode import Decoder

PROBES: Final = frozenset((Ready, Health))

BESIDE: Final = frozenset(("interval", "timeout", "initial_delay", "failures", "successes", "on_failure"))
"""Options that stand beside the kind or inside it."""

_URL: Final = re.compile(r"(https?)://(\[[^\]]*\]|[^/:?#\s]*)(?::([0-9]*))?(/[^\s#]*|\?[^\s#]*)?\Z")
_TCP: Final = re.compile(r"(?://)?(\[[^\]]*\]|[^:/\s]*?):?([0-9]+)\Z")
FORMS: Final = ("tcp:5432", "http://:8080/health", "unix:/path", "file:/path", "log:text")
_FORMS: Final = f"{', '.join(FORMS)}, or a command"


def read(decoder: Decoder, findings: Findings, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
    """What is written of a probe. Raises Wrong."""
    if isinstance(node, Scalar):
        return short(decoder, shape, node, path)
    if isinstance(node, Sequence):
        return {"exec": command(decoder, shape, node, path)}
    assert isinstance(node, Mapping)
    return decoder.struct(shape, _flat(node, findings, path), path)


def short(decoder: Decoder, shape: Shape, node: Scalar, path: Path) -> dict[str, Any]:
    """A probe in one text. Raises Wrong."""
    written = text(node).strip()
    scheme, colon, rest = written.partition(":")
    if scheme in ("http", "https") and colon:
        return {"http": url(written)}
    if scheme == "tcp" and colon:
        return {"tcp": _address(written, rest)}
    if scheme in ("unix", "file") and colon and rest:
        if not rest.strip("/"):
            raise Wrong(
                f"{shown(written)} names no {'socket' if scheme == 'unix' else 'file'}", f"write {scheme}:/path"
            )
        return {scheme: {"path": resolved(rest.removeprefix("//"), node)}}
    if scheme == "log" and rest.strip():
        return {"log": {"pattern": rest.strip()}}
    if written in KINDS or (colon and not rest and scheme in KINDS):
        raise Wrong(f"{shown(written)} does not say what to ask", f"write {_FORMS}")
    if written.isdigit():
        raise Wrong(f"{shown(written)} alone is no probe", f"write tcp:{written}, or http://:{written}/")
    if colon and rest.lstrip("/") and scheme.isalpha() and not re.search(r"\s", written):
        near = suggestion(scheme, KINDS)
        raise Wrong(f"{shown(written)} is no kind of probe", near or f"write {_FORMS}")
    return {"exec": command(decoder, shape, node, path)}


def command(decoder: Decoder, shape: Shape, node: Node, path: Path) -> tuple[str, ...]:
    """A COMMAND; compose's lists begin with a word that is none of the command. Raises Wrong."""
    first = node.items[0] if isinstance(node, Sequence) and node.items else None
    if isinstance(first, Scalar) and first.text in ("CMD", "CMD-SHELL", "NONE"):
        hint = {"CMD": "write the list without CMD", "NONE": f"remove {path[-1]}"}.get(
            first.text, 'write {shell: "…"}, the line as a text'
        )
        raise Wrong(f"{shown(first.text)} is compose's word, and no program", hint, first)
    words: tuple[str, ...] = decoder.option_value(shape.options["exec"].shape, node, path)
    return words


def url(written: str) -> dict[str, Any]:
    """The options of an http probe from a URL; without a host it is this machine. Raises Wrong."""
    found = _URL.match(written.replace(f":{SERVICE_PORT}", "", 1))
    if found is None:
        raise Wrong(f"{shown(written)} is no URL of a probe", "write http://:8080/health, or http://host:8080/health")
    scheme, host, port, path = found.groups()
    options: dict[str, Any] = {"scheme": scheme}
    if host:
        options["host"] = host.strip("[]")
    if port:
        options["port"] = _port(written, port)
    if path:
        options["path"] = path if path.startswith("/") else f"/{path}"
    return options


def inner(shape: Shape, node: Scalar) -> dict[str, Any] | None:
    """An http probe in one text, `http: ":8080/health"` or `http: 8080`; None for another struct. Raises Wrong."""
    if shape.cls is not Http:
        return None
    written = text(node).strip()
    if written.isdigit():
        return {"port": _port(written, written)}
    if written == SERVICE_PORT:
        return {}
    if written.startswith("/"):
        return {"path": written}
    return url(written if "://" in written else f"http://{written}")


def _address(written: str, rest: str) -> dict[str, Any]:
    if rest.endswith(SERVICE_PORT):
        host = rest.removesuffix(SERVICE_PORT).rstrip(":")
        return {"host": host.strip("[]")} if host else {}
    found = _TCP.match(rest)
    if found is None:
        raise Wrong(f"{shown(written)} has no port", "write tcp:5432, or tcp:host:5432")
    host, port = found.groups()
    options: dict[str, Any] = {"port": _port(written, port)}
    return {**options, "host": host.strip("[]")} if host else options


def _port(written: str, port: str) -> int:
    if len(port) > 5 or not 1 <= int(port) <= 65535:
        raise Wrong(f"{shown(written)}: a port is a number from 1 to 65535", "write the port that it listens on")
    return int(port)


def _flat(node: Mapping, findings: Findings, path: Path) -> Mapping:
    """The mapping with interval and the like beside the kind, and with `shell` or `command` as the COMMAND it is."""
    flat = Mapping(node.file, node.line, node.column)
    for name, key, value in node:
        if name in ("shell", "command"):
            called = Mapping(key.file, key.line, key.column)
            called.pairs[name] = (key, value)
            flat.pairs["exec"] = (key, called)
            continue
        if name not in KINDS or not isinstance(value, Mapping):
            flat.pairs.setdefault(name, (key, value))
            continue
        kind = Mapping(value.file, value.line, value.column)
        for option, inside, what in value:
            if option.replace("-", "_") not in BESIDE:
                kind.pairs[option] = (inside, what)
            elif option in node.pairs:
                hint = "keep one of the two"
                findings.add((*path, name, option), f"set beside {name} too", hint, inside)
            else:
                flat.pairs[option] = (inside, what)
        flat.pairs[name] = (key, kind)
    return flat
