"""When the hour, the day and the week end, where people live."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.logger import periods

DAY, WEEK = 86400.0, 604800.0
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]


def offset_in(zone: str) -> periods.Offset:
    where = ZoneInfo(zone)

    def offset(at: float) -> int:
        found = datetime.fromtimestamp(at, where).utcoffset()
        assert found is not None
        return int(found.total_seconds())

    return offset


def ends(every: float, now: str, zone: str = "Europe/Berlin") -> str:
    """The local time at which the period of a local moment ends (`now` in UTC when it ends with Z)."""
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(now)
    moment = (at if at.tzinfo else at.replace(tzinfo=where)).timestamp()
    return datetime.fromtimestamp(periods.end(every, moment, offset_in(zone)), where).isoformat()[:16]


@pytest.mark.parametrize(
    ("every", "now", "end"),
    [
        (3600.0, "2026-11-23T03:24:07", "2026-11-23T04:00"),
        (3600.0, "2026-11-23T04:00:00", "2026-11-23T05:00"),
        (DAY, "2026-11-23T00:00:00", "2026-11-24T00:00"),
        (DAY, "2026-11-23T23:59:59", "2026-11-24T00:00"),
        (WEEK, "2026-11-23T00:00:00", "2026-11-30T00:00"),  # a Monday
        (WEEK, "2026-11-29T23:00:00", "2026-11-30T00:00"),
        (21600.0, "2026-11-23T13:00:00", "2026-11-23T18:00"),
        (60.0, "2026-11-23T13:00:30", "2026-11-23T13:01"),
    ],
)
def test_periods_end_where_people_expect_it(every: float, now: str, end: str) -> None:
    assert ends(every, now) == end


@pytest.mark.parametrize(
    ("every", "now", "end"),
    [
        (DAY, "2026-03-29T01:00:00", "2026-03-30T00:00"),  # 23 hours long
        (DAY, "2026-10-25T01:00:00", "2026-10-26T00:00"),  # 25 hours long
        (WEEK, "2026-10-24T12:00:00", "2026-10-26T00:00"),
        (21600.0, "2026-03-29T00:30:00", "2026-03-29T06:00"),
        (21600.0, "2026-10-25T00:30:00", "2026-10-25T06:00"),
        (3600.0, "2026-03-29T00:30:00Z", "2026-03-29T03:00"),  # there is no 02:00 that day
        (3600.0, "2026-10-25T00:30:00Z", "2026-10-25T02:00"),  # 02:00 comes twice, an hour apart
        (3600.0, "2026-10-25T01:30:00Z", "2026-10-25T03:00"),
    ],
)
def test_days_on_which_the_clocks_change(every: float, now: str, end: str) -> None:
    assert ends(every, now) == end


def test_a_midnight_that_does_not_exist_ends_with_the_change() -> None:
    assert ends(DAY, "2026-09-05T12:00:00", "America/Santiago") == "2026-09-06T01:00"


@given(st.sampled_from(ZONES), st.sampled_from([60.0, 3600.0, 21600.0, DAY, WEEK]), st.integers(0, 4 * 10**9))
def test_every_period_ends_later_and_not_much_later_than_it_is_long(zone: str, every: float, now: int) -> None:
    end = periods.end(every, now, offset_in(zone))
    assert now < end <= now + every + 7200


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_days_is_cut_at_every_midnight(zone: str) -> None:
    at, seen = datetime(2026, 1, 1, tzinfo=UTC).timestamp(), []
    for _ in range(370):
        at = periods.end(DAY, at, offset_in(zone))
        seen.append(datetime.fromtimestamp(at, ZoneInfo(zone)))
    assert len({moment.date() for moment in seen}) == 370
    assert sum(moment.hour != 0 for moment in seen) <= 1
