"""Cron lines against a reference that looks at every minute, and at the days when the clocks change."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.rules import cron
from tests.rounds import EXAMPLES

BERLIN, YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE, CASABLANCA = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Casablanca")
CHANGES = [
    (BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 25, 1, tzinfo=UTC)),
    (YORK, datetime(2026, 3, 8, 7, tzinfo=UTC)),
    (YORK, datetime(2026, 11, 1, 6, tzinfo=UTC)),
    (LORD_HOWE, datetime(2026, 4, 4, 15, tzinfo=UTC)),
    (LORD_HOWE, datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    (CASABLANCA, datetime(2026, 2, 15, 2, tzinfo=UTC)),
    (CASABLANCA, datetime(2026, 3, 22, 2, tzinfo=UTC)),
]
MINUTE = timedelta(minutes=1)


class Fields:
    """A line as sets, made beside its text: the reference does not read the text."""

    def __init__(self, minutes: set[int] | None, hours: set[int] | None, days: set[int] | None, week: set[int] | None):
        self.minutes, self.hours, self.days, self.week = minutes, hours, days, week

    @property
    def line(self) -> str:
        words = [
            "*" if values is None else ",".join(map(str, sorted(values)))
            for values in (self.minutes, self.hours, self.days, None, self.week)
        ]
        return " ".join(words)

    def fits(self, clock: datetime) -> bool:
        if self.minutes is not None and clock.minute not in self.minutes:
            return False
        if self.hours is not None and clock.hour not in self.hours:
            return False
        in_month = self.days is None or clock.day in self.days
        in_week = self.week is None or clock.isoweekday() % 7 in self.week
        if self.days is not None and self.week is not None:
            return in_month or in_week
        return in_month and in_week

    def reference(self, after: datetime, zone: ZoneInfo, minutes: int) -> datetime | None:
        """The first minute that fits, each looked at in turn."""
        moment = after.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(minutes):
            before, moment = moment.astimezone(zone), moment + MINUTE
            local = moment.astimezone(zone)
            clock = local.replace(tzinfo=None, fold=0)
            if self.fits(clock) and (self.hours is None or not local.fold):
                return moment
            left_out = before.replace(tzinfo=None, fold=0) + MINUTE
            while self.hours is not None and left_out < clock:
                if self.fits(left_out):
                    return moment
                left_out += MINUTE
        return None


def some(low: int, high: int) -> st.SearchStrategy[set[int] | None]:
    return st.none() | st.sets(st.integers(low, high), min_size=1, max_size=4)


FIELDS = st.builds(Fields, some(0, 59), some(0, 4), some(1, 31), some(0, 6))


@settings(max_examples=2 * EXAMPLES)
@given(FIELDS, st.sampled_from(CHANGES), st.integers(-40 * 60, 10 * 60), st.integers(0, 59))
def test_every_moment_is_what_looking_at_each_minute_finds(
    fields: Fields, change: tuple[ZoneInfo, datetime], minutes: int, second: int
) -> None:
    zone, moment = change
    after = moment + timedelta(minutes=minutes, seconds=second)
    expected = fields.reference(after, zone, 3 * 1440)
    found = cron.parse(fields.line).next(after, zone)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found > after + timedelta(days=3)


@settings(max_examples=2 * EXAMPLES)
@given(FIELDS, st.sampled_from(CHANGES), st.integers(-600, 600), st.floats(0.001, 86400))
def test_nothing_comes_between_a_moment_and_the_next(
    fields: Fields, change: tuple[ZoneInfo, datetime], minutes: int, seconds: float
) -> None:
    """What is next stays next until it comes."""
    zone, moment = change
    line = cron.parse(fields.line)
    after = moment + timedelta(minutes=minutes)
    found = line.next(after, zone)
    between = after + timedelta(seconds=seconds)
    if found is not None and between < found:
        assert line.next(between, zone) == found


def runs(line: str, zone: ZoneInfo, begin: datetime, count: int) -> list[str]:
    """The next moments as a clock on the wall shows them."""
    read, at, found = cron.parse(line), begin.replace(tzinfo=zone), []
    for _ in range(count):
        following = read.next(at, zone)
        assert following is not None
        at = following
        found.append(at.astimezone(zone).strftime("%d %H:%M %Z"))
    return found


def test_a_time_that_does_not_exist_is_right_after_the_gap_once() -> None:
    assert runs("30 2 * * *", BERLIN, datetime(2026, 3, 28), 3) == ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"]
    assert runs("*/20 2 * * *", BERLIN, datetime(2026, 3, 29), 2) == ["29 03:00 CEST", "30 02:00 CEST"]
    assert runs("15 2 * * *", LORD_HOWE, datetime(2026, 10, 4), 2) == ["04 02:30 +11", "05 02:15 +11"]


def test_a_time_that_comes_twice_is_once() -> None:
    assert runs("30 2 * * *", BERLIN, datetime(2026, 10, 25), 2) == ["25 02:30 CEST", "26 02:30 CET"]
    assert runs("45 1 * * *", LORD_HOWE, datetime(2026, 4, 5), 2) == ["05 01:45 +11", "06 01:45 +1030"]


def test_each_hour_is_each_hour_whatever_it_is_called() -> None:
    assert runs("0 * * * *", YORK, datetime(2026, 11, 1, 0, 30), 3) == ["01 01:00 EDT", "01 01:00 EST", "01 02:00 EST"]
    assert runs("0 * * * *", YORK, datetime(2026, 3, 8, 0, 30), 3) == ["08 01:00 EST", "08 03:00 EDT", "08 04:00 EDT"]


LINES = [
    ("*/5 * * * *", ["01 00:05", "01 00:10"]),
    ("@hourly", ["01 01:00", "01 02:00"]),
    ("@weekly", ["04 00:00", "11 00:00"]),
    ("0 9-17/4 * * MON-FRI", ["01 09:00", "01 13:00", "01 17:00", "02 09:00", "02 13:00", "02 17:00", "05 09:00"]),
    ("0 0 L * *", ["31 00:00", "28 00:00"]),
    ("0 0 13 * FRI", ["02 00:00", "09 00:00", "13 00:00", "16 00:00"]),
    ("0 0 * * FRI#2", ["09 00:00", "13 00:00"]),
    ("0 0 * * 5L", ["30 00:00", "27 00:00"]),
    ("0 0 * * sun,7", ["04 00:00", "11 00:00"]),
    ("0 0 * * fri-sun", ["02 00:00", "03 00:00", "04 00:00", "09 00:00"]),
    ("10/20 0 1 jan *", ["01 00:10", "01 00:30", "01 00:50", "01 00:10"]),
]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line for line, _ in LINES])
def test_lines(line: str, expected: list[str]) -> None:
    """1 January 2026 is a Thursday."""
    found = runs(line, ZoneInfo("UTC"), datetime(2026, 1, 1), len(expected))
    assert [each.removesuffix(" UTC") for each in found] == expected


def test_seconds_are_the_first_of_six_fields() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    line = cron.parse("*/20 * * * * *")
    first = line.next(begin, UTC)
    assert first == begin + timedelta(seconds=20)
    assert line.next(begin + timedelta(seconds=59.5), UTC) == begin + timedelta(seconds=60)


def test_the_29th_of_february_is_found_however_far() -> None:
    assert cron.parse("0 0 29 2 *").next(datetime(2096, 3, 1, tzinfo=UTC), UTC) == datetime(2104, 2, 29, tzinfo=UTC)


MISTAKES = [
    ("* * * *", "'* * * *' has 4 fields, not five or six"),
    ("60 * * * *", "minute '60' is not from 0 to 59"),
    ("* 24 * * *", "hour '24' is not from 0 to 23"),
    ("* * 0 * *", "day of month '0' is not from 1 to 31"),
    ("* * * 13 *", "month '13' is not from 1 to 12"),
    ("* * * * 8", "day of week '8' is not from 0 to 7"),
    ("*/0 * * * *", "minute '*/0': the step '0' is not a number from 1 to 59"),
    ("5-1 * * * *", "minute '5-1' begins after its end"),
    ("x * * * *", "minute 'x' is not a number from 0 to 59"),
    ("* * * jnu *", "month 'jnu' is none of JAN to DEC"),
    ("* * * * mond", "day of week 'mond' is none of SUN to SAT; did you mean MON?"),
    ("* * * * mon#6", "day of week 'mon#6': '6' is not a number from 1 to 5"),
    ("0 0 31 2 *", "'0 0 31 2 *' never comes: no month of it has such a day"),
    ("0 0 31 feb,apr *", "'0 0 31 feb,apr *' never comes: no month of it has such a day"),
    ("@fortnightly", "'@fortnightly' is none of "),
    ("1,,2 * * * *", "minute '' is not a number from 0 to 59"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_what_is_wrong_is_told_with_its_field(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        cron.parse(line)
    assert str(refused.value).startswith(message)


@given(st.text(alphabet="0123456789*/-,#L mon@", max_size=30))
def test_no_text_is_more_than_a_mistake(line: str) -> None:
    with contextlib.suppress(ValueError):
        cron.parse(line)
