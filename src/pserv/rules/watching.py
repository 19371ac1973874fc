"""What a change of watched files means to a service. Who sees changes is `system.watching`."""

from __future__ import annotations

import msgspec

from pserv.model.states import Goal, Life, Phase

SOON = 5.0
"""Seconds: a change this soon after a start may be the service's own doing."""
MOST = 3
"""So many times in a row the same file may change soon after the start that its last change had caused."""


def acts(life: Life) -> bool:
    """Whether a change is any news to it: not when it is down as asked, nor when its next run is yet to come anyway."""
    if life.goal is Goal.DOWN or life.phase in (Phase.STOPPED, Phase.WAITING, Phase.LISTENING):
        return False
    return not (life.again and life.phase in (Phase.CLOSING, Phase.STOPPING, Phase.ENDING, Phase.CLEANING))


class Streak(msgspec.Struct, frozen=True):
    """How often in a row one file changed soon after a start."""

    run: int = 0
    """The run that lived when it changed last."""
    count: int = 0

    @property
    def endless(self) -> bool:
        return self.count >= MOST


def counted(streak: Streak | None, life: Life, now: float) -> Streak:
    """The streak of a file with one more change; None where it has not changed before."""
    if streak is None:
        return Streak(life.run)
    soon = now - (life.started or now) < SOON and (life.run != streak.run or streak.endless)
    return Streak(life.run, streak.count + 1 if soon else 0)
