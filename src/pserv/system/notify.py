"""What a service says of itself, from the words of sd_notify(3). Who said it is known already; nothing follows here."""

from __future__ import annotations

import msgspec

MOST_STATUS = 512
"""Characters of a STATUS that are kept."""

_INFINITY = 2**64 - 1


class Notice(msgspec.Struct, frozen=True):
    """One datagram. Times are seconds; None, "" and False are what it does not speak of."""

    ready: bool = False
    reloading: bool = False
    reload_began: float | None = None
    """MONOTONIC_USEC: when the reload began, on the monotonic clock."""
    stopping: bool = False
    status: str | None = None
    """Empty: what was said before is not so any more."""
    alive: bool = False
    hung: bool = False
    """WATCHDOG=trigger: it asks to be ended as if it had not given a sign of life."""
    watchdog: float | None = None
    """How often it gives a sign of life from now on; 0 is never."""
    extend: float | None = None
    errno: int | None = None
    exit_status: int | None = None


def read(text: str) -> Notice:
    """What is understood of it; lines that are not, and values that make no sense, are passed over.

    Of a variable that is there twice the first counts, as for systemd.
    """
    said: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            said.setdefault(name, value)
    status = said.get("STATUS")
    return Notice(
        ready=said.get("READY") == "1",
        reloading=said.get("RELOADING") == "1",
        reload_began=_seconds(said.get("MONOTONIC_USEC")),
        stopping=said.get("STOPPING") == "1",
        status=None if status is None else status[:MOST_STATUS],
        alive=said.get("WATCHDOG") == "1",
        hung=said.get("WATCHDOG") == "trigger",
        watchdog=_seconds(said.get("WATCHDOG_USEC")),
        extend=_seconds(said.get("EXTEND_TIMEOUT_USEC")),
        errno=_number(said.get("ERRNO")),
        exit_status=_number(said.get("EXIT_STATUS")),
    )


def _number(text: str | None) -> int | None:
    """A number of a sensible size in plain digits."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 20:
        return None
    return int(text)


def _seconds(text: str | None) -> float | None:
    microseconds = _number(text)
    if microseconds is None or microseconds > _INFINITY:
        return None
    return 0.0 if microseconds == _INFINITY else microseconds / 1e6
