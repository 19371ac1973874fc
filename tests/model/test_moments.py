"""Moments as users write them, in a zone with summer time; what is none is told with what is valid."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.model.moments import MOMENT_FORMS, parse_instant, parse_moment, show_instant

NOW = 1795410000.0  # 2026-11-23T05:00:00Z, 06:00 in Berlin


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("10m", "2026-11-23T04:50:00Z"),
        ("1h30m", "2026-11-23T03:30:00Z"),
        ("1h30m ago", "2026-11-23T03:30:00Z"),
        ("500ms", "2026-11-23T04:59:59.5Z"),
        ("now", "2026-11-23T05:00:00Z"),
        ("2026-11-23", "2026-11-22T23:00:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("14:00", "2026-11-23T13:00:00Z"),
        ("14:00:30.25", "2026-11-23T13:00:30.25Z"),
        ("2026-11-23T14:00:00Z", "2026-11-23T14:00:00Z"),
        ("2026-11-23 14:00:00+02:00", "2026-11-23T12:00:00Z"),
        ("2026-11-23T14:00", "2026-11-23T13:00:00Z"),
        ("2026-11-23 14:00:01.5", "2026-11-23T13:00:01.5Z"),
        ("today", "2026-11-22T23:00:00Z"),
        ("yesterday", "2026-11-21T23:00:00Z"),
        ("yesterday 14:00", "2026-11-22T13:00:00Z"),
        ("2026-10-25 14:00", "2026-10-25T13:00:00Z"),  # a day of 25 hours
        ("2026-03-29 14:00", "2026-03-29T12:00:00Z"),  # one of 23
        ("@1795410000", "2026-11-23T05:00:00Z"),
        ("@1795410000.5", "2026-11-23T05:00:00.5Z"),
    ],
)
def test_forms(text: str, instant: str) -> None:
    assert parse_moment(text, NOW) == parse_instant(instant)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "10",
            "-10m",
            "soon",
            "2026-13-01",
            "2026-02-29",
            "2026-11-31",
            "14",
            "25:00",
            "14:60",
            "1:00",
            "@",
            "@x",
        ),
        *("14:00:00.", "2026-11-23T14:00:00X", "2026-11-23T14:00:00+0x:00", "tomorrow", "2026-11", "１0m"),
    ],
)
def test_what_is_none_is_told_with_what_is(text: str) -> None:
    with pytest.raises(ValueError) as told:
        parse_moment(text, NOW)
    assert repr(text) in str(told.value) or "10x" in text
    assert MOMENT_FORMS in str(told.value)


def test_a_duration_in_units_that_are_none() -> None:
    with pytest.raises(ValueError, match="'10x' is not a duration"):
        parse_moment("10x", NOW)


@given(st.floats(0, 4e9))
def test_an_instant_shown_is_the_same_instant(moment: float) -> None:
    shown = parse_instant(show_instant(moment))
    assert shown is not None
    assert abs(shown - moment) < 2e-6


@given(st.text())
def test_any_text_is_a_moment_or_told(text: str) -> None:
    try:
        parse_moment(text, NOW)
    except ValueError:
        pass
