"""Which hooks a change of a service's life calls for that nobody waits for; they run beside it. None is run here."""

from __future__ import annotations

from pserv.model.hooks import Kind
from pserv.model.states import AT_REST, Life, Phase, Result

BEGUN = (Phase.WAITING, Phase.PREPARING, Phase.STARTING)


def due(old: Life, new: Life) -> tuple[Kind, ...]:
    """The kinds, in order. A cause calls for its hooks once: for those of health it is `Life.alarm`."""
    kinds: list[Kind] = []
    if new.phase is Phase.RUNNING and old.phase is not Phase.RUNNING:
        kinds.append("post_start")
    if (new.phase is Phase.FAILED and old.phase is not Phase.FAILED) or _run_failed(old, new):
        kinds.append("on_failed")
    if new.alarm != old.alarm:
        kinds.append("on_unhealthy" if new.alarm else "on_healthy")
    return tuple(kinds)


def _run_failed(old: Life, new: Life) -> bool:
    """Whether a run of a schedule has failed and is not tried again; another one may have begun in its place."""
    ended, scheduled = new.ended, old.once or old.due is not None
    if not scheduled or ended is None or ended.run != old.run or ended.result is Result.SUCCESS:
        return False
    over = new.resting or (new.phase is Phase.STOPPED and old.once) or (new.phase in BEGUN and not new.attempt)
    return over and old.phase not in AT_REST and old.phase is not Phase.WAITING


def ended_by(kind: str, new: Life) -> bool:
    """Whether a hook of this kind that is running has no purpose any more: what it follows is over."""
    if kind == "on_failed":
        return False
    return new.phase is not Phase.RUNNING if kind == "post_start" else new.phase is Phase.STOPPED
