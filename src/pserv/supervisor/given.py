"""A service with what was read of its env files and secrets: what its processes get, and what is not to be shown."""

from __future__ import annotations

import zlib

import msgspec

from pserv.keeper import quickjson
from pserv.model.secrets import Values
from pserv.model.spec import ServiceSpec
from pserv.rules import references, secrecy
from pserv.supervisor.record import Record
from pserv.system import launches
from pserv.system.launches import Places

_OURS = ("PSERV_SERVICE", "PSERV_INSTANCE", "PSERV_INDEX")


def given(name: str, spec: ServiceSpec, own: Record, at: Places) -> ServiceSpec:
    """The spec with all variables that its processes get. Its `env` must not be shown."""
    if not references.needed(spec):
        return spec
    return references.filled(name, spec, own.values or Values(), at.secrets)


class Variable(msgspec.Struct, frozen=True):
    """One variable; a `secret` one must not be shown. `origin`: where it comes from, "" where `env` says it."""

    name: str
    value: str | None
    """None before it was ever read."""
    origin: str = ""
    secret: bool = False


def variables(name: str, spec: ServiceSpec, own: Record, at: Places) -> list[Variable]:
    """All that a process of it gets besides what it inherits; before anything was read what is known by name."""
    files = {each: where for each, _, where in (own.values or Values()).files}
    secrets = references.variables(spec)
    made = launches.environment(name, given(name, spec, own, at))
    found = []
    for each, value in {**dict.fromkeys(secrets, None), **made}.items():
        if each in spec.env:
            secret = references.refers(spec.env[each]) or secrecy.looks_secret(each, value or "")
            found.append(Variable(each, value, "", secret and bool(value)))
        elif each in secrets:
            is_path = spec.secrets[secrets[each]].deliver == "file"
            found.append(Variable(each, value, f"secret {secrets[each]}", not is_path))
        elif each in files and each not in _OURS and not (each == "PORT" and spec.port is not None):
            found.append(Variable(each, value, files[each], True))
        else:
            found.append(Variable(each, value, "pserv"))
    return found


def fingerprint(name: str, spec: ServiceSpec, own: Record, at: Places) -> int:
    """A number that changes when a run would have to be made anew, values that were read included."""
    declared = launches.fingerprint(spec, at)
    if own.values is None or not references.needed(spec):
        return declared
    files = {each: own.values.secrets.get(each, "") for each in references.delivered(spec)}
    env = dict(sorted(given(name, spec, own, at).env.items()))
    return zlib.crc32(quickjson.dumps([env, dict(sorted(files.items()))]).encode(), declared)


def hidden(own: Record | None, text: str) -> str:
    """What may hold a value that the service was given, as it may be shown."""
    known = own.known if own is not None else ()
    return references.hidden(text, known) if known else text
