"""Mistakes between `instances`, `port` and what is written for all instances at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from pserv.model.spec import ServiceSpec
from pserv.rules import instances

Wrong = tuple[str, str, str]
"""The option, what is wrong, a hint."""

_IN_SHELL: Final = {
    "instance": "$PSERV_INSTANCE",
    "index": "$PSERV_INDEX",
    "port": "$PORT",
    "service": "$PSERV_SERVICE",
    "name": "$PSERV_SERVICE:$PSERV_INSTANCE",
    "host": "$(hostname)",
    "config_dir": "env: {CONFIG_DIR: '${pserv.config_dir}'}, and $CONFIG_DIR",
    "run_dir": "env: {RUN_DIR: '${pserv.run_dir}'}, and $RUN_DIR",
}


def first(name: str, spec: ServiceSpec) -> ServiceSpec:
    """The spec of the first instance: what can be looked at as it will be used."""
    return instances.instance(f"{name}:1" if spec.instances is not None else name, spec)


def mistakes(spec: ServiceSpec) -> Iterator[Wrong]:
    """All of one service."""
    wanted = spec.instances or 0
    if instances.last_port(spec, wanted) > instances.LAST_PORT:
        hint = f"write port: {instances.LAST_PORT - wanted + 1} or less"
        yield "port", f"the last of {wanted} instances would have port {instances.last_port(spec, wanted)}", hint
    option = instances.shared_output(spec) if wanted > 1 else None
    if option is not None and _is_file(path := getattr(spec, option)):
        base, ending = os.path.splitext(path)
        hint = f"write {option}: {base}.${{pserv.instance}}{ending}"
        yield option, f"{path} would be written by {wanted} instances", hint
    for option, value in instances.written(spec) if instances.refers(spec) else ():
        if option in instances.LEFT_ALONE and option != "shell":
            continue
        for fact in sorted(instances.asked_for(value)):
            yield from _unknown(option, fact, spec)


def _unknown(option: str, fact: str, spec: ServiceSpec) -> Iterator[Wrong]:
    facts = (*instances.FACTS, *instances.OF_MACHINE)
    if fact not in facts:
        known = ", ".join(f"pserv.{each}" for each in facts)
        yield option, f"there is no ${{pserv.{fact}}}", f"there are {known}"
    elif option == "shell":
        yield option, f"${{pserv.{fact}}} is not replaced in a line for sh", f"write {_IN_SHELL[fact]}"
    elif fact == "port" and spec.port is None:
        yield option, "asks for ${pserv.port}, and the service declares no port", "write port: 3001"


def _is_file(path: str) -> bool:
    """FIFOs and devices may have several writers."""
    return os.path.isfile(path) or not os.path.exists(path)
