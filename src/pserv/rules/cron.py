"""Cron lines: what a user may write, and which moment of a time zone comes next. What follows is in `schedule`.

Five fields, or six with the seconds first: minute, hour, day of month, month, day of week (crontab(5)). The zone is
passed in as a datetime.tzinfo; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

import msgspec

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS: Final = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, DAYS),
)
_FAR: Final = 366 * 41
"""Days that are looked ahead: 29 February on a given weekday may be 40 years away (2100 has none)."""
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_WINDOW: Final = timedelta(days=2)
"""Within it a zone has one change at most."""


class Cron(msgspec.Struct, frozen=True):
    """A line that was read: the values of each field, ascending.

    `flows`: the hour is `*` or `*/n`, so it follows the clock as it shows: an hour that comes twice is run in twice,
    one that is left out is left out. Otherwise a time is run at once a day, right after the gap if it does not exist.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    """(day of week, which of the month); 0 is the last."""
    either_day: bool
    """Both day fields are restricted: a day that fits one of them is enough."""
    flows: bool

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first moment later than `after` (both aware, the answer in UTC); None where there is none."""
        after = after.astimezone(UTC)  # datetimes of one zone are compared by what they show, not by when they are
        return self._flowing(after, zone) if self.flows else self._fixed(after, zone)

    def on(self, day: date) -> bool:
        """Whether its day fields fit."""
        if day.month not in self.months:
            return False
        in_month = day.day in self.days or (self.last_day and (day + _DAY).day == 1)
        weekday = day.isoweekday() % 7
        which = (day.day - 1) // 7 + 1
        last = (day + timedelta(days=7)).month != day.month
        in_week = weekday in self.weekdays or (
            bool(self.nth_weekdays)
            and ((weekday, which) in self.nth_weekdays or (last and (weekday, 0) in self.nth_weekdays))
        )
        return in_month or in_week if self.either_day else in_month and in_week

    def following(self, clock: datetime) -> datetime | None:
        """The first second that fits after this one, as a clock without zones shows it."""
        clock = clock.replace(microsecond=0) + _SECOND
        day = clock.date()
        if self.on(day) and (found := self._time((clock.hour, clock.minute, clock.second))) is not None:
            return datetime(day.year, day.month, day.day, *found)
        end = day.toordinal() + _FAR
        day += _DAY
        while day.toordinal() < end and day.year < 9998:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            elif self.on(day):
                return datetime(day.year, day.month, day.day, self.hours[0], self.minutes[0], self.seconds[0])
            else:
                day += _DAY
        return None

    def _time(self, least: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """The first time of a day that is not earlier."""
        for hour in self.hours:
            if hour < least[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < least[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= least:
                        return hour, minute, second
        return None

    def _fixed(self, after: datetime, zone: tzinfo) -> datetime | None:
        clock = after.astimezone(zone).replace(tzinfo=None, fold=0)
        while (found := self.following(clock)) is not None:
            moment = _first(found, zone)
            if moment > after:
                return moment
            clock = found
        return None

    def _flowing(self, after: datetime, zone: tzinfo) -> datetime | None:
        at = after
        for _ in range(_FAR):
            offset = _offset(at, zone)
            clock = self.following((at + offset).replace(tzinfo=None))
            if clock is None:
                return None
            found = clock.replace(tzinfo=UTC) - offset
            end = at + _WINDOW
            if _offset(end, zone) != offset:
                change = _change(at, end, zone)
                if found < change:
                    return found
                if self._fits(change, zone):
                    return change
                at = change
            elif found <= end:
                return found
            else:
                at = found - _DAY  # nothing fits before, whatever the zone does: no change is as large as a day
        return None

    def _fits(self, moment: datetime, zone: tzinfo) -> bool:
        shown = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        return self.following(shown - _SECOND) == shown


def _first(clock: datetime, zone: tzinfo) -> datetime:
    """When a clock of this zone first shows this time, or, where it never does, the end of the gap. In UTC."""
    moment = clock.replace(tzinfo=zone).astimezone(UTC)
    if (moment + _offset(moment, zone)).replace(tzinfo=None) == clock:
        return moment
    # PEP 495: with fold=0 the offset from before the gap is taken, which leads behind it; with fold=1 before it.
    before = clock.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change(before - _SECOND, moment, zone)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The first second with another offset than at `low`, up to `high` where it is another. In UTC."""
    first = int(low.timestamp())
    last = int(high.timestamp()) + 1
    offset = _offset(low, zone)
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)


