"""What a value may be, however a user writes it, and whether a change of it acts at once. The options are in `spec`."""

from typing import Annotated

from msgspec import Meta

Duration = Annotated[float, Meta(ge=0, extra={"kind": "duration"})]
"""Seconds; a user writes `500ms`, `10s`, `5m`, `2h`, `1d` or a number of seconds."""

SignalNumber = Annotated[int, Meta(ge=1, le=64, extra={"kind": "signal"})]
"""A signal; a user writes `TERM`, `SIGTERM` or `15`."""

Size = Annotated[int, Meta(ge=0, extra={"kind": "size"})]
"""Bytes; a user writes `64KB`, `10MB`, `1GiB` or a number of bytes."""

Limit = Annotated[int, Meta(ge=0, extra={"kind": "limit"})]
"""Bytes as in Size, or 0 for `none`: no limit."""

ALL = 10**9
"""More of anything than there is: a Count of `none`."""

Count = Annotated[int, Meta(ge=0, le=ALL, extra={"kind": "count"})]
"""How many; ALL for `none`: no limit."""

Period = Annotated[float, Meta(ge=0, extra={"kind": "period"})]
"""Seconds, 0 for none; a user writes `hourly`, `daily`, `weekly`, `none` or a duration of a minute at least."""

Octal = Annotated[int, Meta(ge=0, le=0o7777, extra={"kind": "octal"})]
"""Permission bits; a user writes `022` or `"0640"`, always read as octal."""

Path = Annotated[str, Meta(extra={"kind": "path"})]
"""An absolute path in the document; a user may write it relative to the file it stands in."""

Words = Annotated[tuple[str, ...], Meta(extra={"kind": "words"})]
"""A list of words; one word alone is a list of one."""

CommandLine = Annotated[tuple[str, ...], Meta(extra={"kind": "command"})]
"""argv; a user may write one string, split as a shell would split it but run without a shell."""

Arguments = Annotated[tuple[str, ...], Meta(extra={"kind": "arguments"})]
"""Words for a program; a user may write one string, split in the same way."""

Command = Annotated[tuple[str, ...], Meta(extra={"kind": "call"})]
"""argv of a hook or probe: a string without shell syntax, a list, `{command: …}` or `{shell: "…"}`."""


def live(text: str) -> Meta:
    """An option whose change acts at once on a running service."""
    return Meta(description=text, extra={"live": True})


def fixed(text: str) -> Meta:
    """An option whose change needs a new run of the service."""
    return Meta(description=text, extra={"live": False})
