"""One line of a log file: when it was written, what was printed, what else it says. Where lines come from is elsewhere.

A line is JSON as the logger writes it, or has a time of the logger's before it, or is as it was printed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pserv.model.moments import parse_instant

JSON_BEGIN: Final = b'{"ts":"'
STAMP: Final = 27
"""Bytes of a time: `2026-11-23T03:24:07.123456Z`. A blank follows, or `+` where the line goes on in the next."""
SEVERITY: Final = {
    **dict.fromkeys(("trace", "verbose", "finest", "silly"), 0),
    **dict.fromkeys(("debug", "fine", "d", "dbg"), 1),
    **dict.fromkeys(("info", "information", "informational", "i", "inf", "log"), 2),
    **dict.fromkeys(("notice",), 3),
    **dict.fromkeys(("warning", "warn", "w", "wrn"), 4),
    **dict.fromkeys(("error", "err", "severe", "e"), 5),
    **dict.fromkeys(("critical", "crit", "fatal", "panic", "alert", "emerg", "emergency", "dpanic", "c", "f"), 6),
}
"""Names of levels as loggers have them, in lower case. Numbers: 0 to 7 as syslog has them, from 10 on as pino has."""
_SYSLOG: Final = (6, 6, 6, 5, 4, 3, 2, 1)
_PINO: Final = ((60, 6), (50, 5), (40, 4), (30, 2), (20, 1))


class Times:
    """Seconds since 1970 of the times before lines; most lines share their second with the one before."""

    __slots__ = ("_at", "_second")

    def __init__(self) -> None:
        self._second = b""
        self._at: float | None = None

    def of(self, line: bytes) -> float | None:
        """Of a line that bears one; None for any other."""
        start = len(JSON_BEGIN) if line.startswith(JSON_BEGIN) else 0
        stamp = line[start : start + STAMP]
        if stamp[19:20] != b"." or stamp[26:27] != b"Z" or line[start + STAMP : start + STAMP + 1] not in _AFTER[start]:
            return None
        if stamp[:19] != self._second:
            self._second, self._at = stamp[:19], parse_instant(f"{stamp[:19].decode('latin-1')}Z")
        fraction = stamp[20:26]
        return None if self._at is None or not fraction.isdigit() else self._at + int(fraction) / 1e6


_AFTER: Final = {0: (b" ", b"+"), len(JSON_BEGIN): (b'"',)}


def decoded(line: bytes) -> dict[str, Any] | None:
    """A line that the logger wrote as JSON; None for any other."""
    if not line.startswith(JSON_BEGIN):
        return None
    try:
        found = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("message"), str) and "run" in found else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)


def severity(level: object) -> int | None:
    """How bad a level is, 0 to 6; None for one that nobody knows."""
    if isinstance(level, str):
        word = level.strip().lower()
        return severity(int(word)) if word.isascii() and word.isdigit() and len(word) < 4 else SEVERITY.get(word)
    if isinstance(level, (int, float)) and not isinstance(level, bool):
        if 0 <= level < len(_SYSLOG):
            return _SYSLOG[int(level)]
        return next((rank for least, rank in _PINO if level >= least), 0 if level >= len(_SYSLOG) else None)
    return None