def parse(line: str) -> Cron:
    """Reads a line. Raises ValueError with what is wrong in it, which names the field."""
    words = line.split()
    if len(words) == 1 and words[0].startswith("@"):
        nickname = NICKNAMES.get(words[0].lower())
        if nickname is None:
            raise ValueError(f"{words[0]!r} is none of {', '.join(NICKNAMES)} and @every")
        words = nickname.split()
    if len(words) not in (5, 6):
        told = "1 field" if len(words) == 1 else f"{len(words)} fields"
        raise ValueError(f"{line.strip()!r} has {told}, not five or six")
    if len(words) == 5:
        words = ["0", *words]
    plain: list[tuple[int, ...]] = []
    last_day, nth = False, set[tuple[int, int]]()
    for (name, low, high, names), word in zip(_FIELDS, words, strict=True):
        values: set[int] = set()
        for part in word.lower().split(","):
            if name == "day of month" and part == "l":
                last_day = True
            elif name == "day of week" and (which := _nth(part)) is not None:
                nth.add(which)
            else:
                values.update(_part(name, part, low, high, names))
        if name == "day of week":
            values = {value % 7 for value in values}
        plain.append(tuple(sorted(values)))
    seconds, minutes, hours, days, months, weekdays = plain
    restricted = [not words[place].startswith("*") for place in (3, 5)]
    cron = Cron(
        seconds,
        minutes,
        hours,
        frozenset(days),
        last_day,
        frozenset(months),
        frozenset(weekdays),
        frozenset(nth),
        all(restricted),
        words[2].startswith("*"),
    )
    if cron.following(datetime(2000, 1, 1) - _SECOND) is None:
        raise ValueError(f"{line.strip()!r} never comes: no month of it has such a day")
    return cron


def _part(name: str, part: str, low: int, high: int, names: tuple[str, ...]) -> Iterator[int]:
    """The values of one item of a list: `*`, `5`, `mon-fri`, `*/10`, `0-30/5`, `5/15`."""
    span, slash, stride = part.partition("/")
    step = 1
    if slash:
        if not (stride.isascii() and stride.isdigit()) or not 1 <= int(stride[:6]) <= high:
            raise ValueError(f"{name} {part!r}: the step {stride!r} is not a number from 1 to {high}")
        step = int(stride[:6])
    first, dash, last = span.partition("-")
    if span == "*":
        begin, end = low, high if name != "day of week" else 6
    else:
        begin = _value(name, part, first, low, high, names)
        end = high if slash else begin
        if dash:
            end = _value(name, part, last, low, high, names)
            if name == "day of week" and not end:
                end = 7
        if begin > end:
            raise ValueError(f"{name} {part!r} begins after its end")
    return iter(range(begin, end + 1, step))


def _value(name: str, part: str, text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + low
    told = f"{name} {part!r}" if part == text else f"{name} {part!r}: {text!r}"
    if not (text.isascii() and text.isdigit()):
        if names and text.isalpha():
            close = [each for each in names if each[:2] == text[:2] or text.startswith(each)]
            hint = f"; did you mean {close[0].upper()}?" if close else ""
            raise ValueError(f"{told} is none of {names[0].upper()} to {names[-1].upper()}{hint}")
        raise ValueError(f"{told} is not a number from {low} to {high}")
    value = int(text[:6])
    if not low <= value <= high:
        raise ValueError(f"{told} is not from {low} to {high}")
    return value


def _nth(part: str) -> tuple[int, int] | None:
    """`fri#2` is the second Friday of the month, `friL` and `5L` the last; None where it is neither."""
    day, hash_, which = part.partition("#")
    if not hash_:
        if not part.endswith("l") or part == "l":
            return None
        day, which = part[:-1], "0"
    elif which not in ("1", "2", "3", "4", "5"):
        raise ValueError(f"day of week {part!r}: {which!r} is not a number from 1 to 5")
    return _value("day of week", part, day, 0, 7, DAYS) % 7, int(which)
