"""What a user may declare of how output is written to files. Where it goes is in `spec`; all of it acts live."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import ALL, Count, Limit, Period, live

SHORTEST_LINE = 256
LONGEST_LINE = 512 << 10
"""A line that has no end yet waits in the service's pipe, which an ordinary user may make 1 MiB large (pipe(7))."""


class Rotate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a log file makes place for the next one, and how many stay. A user may write only the size, or none."""

    size: Annotated[
        Limit, live("Before a line would make it larger than this; `none`: whatever its size. A line is never cut.")
    ] = 10 << 20
    every: Annotated[
        Period, live("When the hour, the day or the week (from Monday) is over, in local time; or that often: `6h`.")
    ] = 0.0
    keep: Annotated[Count, live("So many rotated files stay; `none`: all.")] = 5
    max_age: Annotated[
        Annotated[float, Meta(gt=0, extra={"kind": "duration"})] | None,
        live("Rotated files whose last line is older than this go."),
    ] = None
    max_total: Annotated[
        Limit,
        live(
            "All files of the service's log or logs together, active ones counted with `size`, are no larger; `none`."
        ),
    ] = 0

    compress: Annotated[
        Literal["none", "gzip", "zstd"],
        live("How rotated files are compressed, by a process of the lowest priority; zstd must be installed."),
    ] = "none"

    def message(self) -> dict[str, Any] | None:
        """`rotate` of the keeper's LOG; None where nothing is rotated."""
        if not self.size and not self.every:
            return None
        keep = None if self.keep == ALL else self.keep
        given = {"size": self.size, "every": self.every, "max_age": self.max_age, "max_total": self.max_total}
        return {"keep": keep, **{name: value for name, value in given.items() if value}}


class Rate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How many lines may be written; further ones are dropped and counted. A user may write only `10000/s`."""

    lines: Annotated[float, Meta(gt=0, extra={"kind": "rate"}), live("So many: `10000/s`, `600/m`, `100/h`.")] = (
        10_000.0
    )
    burst: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        live("So many at once after it was quiet; by default what a second allows, and at least 1."),
    ] = None

    def message(self) -> tuple[float, int]:
        """Lines a second and at once, as the keeper's LOG has them."""
        return self.lines, self.burst or max(1, round(self.lines))


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
    rate: Annotated[
        Rate | None,
        live("How many lines of a service's are written; more are dropped, and the file and status tell how many."),
    ] = None

    on_full: Annotated[
        Literal["block", "drop-oldest", "drop-newest"],
        live(
            "While the disk is full, hangs or refuses: the service waits, or its output is dropped, counted, and the "
            "file tells how much. The pipe (up to 1MB) keeps the last of it, or what is printed then goes."
        ),
    ] = "block"
    rotate: Annotated[Rotate, live("When a file makes place for the next one, and how many stay.")] = Rotate()

    def settings(self, service: str, instance: int | None) -> dict[str, Any]:
        """The LOG that the logger gets: only what differs from the defaults; empty for a plain file."""
        log = {name: value for name in _OF_LINES if (value := getattr(self, name)) != _DEFAULTS[name]}
        if self.rate is not None:
            log["rate"] = self.rate.message()
        if self.format == "json":
            log |= {"service": service} if instance is None else {"service": service, "instance": instance}
        if self.rotate != Rotate():
            log["rotate"] = self.rotate.message()
        return log


_OF_LINES = ("format", "timestamps", "parse", "strip_ansi", "max_line", "on_full")
_DEFAULTS = {name: getattr(Logging(), name) for name in _OF_LINES}
