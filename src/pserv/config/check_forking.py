"""Mistakes between `type: forking`, its pid file and the rest of a service, and pid files of several."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from pserv.config.findings import short
from pserv.model.spec import ServiceSpec
from pserv.rules import instances

Wrong = tuple[str, str, str]
"""The option, what is wrong, a hint."""


def mistakes(spec: ServiceSpec, platform: str = sys.platform) -> Iterator[Wrong]:
    """All of one service, as it is declared."""
    if spec.type != "forking":
        if spec.pid_file is not None:
            yield (
                "pid_file",
                f"only goes with type: forking, and this is {spec.type}",
                "remove it, or set type: forking",
            )
        return
    if platform != "linux":
        told = "this system tells nobody of the end of a process that went to the background (Linux does)"
        yield "type", f"forking: {told}", "run it in the foreground, and remove type"
    if spec.watchdog is not None:
        told = "is promised by the process that is started, and that one ends"
        yield "watchdog", told, "remove it, or run it in the foreground with type: notify"
    if spec.tty:
        yield "tty", "the terminal ends with the process that is started", "remove it, or run it in the foreground"
    if spec.pid_file is None:
        return
    if os.path.isdir(spec.pid_file):
        yield "pid_file", f"{spec.pid_file} is a folder", "name the file in it that the service writes"
    if (spec.instances or 0) > 1 and not instances.asked_for(spec.pid_file):
        base, ending = os.path.splitext(spec.pid_file)
        hint = f"write pid_file: {base}.${{pserv.instance}}{ending}, and let it write that"
        yield "pid_file", f"{spec.pid_file} would be that of {spec.instances} instances", hint


def shared(specs: Iterable[tuple[str, ServiceSpec]]) -> Iterator[tuple[str, str, str]]:
    """Services whose pid file is that of another: (name, what is wrong, a hint)."""
    owners: dict[str, str] = {}
    for name, spec in specs:
        if spec.type == "forking" and spec.pid_file is not None:
            owner = owners.setdefault(os.path.normpath(spec.pid_file), name)
            if owner != name:
                told = f"{spec.pid_file} is also that of {short(owner)}"
                yield name, told, "give each its own: a pid file names one process"
