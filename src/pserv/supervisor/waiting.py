"""Waiting until services are as somebody wants them, telling changes on the way. Acts on nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator

from msgspec.structs import replace

from pserv.model import units
from pserv.model.events import Change
from pserv.model.spec import ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.model.status import Outcome
from pserv.rules import standing
from pserv.supervisor.ports import Clock
from pserv.supervisor.rolling import RollingRestart
from pserv.supervisor.supervisor import Supervisor
from pserv.system.tasks import Tasks

Condition = Callable[[ServiceSpec, Life], bool | None]
"""True: reached; False: it cannot be reached any more; None: not yet."""


def settled(spec: ServiceSpec, life: Life) -> bool | None:
    """What waiting commands wait for after an action."""
    if not standing.settled(life):
        return None
    if life.goal is Goal.DOWN:
        return life.phase is Phase.STOPPED and not life.survivors
    return standing.succeeded(life)


def ready(spec: ServiceSpec, life: Life) -> bool | None:
    """Up and ready, or done with success."""
    if life.phase is Phase.RUNNING:
        return True if life.ready_at is not None else None
    return settled(spec, life) if life.phase is not Phase.STOPPED else False


def healthy(spec: ServiceSpec, life: Life) -> bool | None:
    """Ready, and its health probe succeeds where it has one; an unhealthy one may recover."""
    reached = ready(spec, life)
    if reached and life.phase is Phase.RUNNING and spec.health is not None:
        return True if life.health == "healthy" else None
    return reached


def stopped(spec: ServiceSpec, life: Life) -> bool | None:
    return True if life.phase in (Phase.STOPPED, Phase.EXITED, Phase.FAILED) else None


def done(spec: ServiceSpec, life: Life) -> bool | None:
    """Ended for good, which a schedule never is."""
    if life.phase in (Phase.STOPPED, Phase.FAILED) or life.resting:
        return False
    return True if life.phase is Phase.EXITED else None


UNDECLARED = ServiceSpec()
"""Of a service that a reload has taken away."""

CONDITIONS: dict[str, Condition] = {
    "ready": ready,
    "healthy": healthy,
    "stopped": stopped,
    "done": done,
    "settled": settled,
}


async def wait(
    tasks: Tasks,
    supervisor: Supervisor,
    clock: Clock,
    names: Iterable[str],
    condition: Condition,
    timeout: float | None,
    ordered: Callable[[str], bool],
) -> AsyncGenerator[Change | tuple[Outcome, ...], None]:
    """Changes of these services as they come, then all outcomes; what is not reached in `timeout` seconds is not ok.

    What is `ordered`, and waits for its turn, is not as it is going to be. A back-off that outlasts `timeout` is not
    waited for.
    """
    begun = clock.now()
    deadline = None if timeout is None else tasks.time() + timeout
    open_names = dict.fromkeys(names)
    outcomes: dict[str, Outcome] = {}
    listener = supervisor.bus.listen()

    def look(among: Iterable[str]) -> None:
        for name in among:
            life = supervisor.life(name)
            reached = None if ordered(name) else condition(supervisor.specs.get(name, UNDECLARED), life)
            if reached is None and timeout is not None and condition is not stopped and not ordered(name):
                reached = False if _outlasts(life, begun + timeout) else None
            if reached is not None:
                del open_names[name]
                outcomes[name] = outcome(name, life, reached, clock.now() - begun)

    try:
        look(list(open_names))
        while open_names:
            async with tasks.timeout_at(deadline):
                change = await listener.get()
            if isinstance(change, Change) and change.service in open_names:
                yield change
                look([change.service])
            if not listener.waiting:  # whom another's change set free has told nothing: all, but once for many changes
                look(list(open_names))
    except TimeoutError:
        for name in open_names:
            outcomes[name] = _too_late(name, supervisor.life(name), timeout or 0.0, clock.now() - begun)
    finally:
        supervisor.bus.leave(listener)
    yield tuple(outcomes.values())


def _outlasts(life: Life, until: float) -> bool:
    """Whether nothing will be tried before that moment on the monotonic clock."""
    return life.phase is Phase.BACKOFF and life.deadline is not None and life.deadline > until


def _too_late(name: str, life: Life, timeout: float, after: float) -> Outcome:
    said = f"still {life.state} after {timeout:g} s: {life.reason}"
    return Outcome(name, False, life.state, said, after, life.pid or None)


async def rolled(
    tasks: Tasks, supervisor: Supervisor, rolling: RollingRestart, names: Collection[str], timeout: float | None
) -> AsyncGenerator[Change, None]:
    """Changes of these services until none of them is still to be restarted, at most for `timeout` seconds."""
    deadline = None if timeout is None else tasks.time() + timeout
    listener = supervisor.bus.listen()
    try:
        while rolling.under_way(names):
            async with tasks.timeout_at(deadline):
                change = await listener.get()
            if isinstance(change, Change) and change.service in names:
                yield change
    except TimeoutError:
        return
    finally:
        supervisor.bus.leave(listener)


def roll_outcomes(
    supervisor: Supervisor, rolling: RollingRestart, names: Iterable[str], after: float
) -> Iterator[Outcome]:
    """How a rolling restart went with each of these services, up to now."""
    now = rolling.now
    for name in names:
        life = supervisor.life(name)
        told = outcome(name, life, name not in now.left and standing.succeeded(life), after)
        if name in rolling.untouched():
            told = replace(told, reason=f"not touched: the restart of {now.left[0]} failed")
        elif name in now.left and not now.failed:
            told = replace(told, reason=f"still to be restarted after {units.show_duration(after)}")
        yield told


def outcome(name: str, life: Life, ok: bool, after: float) -> Outcome:
    ready_now = life.phase is Phase.RUNNING and life.ready_at is not None
    killed = life.killed and life.phase in AT_REST
    return Outcome(name, ok, life.state, life.reason, after, life.pid or None, ready_now, killed)
