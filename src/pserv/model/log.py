"""What a user may declare of how output is written to files. Where it goes is in `spec`; all of it acts live."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Logging(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How output is written: its format, its limits."""

    def settings(self, service: str, instance: int | None) -> dict[str, Any]:
        """The LOG that the logger gets: only what differs from the defaults; empty for a plain file."""
        del service, instance
        return {}
