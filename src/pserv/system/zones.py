"""Time zones by name, and the machine's own. Imported with the first schedule: zoneinfo takes memory."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

LOCAL = "/etc/localtime"


def zone(name: str | None) -> tzinfo:
    """The zone of this name; without one, or where it has gone since it was checked, the machine's, else UTC."""
    found = _named(name) if name else None
    return found or _named(os.environ.get("TZ", "").removeprefix(":")) or _local() or UTC


def _named(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _local() -> tzinfo | None:
    """Read anew each time: an administrator may change it while we run."""
    try:
        with open(LOCAL, "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return None
