"""All daemons of this user on this machine: `pserv list --daemons`."""

from __future__ import annotations

import os

from pserv.cli import target, terminal

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

    from pserv.cli.parse import Arguments


def show(arguments: Arguments) -> int:
    """A line for each: name, pid, alive or stale, configuration."""
    found = [_look(folder) for folder in target.daemons()]
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(found)
        return 0
    screen = terminal.out()
    width = max([len(daemon["name"]) for daemon in found], default=0)
    for daemon in found:
        state = screen.paint(daemon["state"], "green" if daemon["state"] == "alive" else "dim")
        pid = f"pid {daemon['pid']}" if daemon["pid"] else "-"
        screen.line(f"{daemon['name']:{width}}  {state}  {pid}  {' '.join(daemon['config'])}".rstrip())
    if not found and screen.terminal:
        terminal.tell("no daemon runs", "pserv up")
    return 0


def _look(folder: str) -> dict[str, Any]:
    from pserv.api.client import Client
    from pserv.model.errors import PservError

    shown: dict[str, Any] = {"name": os.path.basename(folder), "state": "stale", "pid": None, "config": []}
    shown["socket"] = os.path.join(folder, target.SOCKET)
    try:
        daemon = Client(shown["socket"]).call_raw("status", {})["daemon"]
    except PservError:
        return shown
    return shown | {"state": "alive", "pid": daemon["keeper_pid"], "config": daemon["config"]}
