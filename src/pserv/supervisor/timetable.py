"""Which runs of scheduled services come next, and whether the wall clock was set meanwhile. Decides nothing.

The clock is looked at whenever a deadline of a service has come, and once a minute, while something has a schedule:
monotonic timers neither see that it was set nor that the machine slept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pserv.model.spec import ServiceSpec
from pserv.model.states import Due
from pserv.rules import schedule

if TYPE_CHECKING:
    from pserv.supervisor.ports import Clock
    from pserv.system.tasks import Tasks
    from pserv.system.timers import Timer

LOOK_EVERY = 60.0
"""Seconds until a clock that was set is noticed at the latest."""

SLACK = 0.1
"""Seconds that the clocks may run apart (adjtime(2)) before what is due is computed anew."""


def coming(spec: ServiceSpec, clock: Clock, last: Due | None) -> Due | None:
    """The first time after now that a schedule names."""
    from pserv.system.zones import zone

    return schedule.coming(spec, clock.now(), clock.wall(), zone(spec.timezone), last)


def following(spec: ServiceSpec, clock: Clock, count: int, first: Due | None) -> list[Due]:
    """The next times of a schedule."""
    from pserv.system.zones import zone

    return schedule.following(spec, clock.now(), clock.wall(), zone(spec.timezone), count, first)


class ClockWatch:
    """Calls back when the wall clock was set, or went on while the monotonic one stood still."""

    def __init__(self, tasks: Tasks, clock: Clock, changed: Callable[[], None]) -> None:
        self._tasks = tasks
        self._clock = clock
        self._changed = changed
        self._timer: Timer | None = None
        self._offset = 0.0
        """Of the wall clock to the monotonic one; first it counts as set: who knows what was while nobody looked."""

    def keep(self, needed: bool) -> None:
        """Watch as long as it is needed."""
        if needed and self._timer is None:
            self._timer = self._tasks.after(LOOK_EVERY, self._ring)
            self.look()
        elif not needed and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Compare the clocks, since we are awake."""
        offset = self._clock.wall() - self._clock.now()
        if self._timer is not None and abs(offset - self._offset) > SLACK:
            self._offset = offset
            self._changed()

    def _ring(self) -> None:
        self._timer = self._tasks.after(LOOK_EVERY, self._ring)
        self.look()
