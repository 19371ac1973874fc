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
    """One variable as it may be shown. `origin`: where it comes from, "" where the configuration says it."""

    name: str
    value: str
    origin: str = ""


def variables(name: str, spec: ServiceSpec, own: Record, at: Places) -> list[Variable]:
    """All that a process of it gets besides what it inherits; before anything was read what is known by name."""
    values = own.values or Values()
    files = {each: where for each, _, where in values.files}
    secrets = references.variables(spec)
    made = launches.environment(name, given(name, spec, own, at))
    found = []
    for each, value in {**dict.fromkeys(secrets, ""), **made}.items():
        if each in spec.env:
            shown = references.shown(spec.env[each])
            found.append(Variable(each, shown if shown != spec.env[each] else secrecy.masked(each, shown)))
        elif each in secrets:
            secret = spec.secrets[secrets[each]]
            path = value if secret.deliver == "file" else secrecy.MASK
            found.append(Variable(each, path, f"secret {secrets[each]}"))
        elif each in files and each not in _OURS and not (each == "PORT" and spec.port is not None):
            found.append(Variable(each, secrecy.MASK, files[each]))
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
