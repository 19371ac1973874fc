"""Moments as users write them (`10m`, `14:00`, `2026-11-23`, `yesterday`), and as RFC 3339 has them. Reads no clock."""

from __future__ import annotations

import time
from typing import Final

from pserv.model.units import parse_duration

MOMENT_FORMS: Final = "10m, 14:00, 2026-11-23, '2026-11-23 14:00', 2026-11-23T14:00:00Z, today or yesterday"
_DAY: Final = 86_400
_UNIT_ENDS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_DAYS: Final = {"today": 0, "yesterday": 1}
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_moment(text: str, now: float) -> float:
    """Seconds since 1970 of a moment, in the local time zone where it names none.

    A duration is so long before `now`; `@` and a number are such seconds themselves. Raises ValueError with a reason
    that reads on after the written text.
    """
    words = text.strip()
    if words == "now":
        return now
    if words.startswith("@"):
        return _number(text, words[1:])
    words = words.removesuffix(" ago")
    if words[-1:] in _UNIT_ENDS and words[:1].isdigit() and "-" not in words:
        try:
            return now - parse_duration(words)
        except ValueError as error:
            raise ValueError(f"{error}, nor another time: {MOMENT_FORMS}") from None
    moment = parse_instant(words)
    if moment is None:
        moment = _local(words, now)
    if moment is None:
        raise ValueError(f"{text!r} is no time: {MOMENT_FORMS}")
    return moment


def parse_instant(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 date-time (with a zone); None for anything else."""
    date, clock = text[:10], text[11:]
    if text[10:11] not in ("T", "t", " ") or not clock:
        return None
    if clock[-1] in "Zz":
        clock, offset = clock[:-1], 0
    elif len(clock) > 6 and clock[-6] in "+-" and clock[-3] == ":":
        hours, minutes = clock[-5:-3], clock[-2:]
        if not (_digits(hours) and _digits(minutes)):
            return None
        offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if clock[-6] == "-" else 1)
        clock = clock[:-6]
    else:
        return None
    day, seconds = _date(date), _clock(clock)
    if day is None or seconds is None:
        return None
    return days_since_1970(*day) * _DAY + seconds - offset


def show_instant(moment: float) -> str:
    """RFC 3339 in UTC, with microseconds."""
    whole = int(moment // 1)
    fraction = round((moment - whole) * 1e6)
    if fraction == 1_000_000:
        whole, fraction = whole + 1, 0
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:06d}Z"


def days_since_1970(year: int, month: int, day: int) -> int:
    """Of a date in the Gregorian calendar."""
    year -= month <= 2  # a year that begins in March has its leap day at its end
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469


def _local(text: str, now: float) -> float | None:
    """A day, a time of today, or both."""
    first, _, second = text.replace("T", " ", 1).partition(" ")
    here = time.localtime(now)
    if not second and ":" in first:
        first, second = "today", first
    if first in _DAYS:
        noon = time.localtime(time.mktime((here.tm_year, here.tm_mon, here.tm_mday - _DAYS[first], 12, 0, 0, 0, 0, -1)))
        day: tuple[int, int, int] | None = (noon.tm_year, noon.tm_mon, noon.tm_mday)
    else:
        day = _date(first)
    seconds = _clock(second) if second else 0.0
    if day is None or seconds is None:
        return None
    # The hour by itself, so that a day that has 23 or 25 of them is counted as clocks show it.
    hour, rest = divmod(seconds, 3600)
    return time.mktime((*day, int(hour), 0, 0, 0, 0, -1)) + rest


def _date(text: str) -> tuple[int, int, int] | None:
    parts = text.split("-")
    if [len(part) for part in parts] != [4, 2, 2] or not all(map(_digits, parts)):
        return None
    year, month, day = map(int, parts)
    if not year >= 1970 or not 1 <= month <= 12 or not 1 <= day <= _LENGTHS[month - 1]:
        return None
    if (month, day) == (2, 29) and (year % 4 or (year % 100 == 0 and year % 400)):
        return None
    return year, month, day


def _clock(text: str) -> float | None:
    """Seconds of the day of `14:00`, `14:00:30` or `14:00:30.5`."""
    whole, dot, fraction = text.partition(".")
    parts = whole.split(":")
    if len(parts) not in (2, 3) or not all(len(part) == 2 and _digits(part) for part in parts):
        return None
    if dot and (len(parts) == 2 or not _digits(fraction)):
        return None
    hour, minute, second = int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) == 3 else 0
    if hour > 23 or minute > 59 or second > 60:
        return None
    return hour * 3600 + minute * 60 + second + (float(f"0.{fraction}") if dot else 0.0)


def _number(text: str, digits: str) -> float:
    whole, _, fraction = digits.partition(".")
    if not _digits(whole) or len(whole) > 11 or (fraction and not _digits(fraction)):
        raise ValueError(f"{text!r} is no time: {MOMENT_FORMS}")
    return float(digits)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
