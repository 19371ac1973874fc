"""When a scheduled service runs next, and how it rests until then. What begins a run is in `due`."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model import units
from pserv.model.events import Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import Due, Goal, Life, Phase
from pserv.rules.decision import at_rest

TYPE_CHECKING = False  # datetime is imported with the first schedule
if TYPE_CHECKING:
    from datetime import tzinfo

LATE = 0.002
"""Seconds between the time itself and our deadline: the two clocks are not read at one moment."""

GRACE = 60.0
"""Seconds that the clock may be set by without anything being missed, or run a second time."""

EVERY = "@every"


def period(line: str) -> float | None:
    """Seconds of `@every 90s`; None for a cron line. Raises ValueError."""
    word, _, duration = line.strip().partition(" ")
    if word.lower() != EVERY:
        return None
    seconds = units.parse_duration(duration)
    if seconds < 1:
        raise ValueError(f"{line.strip()!r} is less than a second")
    return seconds


def known_as(spec: ServiceSpec) -> str:
    """What a time that is due belongs to: it counts no more once the line or the zone has changed."""
    return f"{spec.schedule} {spec.timezone or ''}".rstrip()


def coming(spec: ServiceSpec, now: float, wall: float, zone: tzinfo, last: Due | None = None) -> Due | None:
    """The first time after now. `last` is the time before, from which `@every` counts so that it does not drift.

    `now` is monotonic, `wall` since the epoch, both in seconds.
    """
    from datetime import UTC, datetime

    assert spec.schedule is not None
    every = period(spec.schedule)
    if every is not None:
        begin = last.deadline if last is not None and last.of == known_as(spec) else now
        deadline = begin if begin > now else begin + every * (int((now - begin) / every) + 1)
        at = wall + deadline - now
    else:
        from pserv.rules import cron

        moment = cron.parse(spec.schedule).next(datetime.fromtimestamp(wall, UTC), zone)
        if moment is None:
            return None
        at = moment.timestamp()
        deadline = now + at - wall + LATE
    text = datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    return Due(at, deadline, text, known_as(spec))


def following(spec: ServiceSpec, now: float, wall: float, zone: tzinfo, count: int, first: Due | None) -> list[Due]:
    """The next times, beginning with `first` where that is still to come."""
    found: list[Due] = []
    still_next = first is not None and first.of == known_as(spec) and not is_over(first, now, wall)
    due = first if still_next else coming(spec, now, wall, zone, first)
    while due is not None and len(found) < count:
        found.append(due)
        due = coming(spec, due.deadline, due.at, zone, due)
    return found


def is_over(due: Due, now: float, wall: float) -> bool:
    """Whether the time has come: `@every` goes by the monotonic clock, all else by the wall clock."""
    return now >= due.deadline if due.of.startswith(EVERY) else wall >= due.at


def passed(due: Due, situation: Situation) -> bool:
    return is_over(due, situation.now, situation.wall)


def jumped(due: Due, situation: Situation) -> float:
    """Seconds that the wall clock was set forward (or slept through) since this was computed; negative: back."""
    if due.of.startswith(EVERY):
        return 0.0
    return (situation.wall - situation.now) - (due.at - due.deadline)


def retimed(due: Due, situation: Situation) -> Due:
    """The same time; when that is on the monotonic clock is computed anew."""
    if due.of.startswith(EVERY):
        return due
    return replace(due, deadline=situation.now + due.at - situation.wall + LATE)


def caught_up(spec: ServiceSpec, life: Life, situation: Situation) -> Life:
    """With the time that is due next as schedule and clock are now; one that was missed is told."""
    due = life.due
    if spec.schedule is None or due is None:
        return life
    if due.of != known_as(spec):
        return replace(life, due=situation.due)
    if not passed(due, situation) or jumped(due, situation) < GRACE:
        return replace(life, due=retimed(due, situation))
    if spec.missed == "run":
        return life
    return replace(life, due=situation.due, reason=f"{life.reason}; {missed(due)}")


def missed(due: Due) -> str:
    return f"missed the run due at {due.text}: the machine slept, or its clock was set"


def still(spec: ServiceSpec, life: Life, situation: Situation) -> Due | None:
    """The time that was next, if it still is: it has not come, and neither the schedule nor the clock was changed."""
    due = life.due
    if due is None or due.of != known_as(spec) or passed(due, situation) or jumped(due, situation) <= -GRACE:
        return None
    return retimed(due, situation)


def rest(spec: ServiceSpec, life: Life, situation: Situation, cause: str) -> Life:
    """Waiting for the next run; a run by hand of what was stopped goes back to that."""
    if life.once:
        down = replace(life, goal=Goal.DOWN, once=False, due=None)
        return at_rest(down, Phase.STOPPED, situation.now, cause)
    due = still(spec, life, situation) or situation.due
    told = "no run is to come" if due is None else f"next run at {due.text}"
    waits = replace(life, due=due, attempt=0, hung=0)
    resting = at_rest(waits, Phase.WAITING, situation.now, f"{told}; {cause}", None if due is None else due.deadline)
    return replace(resting, resting=True, since=life.since if life.resting else situation.now)


def replaced_at(spec: ServiceSpec, life: Life) -> float | None:
    """When the run under way is to make place for the next, on the monotonic clock; None where it never is."""
    due = life.due
    if spec.overlap != "kill" or life.once or due is None or spec.schedule is None or due.of != known_as(spec):
        return None
    return due.deadline


def replaces(spec: ServiceSpec, life: Life, situation: Situation) -> bool:
    """Whether one that is due takes the place of the run under way, or of the one that just ended."""
    if replaced_at(spec, life) is None or life.due is None or not passed(life.due, situation):
        return False
    return spec.missed == "run" or jumped(life.due, situation) < GRACE
