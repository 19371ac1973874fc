"""`pserv upgrade`: hand over to the installed version, and tell how that went."""

from __future__ import annotations

import time

from pserv.cli import act
from pserv.cli.target import connect
from pserv.model.errors import PservError, Unreachable

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from pserv.api.client import Client
    from pserv.cli.parse import Arguments

REPLACEMENTS = 5
"""Connections that may break off: the supervisor's that is replaced, and its successor's should that die."""


def upgrade(arguments: Arguments) -> int:
    """Exit code 1 when what ran goes on."""
    client = connect(arguments)
    before = client.call_raw("version", {})
    begun = time.time()
    client.call_raw("upgrade", {"keeper": arguments.flag("keeper")})
    told = _told(client, begun)
    after = client.call_raw("version", {})
    ok = not told.startswith("refused")
    if ok:
        moved = [
            f"{part} {before[part]} -> {after[part]}" for part in ("pserv", "keeper") if before[part] != after[part]
        ]
        same = f"version {after['pserv']} as before"
        told += f" ({', '.join(moved) or same}); no service was touched"
    return act.finish({"ok": ok, "outcomes": [], "message": told}, arguments, "")


def _told(client: Client, begun: float) -> str:
    """What the daemon says of the upgrade, before or after its supervisor was replaced."""
    for _ in range(REPLACEMENTS):
        try:
            for item in client.stream_raw("events", {"lines": 100, "follow": True}):
                change = item.get("change", {})
                if change.get("kind") == "upgrade" and change["at"] >= begun:
                    return str(change["reason"])
        except Unreachable:
            continue  # who answered is gone; the next supervisor knows
    raise PservError("cannot tell how the upgrade went: no supervisor stays", "pserv status")
