"""Old and new configuration -> what a reload does to each service, and for which options. Nothing is applied here.

The options, and whether each acts live, are read from the types in `model.spec`: no option is named here but those
whose effective value depends on others.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from pserv.model import units
from pserv.model.listening import Socket
from pserv.model.needs import Need
from pserv.model.secrets import Secret
from pserv.model.spec import Document, ServiceSpec
from pserv.model.status import ReloadStep
from pserv.rules import dependencies, references, secrecy

LONGEST = 60
"""Characters of a value that are shown of a change."""


class Difference(Struct, frozen=True):
    """One option that changed, `text` as a user reads it ("env.PORT: 1 -> 2"); `live`: no new run is needed."""

    option: str
    text: str
    live: bool


def diff(old: Document, new: Document) -> tuple[ReloadStep, ...]:
    """A step for every service of both: first what goes, what depends on others before them; then in start order."""
    gone = [name for level in reversed(dependencies.order(old.services)) for name in level if name not in new.services]
    steps = [ReloadStep(name, "remove") for name in gone]
    for level in dependencies.order(new.services):
        for name in level:
            if name not in old.services:
                steps.append(ReloadStep(name, "add"))
                continue
            found = differences(old.services[name], new.services[name], old.root, new.root)
            scheduled = old.services[name].schedule is not None and new.services[name].schedule is not None
            action = "live" if found and scheduled else _action(found)
            steps.append(ReloadStep(name, action, tuple(each.text for each in found)))
    return tuple(steps)


def daemon_changes(old: Document, new: Document) -> tuple[str, ...]:
    """Options of the daemon itself that changed, as a user reads them; all of them act live."""
    return tuple(each.text for each in _compare(old.daemon, new.daemon, "daemon."))


def differences(old: ServiceSpec, new: ServiceSpec, old_root: str = "/", new_root: str = "/") -> list[Difference]:
    """Options whose effective value changed; the roots are where a service runs that names no `cwd`."""
    found = _compare(_effective(old, old_root), _effective(new, new_root))
    same_program, same_fd = old.argv == new.argv, _ready_fd(old) == _ready_fd(new)
    return [
        each if same_fd or each.option.partition(".")[0] != "ready" else replace(each, live=False)
        for each in found
        if not (same_program and each.option in _PROGRAM)
    ]


def _ready_fd(spec: ServiceSpec) -> int | None:
    """The descriptor that a run is handed to say that it is ready, among probes that are asked from outside."""
    return None if spec.ready is None else spec.ready.fd


def _action(found: list[Difference]) -> Literal["restart", "live", "unchanged"]:
    if not found:
        return "unchanged"
    return "live" if all(each.live for each in found) else "restart"


_PROGRAM = frozenset({"exec", "args", "command", "shell"})
"""Ways to write one thing: they have not changed when the argv has not."""


def _effective(spec: ServiceSpec, root: str) -> ServiceSpec:
    """The spec with those defaults filled in that depend on others; the name is the key and no option of its own."""
    return replace(
        spec,
        name=None,
        cwd=spec.cwd or root,
        restart=spec.policy,
        start_timeout=spec.time_to_start,
        stop=replace(spec.stop, scope=spec.stop_scope),
    )


class _Option(Struct, frozen=True):
    name: str
    live: bool
    kind: str


@functools.cache
def _options(declared: type[Struct]) -> tuple[_Option, ...]:
    """The options of a struct, with what its annotations say of each."""
    found = []
    for name, hint in get_type_hints(declared, include_extras=True).items():
        extra: dict[str, Any] = {}
        for meta in _metas(hint):
            extra.update(meta.extra or {})
        found.append(_Option(name, extra.get("live", False), extra.get("kind", "")))
    return tuple(found)


def _metas(hint: Any) -> Iterator[Meta]:
    """Everything that Annotated says within a type, but not within the structs it is made of."""
    if get_origin(hint) is Annotated:
        yield from (meta for meta in hint.__metadata__ if isinstance(meta, Meta))
    for inner in get_args(hint):
        if get_origin(inner) is not None:
            yield from _metas(inner)


def _compare(old: Struct, new: Struct, prefix: str = "") -> Iterator[Difference]:
    for option in _options(type(new)):
        name = prefix + option.name
        left, right = getattr(old, option.name), getattr(new, option.name)
        if left == right:
            continue
        if option.kind == "secrets":
            yield from _compare_secrets(left, right, name)
        elif isinstance(left, Struct) and isinstance(right, Struct):
            yield from _compare(left, right, f"{name}.")
        elif isinstance(left, Mapping) and option.kind not in ("needs", "sockets"):
            yield from _compare_variables(left, right, name, option.live)
        else:
            yield Difference(name, _text(name, _show(left, option.kind), _show(right, option.kind)), option.live)


def _compare_variables(old: Mapping[str, str], new: Mapping[str, str], name: str, live: bool) -> Iterator[Difference]:
    for variable in {**old, **new}:
        left, right = old.get(variable), new.get(variable)
        if left == right:
            continue
        own = f"{name}.{variable}"
        if secrecy.looks_secret(variable, left or "") or secrecy.looks_secret(variable, right or ""):
            verb = "added" if left is None else "removed" if right is None else "changed"
            yield Difference(own, f"{own} {verb}", live)
        else:
            yield Difference(own, _text(own, _show(left), _show(right)), live)


def _compare_secrets(old: Mapping[str, Secret], new: Mapping[str, Secret], name: str) -> Iterator[Difference]:
    for secret in {**old, **new}:
        own = f"{name}.{secret}"
        if secret in old and secret in new:
            yield from _compare(old[secret], new[secret], f"{own}.")
        else:
            yield Difference(own, f"{own} {'added' if secret in new else 'removed'}", False)


def _text(name: str, left: str, right: str) -> str:
    return f"{name} changed" if left == right else f"{name}: {left} -> {right}"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "duration": units.show_duration,
    "signal": units.show_signal,
    "octal": units.show_octal,
    "size": units.write_size,
    "rate": units.write_rate,
    "command": shlex.join,
    "arguments": shlex.join,
    "call": shlex.join,
    "env_files": lambda files: f"[{', '.join(' '.join(_set(each)) for each in files)}]",
    "sockets": lambda sockets: f"[{', '.join(_socket(name, each) for name, each in sockets.items())}]",
    "needs": lambda needs: f"[{', '.join(_need(name, need) for name, need in needs.items())}]",
}


def _need(name: str, need: Need) -> str:
    """One dependency with what is not usual about it: "db", "cache (healthy, not required)"."""
    told = [
        "" if need.condition == "ready" else need.condition,
        "" if need.required else "not required",
        "restart" if need.restart else "",
        "" if need.timeout is None else units.show_duration(need.timeout),
    ]
    unusual = ", ".join(each for each in told if each)
    return f"{name} ({unusual})" if unusual else name


def _socket(name: str, declared: Socket) -> str:
    """One socket with its options: "http 127.0.0.1:8080", "admin unix:/run/app.sock mode 0660"."""
    return " ".join([name, *_set(declared)])


def _show(value: Any, kind: str = "") -> str:
    """A value in a few characters, as a user would write it."""
    if value is None:
        return "(unset)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Struct):
        return " ".join(_set(value))
    if isinstance(value, Mapping) and kind not in _SHOWN:
        return f"[{', '.join(f'{each}: {secrecy.masked(each, text)}' for each, text in value.items())}]"
    if isinstance(value, tuple) and kind not in _SHOWN:
        return f"[{', '.join(_show(each) for each in value)}]"
    text = _SHOWN[kind](value) if kind in _SHOWN else references.shown(str(value))
    text = text.replace("\n", "\\n") or '""'
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _set(value: Struct) -> Iterator[str]:
    """What is declared in a struct: "QUIT", "30 s"; with the name what has a default and is not that: "tcp port 1"."""
    for option, field in zip(_options(type(value)), msgspec.structs.fields(value), strict=True):
        inner = getattr(value, option.name)
        if field.required:
            yield _show(inner, option.kind)
        elif inner != field.default and inner != _made(field.default_factory):
            yield f"{option.name} {_show(inner, option.kind)}".rstrip()


def _made(factory: Any) -> Any:
    """The default that a factory makes; NODEFAULT where there is none."""
    return factory if factory is msgspec.NODEFAULT else factory()
