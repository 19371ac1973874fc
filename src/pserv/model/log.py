"""What a user may declare of how output is written to files. Where it goes is in `spec`; all of it acts live."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import live

SHORTEST_LINE = 256
LONGEST_LINE = 512 << 10
"""A line that has no end yet waits in the service's pipe, which an ordinary user may make 1 MiB large (pipe(7))."""


class Logging(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How output is written. A user may write only the format: `log: json`."""

    format: Annotated[
        Literal["plain", "json"],
        live("plain: as printed; json: an object a line, with time, service, run, stream, pid and message."),
    ] = "plain"
    timestamps: Annotated[
        bool, live("Each line of a plain file begins with the time it was read at, in UTC with microseconds.")
    ] = False
    parse: Annotated[
        Literal["none", "json"],
        live("json: a printed line that is a JSON object becomes `fields` of a json file's, its level lifted."),
    ] = "none"
    strip_ansi: Annotated[bool, live("Escape sequences of terminals, such as colours, are left out.")] = False
    max_line: Annotated[
        int,
        Meta(ge=SHORTEST_LINE, le=LONGEST_LINE, extra={"kind": "size"}),
        live("Longer lines are split, and marked, where lines are looked at: in json files, and with timestamps."),
    ] = 64 << 10

    def settings(self, service: str, instance: int | None) -> dict[str, Any]:
        """The LOG that the logger gets: only what differs from the defaults; empty for a plain file."""
        log = {name: value for name in _OF_LINES if (value := getattr(self, name)) != _DEFAULTS[name]}
        if self.format == "json":
            log |= {"service": service} if instance is None else {"service": service, "instance": instance}
        return log


_OF_LINES = ("format", "timestamps", "parse", "strip_ansi", "max_line")
_DEFAULTS = {name: getattr(Logging(), name) for name in _OF_LINES}
