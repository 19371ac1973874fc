"""An accepted configuration as a user would write it, every default in its place: `pserv config`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.inspect import Metadata, Type, UnionType, type_info

from pserv.model import units
from pserv.model.spec import Document, ServiceSpec

WRITTEN = {"duration": units.write_duration, "signal": units.show_signal, "octal": units.show_octal}


def written(document: Document) -> dict[str, Any]:
    """Plain data in the shape of the file; what another option decides is filled in, what has no value is left out."""
    services = {}
    for name, spec in document.services.items():
        plain = _struct(spec)
        plain["restart"] = spec.policy
        plain["cwd"] = spec.cwd or document.root
        if spec.time_to_start is not None:
            plain["start_timeout"] = units.write_duration(spec.time_to_start)
        if isinstance(plain.get("stop"), dict):
            plain["stop"]["scope"] = spec.stop_scope
        services[name] = _in_order(plain)
    return {"name": document.name, "daemon": _struct(document.daemon), "services": services}


def _in_order(plain: dict[str, Any]) -> dict[str, Any]:
    return {field: plain[field] for field in ServiceSpec.__struct_fields__ if field in plain}


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    kinds = {field.name: _kind(field.type) for field in type_info(type(value)).fields}  # type: ignore[attr-defined]
    plain = {name: _value(each, kinds[name]) for name, each in msgspec.structs.asdict(value).items()}
    return {name: each for name, each in plain.items() if each not in (None, [], {}, "")}


def _value(value: Any, kind: str) -> Any:
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, dict):
        return {name: _value(each, kind) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_value(each, kind) for each in value]
    if value is None or kind not in WRITTEN:
        return value
    return WRITTEN[kind](value)


def _kind(info: Type) -> str:
    """The `kind` of an option's type, however deep in it."""
    if isinstance(info, Metadata):
        return str((info.extra or {}).get("kind") or _kind(info.type))
    if isinstance(info, UnionType):
        return next((kind for kind in map(_kind, info.types) if kind), "")
    return ""
