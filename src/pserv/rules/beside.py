"""Which hooks a change of a service's life calls for that nobody waits for; they run beside it. None is run here."""

from __future__ import annotations

from pserv.model.hooks import Kind
from pserv.model.states import Life, Phase


def due(old: Life, new: Life) -> tuple[Kind, ...]:
    """The kinds, in order. A cause calls for its hooks once: for those of health it is `Life.alarm`."""
    kinds: list[Kind] = []
    if new.phase is Phase.RUNNING and old.phase is not Phase.RUNNING:
        kinds.append("post_start")
    if new.phase is Phase.FAILED and old.phase is not Phase.FAILED:
        kinds.append("on_failed")
    if new.alarm != old.alarm:
        kinds.append("on_unhealthy" if new.alarm else "on_healthy")
    return tuple(kinds)


def ended_by(kind: str, new: Life) -> bool:
    """Whether a hook of this kind that is running has no purpose any more: what it follows is over."""
    if kind == "on_failed":
        return False
    return new.phase is not Phase.RUNNING if kind == "post_start" else new.phase is Phase.STOPPED
