"""Lines that bear the name of their service: for one place where several services print, and for syslog."""

from __future__ import annotations

import time

from pserv.logger.formats import Buffers, between

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.facts import Facts
    from pserv.logger.settings import Settings

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Prefixed:
    """Lines with the name before them. What that looks like is told: the same as `pserv up` shows."""

    __slots__ = ("_prefix", "_timestamps")

    def __init__(self, settings: Settings, facts: Facts) -> None:
        self._prefix = facts.prefix.encode()
        self._timestamps = settings.timestamps

    def section(self, text: bytes, partial: bool, stamp: bytes) -> Buffers:
        return _each(b"%b%b " % (self._prefix, stamp) if self._timestamps else self._prefix, text, partial)


class Syslog:
    """Messages to a syslog of this machine, as syslog(3) sends them; a newline is where one ends."""

    __slots__ = ("_tag",)

    PRIORITY: Final = 3 * 8 + 6
    """Facility daemon, severity info."""

    def __init__(self, facts: Facts) -> None:
        self._tag = f"{facts.prefix}[{facts.pid}]: " if facts.pid > 0 else f"{facts.prefix}: "

    def section(self, text: bytes, partial: bool, stamp: bytes) -> Buffers:
        now = time.localtime()
        at = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
        return _each(f"<{self.PRIORITY}>{at} {self._tag}".encode(), text, partial)


def _each(begin: bytes, text: bytes, partial: bool) -> Buffers:
    """What comes before each line, and the lines."""
    return [begin, text, b"\n"] if partial else between(text, begin, b"\n")
