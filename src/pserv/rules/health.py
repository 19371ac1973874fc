"""A row of answers to a probe -> what is known of the run, what is told of it, when it is asked next. Asks nothing."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from pserv.model.events import Event, Healthy, Ready, Unhealthy, Unready
from pserv.model.probe import Probe
from pserv.model.probe import Ready as ReadyProbe
from pserv.model.spec import ServiceSpec
from pserv.model.states import Life, Phase
from pserv.rules import restart

Which = Literal["ready", "health"]
"""The two probes of a service."""

FIRST = 0.05
"""Seconds from the spawn (and `initial_delay`) to the first question; until the first success the gap doubles."""
SLOWEST = 1.0
"""Seconds that this gap grows to."""


class Tally(Struct, frozen=True):
    """What the answers until now come to."""

    well: bool | None = None
    """The verdict; None before the first."""
    ok: bool = False
    """The last answer that counted."""
    row: int = 0
    """So many answers like it came in a row."""
    asked: int = 0
    """Questions since the run began, or since a supervisor took it over."""


def declared(spec: ServiceSpec) -> dict[Which, Probe]:
    """The probes of a service that are asked; what the service says itself (`ready: {fd: 3}`) is none."""
    probes: dict[Which, Probe | None] = {"ready": spec.ready, "health": spec.health}
    return {which: probe for which, probe in probes.items() if probe is not None and probe.kind not in ("", "fd")}


def starting(life: Life) -> bool:
    """Whether a failure does not count yet: until the run is ready, `start_timeout` rules (kubelet's startupProbe)."""
    return life.phase is Phase.STARTING


def resumed(which: Which, life: Life) -> Tally:
    """What a supervisor that takes over a run knows of the answers before it."""
    if which == "ready":
        known = None if starting(life) else life.ready_at is not None
    else:
        known = {"healthy": True, "unhealthy": False}.get(life.health)
    return Tally(well=known)


def counted(probe: Probe, tally: Tally, ok: bool | None, *, early: bool) -> Tally:
    """The tally with one more answer, None for one that says nothing; `early`: it came while the run is `starting`."""
    if ok is None:
        return replace(tally, asked=tally.asked + 1)
    if early and not ok:
        return Tally(well=tally.well, asked=tally.asked + 1)
    row = tally.row + 1 if tally.row and tally.ok == ok else 1
    changes = row >= (probe.successes if ok else probe.failures)
    return Tally(ok if changes else tally.well, ok, row, tally.asked + 1)


def over(probe: Probe, tally: Tally) -> bool:
    """Whether nothing more is to be asked: readiness once reached is believed, unless it sets `interval`."""
    return tally.well is True and isinstance(probe, ReadyProbe) and probe.interval is None


def first_wait(probe: Probe, tally: Tally, ran: float, chance: float) -> float:
    """Seconds until the first question to a run that has lasted `ran` seconds; `chance` in [0, 1) spreads the phases.

    A run that is new is asked at its own time; those that a supervisor takes over are many at once.
    """
    due = probe.initial_delay + FIRST - ran
    if tally.well is not None:
        return max(due, chance * probe.every)
    return due if due > 0 else chance * SLOWEST


def wait(probe: Probe, before: Tally, after: Tally, *, early: bool, chance: float) -> float:
    """Seconds until the next question, after the answer that made `after` of `before`.

    The first gap after a verdict is cut at random: services that were started together are not asked together.
    """
    if early and after.well is not True:
        return min(FIRST * 2.0 ** min(after.asked - 1, 10), SLOWEST)
    if before.well is None and after.well is not None:
        return chance * probe.every
    return probe.every


def news(which: Which, spec: ServiceSpec, life: Life, tally: Tally, why: str, *, tracer: int) -> tuple[Event, ...]:
    """What the machine is told: only what differs from what it knows. `tracer`: pid of who debugs the run, or 0."""
    if tally.well is None:
        return ()
    if which == "ready":
        if tally.well:
            return (Ready(life.run, why),) if life.ready_at is None else ()
        return (Unready(life.run, why),) if life.ready_at is not None and not starting(life) else ()
    if tally.well:
        return (Healthy(life.run, why),) if life.health != "healthy" else ()
    return _unhealthy(spec, life, why, tracer)


def _unhealthy(spec: ServiceSpec, life: Life, why: str, tracer: int) -> tuple[Event, ...]:
    wanted = spec.health is not None and spec.health.on_failure == "restart"
    ends = wanted and not tracer
    if wanted and tracer:
        why = f"{why}; not ended while process {tracer} traces it"
    would_end = ends and "watchdog" in restart.RESTARTS[spec.policy]
    # One that is unhealthy and was let live is ended when the reason to let it live is gone.
    return (Unhealthy(life.run, why, ends),) if would_end or life.health != "unhealthy" else ()
