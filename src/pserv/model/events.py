"""What can happen to a service, what is known beside it, and how a change is told. What is done is in `effects`."""

from __future__ import annotations

import msgspec

from pserv.model.states import Due, Goal, Phase


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that happened. Facts about a run carry its id: news of another run is dropped by one guard."""


class Start(Event, frozen=True, tag=True):
    """Wanted up. `by` reads on in a reason: "operator", "daemon start", "reload"."""

    by: str = "operator"


class Stop(Event, frozen=True, tag=True):
    """Wanted down."""

    by: str = "operator"


class Restart(Event, frozen=True, tag=True):
    """Wanted up, by a new run, whatever the policy."""

    by: str = "operator"


class Run(Event, frozen=True, tag=True):
    """One run now of something that ends, whatever its schedule."""

    by: str = "operator"


class ClockChanged(Event, frozen=True, tag=True):
    """The wall clock was set, or went on while the machine slept; what goes by it is computed anew."""


class Hurry(Event, frozen=True, tag=True):
    """A second order to end: every wait of a stop under way is shortened to nothing."""


class DependenciesChanged(Event, frozen=True, tag=True):
    """Something that this service waits for has changed; the situation says whether it may start now."""


class DeadlinePassed(Event, frozen=True, tag=True):
    """The clock reached `Life.deadline`."""


class Spawned(Event, frozen=True, tag=True):
    """execve succeeded. `at` is when, on the monotonic clock; None means now."""

    run: int
    pid: int
    at: float | None = None


class SpawnFailed(Event, frozen=True, tag=True):
    """A step before or in execve failed; `step` names it ("chdir", "exec"), `detail` is its object (the path).

    `text` is the errno in words, as os.strerror gives it; `at` is when, on the monotonic clock; None means now.
    """

    run: int
    step: str
    errno: int
    detail: str = ""
    text: str = ""
    at: float | None = None


class Exited(Event, frozen=True, tag=True):
    """The main process ended and its output is drained. `gone`: nothing else of the run is left.

    `at` is when it ended, on the monotonic clock (a supervisor may learn of it much later); None means now.
    """

    run: int
    code: int | None = None
    signal: int | None = None
    core: bool = False
    oom: bool = False
    gone: bool = True
    at: float | None = None


class Gone(Event, frozen=True, tag=True):
    """Nothing of the run is left, but the survivors of SIGKILL that are named."""

    run: int
    survivors: tuple[str, ...] = ()


class Ready(Event, frozen=True, tag=True):
    """The run said or showed that it is ready; `why` is how ("http 200", "READY=1"), `at` as of `Spawned`."""

    run: int
    why: str = ""
    at: float | None = None


class Unready(Event, frozen=True, tag=True):
    """A run that was ready is not any more; it is left alone."""

    run: int
    why: str


class Healthy(Event, frozen=True, tag=True):
    """The health probe succeeds (again)."""

    run: int
    why: str = ""


class Unhealthy(Event, frozen=True, tag=True):
    """The health probe failed so often that it counts. `ends`: the run is to be ended if it would be started again."""

    run: int
    why: str
    ends: bool = True


class WatchdogExpired(Event, frozen=True, tag=True):
    """The run did not give the sign of life that it had promised, or asked itself for its end."""

    run: int
    why: str


class Extended(Event, frozen=True, tag=True):
    """The run asked for more time to start or to stop (EXTEND_TIMEOUT_USEC): until then, on the monotonic clock."""

    run: int
    until: float


class MainChanged(Event, frozen=True, tag=True):
    """Another process of the run is its main process now (MAINPID, or it went to the background)."""

    run: int
    pid: int


class MainUnknown(Event, frozen=True, tag=True):
    """Which process is the main one of a run that went to the background is not known, or not yet: `why`."""

    run: int
    why: str


class HookEnded(Event, frozen=True, tag=True):
    """The main process of a hook ended, or never was; `why` it failed, "" where it did not. `gone`: as of `Exited`."""

    run: int
    why: str = ""
    gone: bool = True


class HookGone(Event, frozen=True, tag=True):
    """Nothing of a hook's run is left."""

    run: int


class StartFailed(Event, frozen=True, tag=True):
    """A hook beside the run says that its start has failed (post_start with `on_failure: fail`)."""

    run: int
    why: str


class Connected(Event, frozen=True, tag=True):
    """Somebody waits at a socket that was opened by the order `listens`; `what` is its name and address."""

    listens: int
    what: str = ""


class ListenFailed(Event, frozen=True, tag=True):
    """A socket cannot be opened: `detail` is its address, `text` the error in words; `at` as of `SpawnFailed`."""

    listens: int
    errno: int
    detail: str = ""
    text: str = ""
    at: float | None = None


class Resolved(Event, frozen=True, tag=True):
    """Its env files and secrets were read."""


class Unresolved(Event, frozen=True, tag=True):
    """One of its env files or secrets could not be read; `why` names it, and never a value."""

    why: str


class Configured(Event, frozen=True, tag=True):
    """The spec was exchanged while the service may be running; deadlines are taken anew from it."""


class Situation(msgspec.Struct, frozen=True):
    """What the machine may know besides the service's own life.

    `now` is the monotonic clock in seconds; `chance` a random number in [0, 1) for jitter; `next_run` the id a
    spawn would get; `blocked` why it may not start yet, which is to be looked at again at `until`; `hopeless` why it
    never will; `answer` what the last probe of a run that is not ready said. Of a scheduled service `due` is the first
    time after now, and `wall` the time since the epoch. `references` is what is to be read for it, "" where that is
    nothing or was read for this order; `read`: what an earlier order read of it is known.
    """

    now: float
    chance: float = 0.5
    next_run: int = 1
    blocked: str = ""
    hopeless: str = ""
    until: float | None = None
    wall: float = 0.0
    due: Due | None = None
    answer: str = ""
    references: str = ""
    read: bool = False


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of history: what listeners and `pserv events` are told. `at` is seconds since the epoch."""

    seq: int
    at: float
    service: str
    kind: str
    """"state" for a change of phase, else what happened: "probe" (it fails, and did not before), "unready", "healthy",
    "unhealthy", "reload", "supervisor", "log", "signal", "socket" (one cannot be opened yet)."""
    phase: Phase | None = None
    goal: Goal | None = None
    reason: str = ""
    run: int = 0
    pid: int = 0
