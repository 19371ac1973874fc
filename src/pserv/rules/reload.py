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
from pserv.model.kinds import ALL
from pserv.model.listening import Socket
from pserv.model.names import number_of, service_of
from pserv.model.needs import Need
from pserv.model.secrets import Secret
from pserv.model.spec import Document, ServiceSpec
from pserv.model.status import OptionChange, Placed, ReloadStep
from pserv.rules import dependencies, references, secrecy

LONGEST = 60
"""Characters of a value that are shown of a change."""


UNSET = "(unset)"
"""What is shown of a value that is not there."""

Written = Mapping[str, Placed]
Origins = Mapping[str, Written]
"""Where what is declared stands, by service ("": the daemon) and by option ("env.PORT")."""
NOWHERE: Origins = {}


def diff(old: Document, new: Document, origins: Origins = NOWHERE) -> tuple[ReloadStep, ...]:
    """A step for every service of both: first what goes, what depends on others before them; then in start order."""
    gone = [name for level in reversed(dependencies.order(old.services)) for name in level if name not in new.services]
    steps = [ReloadStep(name, "remove") for name in gone]
    names = _names(gone, old, new)
    for level in dependencies.order(new.services):
        for name in level:
            if name not in old.services:
                steps.append(ReloadStep(name, "add", renamed=names.get(name, "")))
                continue
            before, after = old.services[name], new.services[name]
            if before is after and old.root == new.root:
                steps.append(ReloadStep(name, "unchanged"))
                continue
            found = differences(before, after, old.root, new.root)
            action = "live" if found and before.schedule and after.schedule else _action(found)
            private = _private(old, before, name) | _private(new, after, name)
            told = [hidden(_with_origin(each, origins.get(service_of(name), {})), private) for each in found]
            steps.append(ReloadStep(name, action, tuple(each.text for each in told), tuple(told)))
    return tuple(steps)


def daemon_changes(old: Document, new: Document, origins: Origins = NOWHERE) -> tuple[OptionChange, ...]:
    """Options of the daemon itself that changed; all of them act live."""
    found = _compare(old.daemon, new.daemon, "daemon.")
    return tuple(_with_origin(each, origins.get("", {})) for each in found)


def differences(old: ServiceSpec, new: ServiceSpec, old_root: str = "/", new_root: str = "/") -> list[OptionChange]:
    """Options whose effective value changed; the roots are where a service runs that names no `cwd`."""
    if old == new and (old_root == new_root or new.cwd is not None):
        return []
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


def _action(found: list[OptionChange]) -> Literal["restart", "live", "unchanged"]:
    if not found:
        return "unchanged"
    return "live" if all(each.live for each in found) else "restart"


def _with_origin(change: OptionChange, written: Written) -> OptionChange:
    """With where the new value stands: the option itself, the first of those in it, or what it is in."""
    option = change.option
    found = written.get(option) or next((each for name, each in written.items() if name.startswith(f"{option}.")), None)
    while found is None and "." in option:
        option = option.rpartition(".")[0]
        found = written.get(option)
    if found is None:
        return change
    shown = {"old": None, "new": None} if found.secret else {}
    return replace(change, origin=found.at, **shown)


def _private(document: Document, spec: ServiceSpec, name: str) -> frozenset[str]:
    """Options of a service that are not shown, neither as they are nor as they were or will be."""
    made = document.private.get(service_of(name), ())
    secrets = (f"env.{secret}" for secret in spec.secrets)
    return frozenset((*made, *secrets))


def hidden(change: OptionChange, private: frozenset[str]) -> OptionChange:
    """Without its values, where one of them is or was a secret, or was made with one."""
    if change.old is change.new is None or not secrecy.covers(private, change.option):
        return change
    before, after = (text not in (None, UNSET) for text in (change.old, change.new))
    return replace(change, old=None if after else secrecy.MASK, new=None if before else secrecy.MASK)


def _names(gone: list[str], old: Document, new: Document) -> dict[str, str]:
    """Former names, by the new ones: of what goes, and comes again with nothing else changed."""
    if not gone:
        return {}
    former: dict[tuple[bytes, int | None], list[str]] = {}
    for name in gone:
        former.setdefault(_likeness(name, old), []).append(name)
    names = {}
    for name in new.services:
        if name not in old.services and (alike := former.get(_likeness(name, new))):
            names[name] = alike.pop(0)
    return names


def _likeness(name: str, document: Document) -> tuple[bytes, int | None]:
    spec = _effective(document.services[name], document.root)
    return msgspec.json.encode(spec), number_of(name)


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


def _compare(old: Struct, new: Struct, prefix: str = "") -> Iterator[OptionChange]:
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
            yield OptionChange(name, option.live, _show(left, option.kind), _show(right, option.kind))


def _compare_variables(old: Mapping[str, str], new: Mapping[str, str], name: str, live: bool) -> Iterator[OptionChange]:
    for variable in {**old, **new}:
        left, right = old.get(variable), new.get(variable)
        if left == right:
            continue
        own = f"{name}.{variable}"
        was_one = left is not None and right is not None and references.refers(left) != references.refers(right)
        if was_one or any(secrecy.looks_secret(variable, text or "") for text in (left, right)):
            hidden = None if left is not None and right is not None else secrecy.MASK
            yield OptionChange(own, live, None if left is None else hidden, None if right is None else hidden)
        else:
            yield OptionChange(own, live, _show(left), _show(right))


def _compare_secrets(old: Mapping[str, Secret], new: Mapping[str, Secret], name: str) -> Iterator[OptionChange]:
    for secret in {**old, **new}:
        own = f"{name}.{secret}"
        if secret in old and secret in new:
            yield from _compare(old[secret], new[secret], f"{own}.")
        elif secret in new:
            yield OptionChange(own, False, None, secrecy.MASK)
        else:
            yield OptionChange(own, False, secrecy.MASK, None)


_SHOWN: dict[str, Callable[[Any], str]] = {
    "duration": units.show_duration,
    "signal": units.show_signal,
    "octal": units.show_octal,
    "size": units.write_size,
    "limit": lambda size: units.write_size(size) if size else "none",
    "count": lambda count: "none" if count == ALL else str(count),
    "period": lambda seconds: units.show_duration(seconds) if seconds else "none",
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
        return UNSET
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
