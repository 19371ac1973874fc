"""States of a service, its goal, and the words for how a run ended. The rules that move between them are in `rules`."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class Goal(StrEnum):
    """What an operator wants of a service."""

    UP = "up"
    DOWN = "down"


class State(StrEnum):
    """The public names, as shown to users and promised to scripts."""

    STOPPED = "stopped"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    EXITED = "exited"
    FAILED = "failed"


class Phase(StrEnum):
    """Where the machine is: the public states, with the parts of `starting` and `stopping` apart.

    `waiting` is for others, `listening` for a connection. `preparing` runs pre_start hooks, `starting` waits for the
    run. `closing` runs pre_stop hooks, `stopping` waits for the main process, `ending` for what is left of its run
    after it, `cleaning` runs post_stop hooks.
    """

    STOPPED = "stopped"
    WAITING = "waiting"
    LISTENING = "listening"
    PREPARING = "preparing"
    STARTING = "starting"
    RUNNING = "running"
    CLOSING = "closing"
    STOPPING = "stopping"
    ENDING = "ending"
    CLEANING = "cleaning"
    BACKOFF = "backoff"
    EXITED = "exited"
    FAILED = "failed"

    @property
    def state(self) -> State:
        return _PARTS.get(self) or State(self.value)


_PARTS = {
    Phase.LISTENING: State.WAITING,
    Phase.PREPARING: State.STARTING,
    Phase.CLOSING: State.STOPPING,
    Phase.ENDING: State.STOPPING,
    Phase.CLEANING: State.STOPPING,
}


AT_REST = frozenset({Phase.STOPPED, Phase.EXITED, Phase.FAILED})
"""No run lives and none is to come by itself."""


class Result(StrEnum):
    """How a run ended: systemd's SERVICE_RESULT words (systemd.exec(5))."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    TIMEOUT = "timeout"
    WATCHDOG = "watchdog"
    OOM_KILL = "oom-kill"
    START_LIMIT = "start-limit"
    RESOURCES = "resources"
    PROTOCOL = "protocol"


class Ended(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one run ended. `at` is monotonic, `uptime` in seconds; `step`, `errno` and `text` tell a failed spawn.

    `detail` is the object of a failed step, or why we stopped it ourselves ("not ready after 60 s").
    """

    result: Result
    run: int
    at: float
    uptime: float = 0.0
    code: int | None = None
    signal: int | None = None
    step: str = ""
    errno: int = 0
    text: str = ""
    detail: str = ""
    killed: bool = False


class Due(msgspec.Struct, frozen=True, omit_defaults=True):
    """A time at which a scheduled service runs: since the epoch, and when that is on the monotonic clock.

    `text` is for people, in the schedule's zone; `of` is the schedule that it belongs to.
    """

    at: float
    deadline: float
    text: str
    of: str


class Crash(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record that a failed run leaves: CPU in seconds, resident peak in bytes, the last lines it printed."""

    ended: Ended
    user_cpu: float = 0.0
    system_cpu: float = 0.0
    max_rss: int = 0
    lines: tuple[str, ...] = ()


class HookRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hook that the service waits for; all that is needed of its declaration, which may be exchanged meanwhile.

    `cause` is the reason that stands again once the hooks are over; `failure` is why it failed, "" while it did not.
    """

    kind: str
    index: int
    run: int
    title: str
    since: float
    timeout: float
    ignored: bool
    cause: str
    failure: str = ""
    asked: bool = False
    """All of it was sent TERM."""
    killed: bool = False
    """All of it was sent SIGKILL."""


class Life(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the machine remembers of one service; it is also the note that the keeper stores.

    Times are seconds on the monotonic clock, which keeper and supervisor share.
    """

    phase: Phase = Phase.STOPPED
    goal: Goal = Goal.DOWN
    reason: str = "not started yet"
    since: float = 0.0
    run: int = 0
    """The run that lives or lived last; 0 before the first."""
    pid: int = 0
    forked: bool = False
    """The command of a `forking` service has ended, and which process is its main one is not known yet."""
    adopted: float | None = None
    """When the main process of a `forking` service became known."""
    started: float = 0.0
    """When the current run was spawned; 0 when none lives."""
    ready_at: float | None = None
    well_at: float | None = None
    """Since when it is ready and not unhealthy; what makes a run stable is counted from here."""
    health: Literal["", "healthy", "unhealthy"] = ""
    """What the health probe says of this run; "" before it said anything."""
    extended: float | None = None
    """Until when the run asked to be given time, to start or to stop."""
    attempt: int = 0
    """Automatic restarts since the service was last stable or started by an operator."""
    hung: int = 0
    """Restarts of the streak that this run ended by being stable; should its watchdog end it, it never was."""
    restarts: int = 0
    """All automatic restarts since the operator's last start."""
    waited: float = 0.0
    """Seconds that the start of the last run waited for what it needs."""
    deadline: float | None = None
    step: int = 0
    """Which of the stop steps is under way; len(steps) after the KILL."""
    again: bool = False
    """An operator asked for a restart: when the run is gone, start without asking the policy."""
    verdict: Result | None = None
    """Why we stop it ourselves, when that is a failure (timeout); None when an operator asked."""
    fault: str = ""
    """The verdict in words: "not ready after 60 s"."""
    order: str = ""
    """The last order, in words: "started by operator", "stopped by reload"."""
    kill_at: float | None = None
    """When SIGKILL ends this stop at the latest; once it was sent, when."""
    killed: bool = False
    """This stop needed SIGKILL."""
    ended: Ended | None = None
    """How the last run ended."""
    survivors: tuple[str, ...] = ()
    """Processes that SIGKILL did not end ("pid 123 (cp), state D")."""
    hook: HookRun | None = None
    """The hook that is waited for, in the phases `preparing`, `closing` and `cleaning`."""
    left: bool = False
    """The main process ended during `closing`, and something of its run was left."""
    alarm: bool = False
    """Hooks were called for because it is not well; kept beyond its run, until it is well again."""
    listening: bool = False
    """Its sockets may be open: they are from its first start until it is at rest."""
    listens: int = 0
    """The order to listen whose first connection is waited for, a number as that of a run."""
    woken: bool = False
    """A connection has come, or it was restarted by hand: it is started without waiting for one."""
    quick: int = 0
    """Starts in a row by a connection that was there already when a short run ended."""
    hurried: bool = False
    """This stop was told to hurry: no post_stop hooks are run after it."""
    due: Due | None = None
    """The next run of its schedule; while a run is under way the first that may overlap it."""
    resting: bool = False
    """It waits for nothing but its schedule."""
    once: bool = False
    """Run by hand while its schedule was stopped: stopped again after it."""
    anew: bool = False
    """An operator wants it up, and its env files and secrets are read before its next run."""

    @property
    def state(self) -> State:
        return self.phase.state
