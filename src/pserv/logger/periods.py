"""When a period of the calendar ends: the hour, the day, the week, or every so many seconds. No clock is read here.

Local time as people live it: a day ends at midnight, a week on Sunday night, six hours at 00, 06, 12 and 18, whatever
the offset from UTC is then. A period during which the offset changes is shorter or longer by the change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

Offset = Callable[[float], int]
"""Seconds east of UTC at a moment."""
HOUR: Final = 3600.0
_FROM_MONDAY: Final = 3 * 86400
"""1970 began on a Thursday."""


def local_offset(at: float) -> int:
    """Seconds east of UTC at a moment, in the time zone of this process."""
    return time.localtime(at).tm_gmtoff


def end(every: float, now: float, offset: Offset = local_offset) -> float:
    """When the period of `every` seconds ends in which `now` lies; always later than `now`."""
    here = offset(now)
    turn = now + every - (now + here + _FROM_MONDAY) % every
    there = offset(turn)
    if there != here and every > HOUR:  # shorter ones go on as they were: each hour that passes is one
        shifted = turn + here - there
        if shifted > now and offset(shifted) == there:  # else that local time is skipped: its end is the change itself
            return shifted
    return max(turn, now + min(1.0, every))  # rounding must not make it now
