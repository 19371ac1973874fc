"""A schedule as it is written: a line, or a mapping; and its time zone. When it is due is in `rules.schedule`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from pserv.config.findings import Path, Wrong, shown
from pserv.config.hints import suggestion, yaml_quoted
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.scalars import Spread, filled
from pserv.config.shapes import Shape
from pserv.model import units
from pserv.rules import schedule

if TYPE_CHECKING:
    from pserv.config.decode import Decoder

BESIDE: Final = ("timezone", "overlap", "missed")
"""Options of the service that may also be written inside of its schedule."""

_ALIKE: Final = 0.75
"""Of hundreds of cities one is a little like any word."""
_FIELDS: Final = 'write "MINUTE HOUR DAY MONTH WEEKDAY", as in "0 3 * * MON-FRI"'


def read(decoder: Decoder, shape: Shape, node: Node, path: Path) -> str | Spread:
    """`0 3 * * *`, `@daily`, `@every 90s`, or `{cron: …}` and `{every: …}` with the options beside it. Raises Wrong."""
    if isinstance(node, Mapping):
        return _mapping(decoder, shape, node, path)
    if isinstance(node, Sequence):
        hint = 'name several values in a field, as in "0 3,15 * * *", or declare a service for each line'
        raise Wrong("a list where one line is expected", hint)
    assert isinstance(node, Scalar)
    return _line(" ".join(filled(node, shape).split()))


def timezone(node: Node, shape: Shape) -> str:
    """The name of a zone that this machine knows. Raises Wrong."""
    from zoneinfo import ZoneInfo

    if not isinstance(node, Scalar):
        raise Wrong(f"{node.called} where a single value is expected", "write Area/City, as in Europe/Berlin")
    name = filled(node, shape).strip()
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = _zones()
        own = tuple(each.rpartition("/")[2] for each in known)
        near = suggestion(name, known, _ALIKE)
        if not near and (close := suggestion(name, own, _ALIKE)):
            near = f"did you mean '{known[own.index(close.split(chr(39))[1])]}'?"
        hint = near or ("write Area/City, as in Europe/Berlin" if known else "install tzdata")
        raise Wrong(f"there is no time zone {shown(name)} on this machine", hint) from None
    return name


@cache
def _zones() -> tuple[str, ...]:
    """Read from the system once: that is a walk through some hundred files."""
    from zoneinfo import available_timezones

    return tuple(sorted(available_timezones()))


def _mapping(decoder: Decoder, shape: Shape, node: Mapping, path: Path) -> Spread:
    from pserv.config.shapes import SERVICE

    lines: dict[str, str] = {}
    found = Spread()
    known = True
    for text, key, value in node:
        if text in BESIDE:
            inner: Shape | None = SERVICE.options[text].shape
        else:
            inner = {"cron": shape, "every": Shape("text")}.get(text)
        if inner is None:
            known = False
            decoder.unknown("Schedule", ("cron", "every", *BESIDE), key, path)
            continue
        said = decoder.option(inner, value, (*path, text))
        if not isinstance(said, str):
            lines.setdefault(text, "")
        elif text in BESIDE:
            found[text] = said
        else:
            lines[text] = said if text == "cron" else _line(f"{schedule.EVERY} {said}")
    if len(lines.keys() - set(BESIDE)) > 1:
        raise Wrong("cron and every are two schedules", "keep one of the two")
    line = next((said for name, said in lines.items() if name not in BESIDE), None)
    if line is None and known:
        raise Wrong("says no time", f'write {path[-1]}: {{cron: "0 3 * * *"}}, or {path[-1]}: {{every: 90s}}')
    if line:
        found["schedule"] = line
    return found


def _line(line: str) -> str:
    from pserv.rules import cron

    try:
        if schedule.period(line) is not None:
            return f"{schedule.EVERY} {line.split(maxsplit=1)[1]}"
        cron.parse(line)
    except ValueError as error:
        raise Wrong(str(error), _meant(line)) from None
    return line


def _meant(line: str) -> str:
    """What to write instead of a line that is none."""
    from pserv.rules import cron

    first, _, rest = line.partition(" ")
    word = first.lower()
    if word == "@reboot":
        return "without a schedule it is started with the daemon: write type: oneshot"
    if word in ("@every", "every") or _is_duration(line):
        period = rest if word in ("@every", "every") else line
        form = f"a duration: {units.DURATION_FORMS}"
        return f"write {yaml_quoted(f'@every {period}')}" if _is_duration(period) else f"write @every and {form}"
    if word.startswith("@"):
        return suggestion(word, (*cron.NICKNAMES, schedule.EVERY)) or _FIELDS
    return f"write {yaml_quoted('@' + word)}" if f"@{word}" in cron.NICKNAMES and not rest else _FIELDS


def _is_duration(text: str) -> bool:
    try:
        return units.parse_duration(text) >= 1
    except ValueError:
        return False
