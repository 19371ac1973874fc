"""Durations, sizes, signals and octal numbers: read, shown, and read again."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.model import units

PATIENT = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86_400),
        ("1h30m", 5400),
        ("1h 30 min", 5400),
        ("2 hours", 7200),
        ("0.25", 0.25),
        (".5s", 0.5),
        ("10", 10),
        ("1e3", 1000),
        ("0", 0),
        (" 7s ", 7),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not a duration"),
        ("soon", "'soon' is not a duration"),
        ("10 parsecs", "'10 parsecs' is not a duration"),
        ("1.2.3s", "'1.2.3s' is not a duration"),
        ("s", "'s' is not a duration"),
        ("-1s", "'-1s' is negative"),
        ("nan", "'nan' is not a duration"),
        ("inf", "'inf' is not a duration"),
        ("１０s", "'１０s' is not a duration"),
        ("10:30", "'10:30' is not a duration"),
        ("9e99", "'9e99' is too long: at most 36500d"),
    ],
)
def test_no_duration(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        units.parse_duration(text)
    assert str(caught.value) == reason


@PATIENT
@given(st.floats(0, units.LONGEST))
def test_written_duration_is_read_as_itself(seconds: float) -> None:
    assert units.parse_duration(units.write_duration(seconds)) == seconds


@PATIENT
@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = units.parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds <= units.LONGEST


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0204, "20 ms"),
        (0.9996, "1 s"),
        (1.5, "1.5 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (180, "3 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (345_600, "4 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_shown_duration(seconds: float, text: str) -> None:
    assert units.show_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KB", 65_536),
        ("10MB", 10_485_760),
        ("1GiB", 2**30),
        ("1.5M", 1_572_864),
        ("2t", 2**41),
        ("12", 12),
        ("12B", 12),
        ("4 kb", 4096),
    ],
)
def test_size(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "B", "x", "-1", "5Q", "5iB", "1e3", "9999999PB", "1.2.3K"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is negative|is too large"):
        units.parse_size(text)


@PATIENT
@given(st.integers(0, 2**62))
def test_written_size_is_read_as_itself(size: int) -> None:
    assert units.parse_size(units.write_size(size)) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1023, "1 KB"), (10_000, "9.8 KB"), (2**26, "64 MB"), (1.25 * 2**30, "1.2 GB")],
)
def test_shown_size(size: float, text: str) -> None:
    assert units.show_size(size) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", signal.SIGTERM),
        ("SIGTERM", signal.SIGTERM),
        ("sigterm", signal.SIGTERM),
        ("15", 15),
        ("RTMIN+1", signal.SIGRTMIN + 1),
        ("SIGRTMAX-2", signal.SIGRTMAX - 2),
        ("USR1", signal.SIGUSR1),
    ],
)
def test_signal(text: str, number: int) -> None:
    assert units.parse_signal(text) == number
    assert units.parse_signal(units.show_signal(number)) == number


@pytest.mark.parametrize("text", ["", "0", "65", "TREM", "_IGN", "SIG_DFL", "RTMIN+99", "-9", "１５"])
def test_no_signal(text: str) -> None:
    with pytest.raises(ValueError, match="is not a signal"):
        units.parse_signal(text)


@pytest.mark.parametrize(("text", "bits"), [("022", 0o22), ("22", 0o22), ("0o22", 0o22), ("0640", 0o640), ("0", 0)])
def test_octal(text: str, bits: int) -> None:
    assert units.parse_octal(text) == bits
    assert units.parse_octal(units.show_octal(bits)) == bits


@pytest.mark.parametrize("text", ["", "089", "0x12", "-1", "12345", "7_7"])
def test_no_octal(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an octal number|is too large"):
        units.parse_octal(text)
