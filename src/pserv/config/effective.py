"""The accepted document as a user would write it: every value in effect, in the forms that files have."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pserv.config.filling import LITERAL
from pserv.config.scalars import NONE, PERIODS
from pserv.config.shapes import DAEMON, PAIRS, SERVICE, Shape
from pserv.model import units
from pserv.model.kinds import ALL
from pserv.model.spec import Document, ServiceSpec
from pserv.rules.instances import LEFT_ALONE

OF_SCHEDULE: Final = ("overlap", "missed")
"""Options that make no sense, nor have an effect, without a schedule."""


def effective(document: Document, *, defaults: bool = True) -> dict[str, Any]:
    """Plain data (dicts, lists, texts, numbers) that a file may hold, in the order of the options; without `defaults`
    only what was declared, with them also what other options decide."""
    services = {}
    for name, spec in document.services.items():
        options = written(SERVICE, spec, defaults=defaults)
        services[name] = {**options, **_decided(spec, document, options)} if defaults else options
    return {
        "name": document.name,
        "daemon": written(DAEMON, document.daemon, defaults=defaults),
        "services": {name: _in_order(options) for name, options in services.items()},
    }


def _decided(spec: ServiceSpec, document: Document, options: dict[str, Any]) -> dict[str, Any]:
    """Options whose default depends on others."""
    decided: dict[str, Any] = {"restart": spec.policy, "cwd": options.get("cwd") or document.root.replace("$", "$$")}
    if spec.time_to_start is not None:
        decided["start_timeout"] = units.write_duration(spec.time_to_start)
    if isinstance(stop := options.get("stop"), dict):
        decided["stop"] = {**stop, "scope": spec.stop_scope}
    if spec.schedule is None:
        decided |= dict.fromkeys(OF_SCHEDULE)
    return decided


def _in_order(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in SERVICE.options if options.get(name) not in (None, [], {}, "")}


def written(shape: Shape, value: Any, *, defaults: bool = True) -> Any:
    """A value in the form that its option is written in; options without a value are left out of structs."""
    if value is None:
        return None
    if shape.kind == "struct":
        return _struct(shape, value, defaults)
    if shape.either:
        kind = "bool" if isinstance(value, bool) else ""
        return next((written(each, value) for each in shape.either if bool(kind) == (each.kind == "bool")), value)
    if shape.kind == "duration":
        return units.write_duration(value)
    if shape.kind == "size":
        return units.write_size(value)
    if shape.kind == "limit":
        return units.write_size(value) if value else NONE
    if shape.kind == "count":
        return NONE if value == ALL else value
    if shape.kind == "period":
        return _period(value)
    if shape.kind == "rate":
        return units.write_rate(value)
    if shape.kind == "signal":
        return units.show_signal(value)
    if shape.kind == "octal":
        return units.show_octal(value)
    if shape.kind == "needs":
        return _needs(shape, value)
    if shape.kind == "sockets":
        assert shape.item is not None
        forms = {name: _struct(shape.item, each, False) for name, each in value.items()}
        return {name: form["listen"] if form.keys() == {"listen"} else form for name, form in forms.items()}
    if shape.kind in ("env_files", "secrets"):
        assert shape.item is not None
        if shape.kind == "secrets":
            return {name: _struct(shape.item, each, False) for name, each in value.items()}
        files = [_struct(shape.item, each, False) for each in value]
        return [form["path"] if form.keys() == {"path"} else form for form in files]
    if isinstance(value, tuple):
        return [written(shape.item, each) if shape.item else each for each in value]
    return msgspec.to_builtins(value)


def _period(seconds: float) -> str:
    words = {value: word for word, value in PERIODS.items()}
    return words.get(seconds) or (units.write_duration(seconds) if seconds else NONE)


def _needs(shape: Shape, value: dict[str, Any]) -> Any:
    """A list where all must be ready; else a mapping to conditions, or to all that was declared beside them."""
    assert shape.item is not None
    forms: dict[str, Any] = {name: _struct(shape.item, need, False) for name, need in value.items()}
    if not any(forms.values()):
        return list(forms)
    return {name: value[name].condition if form.keys() <= {"condition"} else form for name, form in forms.items()}


def _struct(shape: Shape, value: Any, defaults: bool) -> dict[str, Any]:
    if pair := PAIRS.get(shape.cls):
        key, then = (written(shape.options[name].shape, getattr(value, name)) for name in pair)
        return {str(key): then}
    shown = {}
    for option in shape.options.values():
        current = getattr(value, option.name)
        if current is None or (not defaults and current == option.default):
            continue
        shown[option.name] = written(option.shape, current, defaults=defaults)
        if option.name in LEFT_ALONE - LITERAL:
            shown[option.name] = _escaped(shown[option.name])
    return shown


def _escaped(value: Any) -> Any:
    """What is final in the document is read as having variables in a file."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    return [_escaped(each) for each in value] if isinstance(value, list) else value
