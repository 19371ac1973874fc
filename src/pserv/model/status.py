"""What is told of services and of the daemon: the shapes of the API's answers. Nothing is computed here.

Times are seconds since the epoch, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pserv.model.events import Change
from pserv.model.states import Goal, State


class LastExit(msgspec.Struct, frozen=True):
    """How the last run ended; `text` is the same in words ("exit code 1", "killed by SIGSEGV")."""

    result: str
    at: float
    text: str
    code: int | None = None
    signal: str | None = None
    uptime: float = 0.0


class HookStatus(msgspec.Struct, frozen=True):
    """A hook that is running: "pre_start 'migrate --all'"."""

    title: str
    since: float


class NextRun(msgspec.Struct, frozen=True):
    """A time of a schedule; `text` is the same in its time zone."""

    at: float
    text: str


class CrashStatus(msgspec.Struct, frozen=True):
    """The record of the last failure."""

    at: float
    text: str
    uptime: float
    user_cpu: float
    system_cpu: float
    max_rss: int
    lines: tuple[str, ...]


class ProbeResult(msgspec.Struct, frozen=True, gc=False):
    """One answer to a probe: when it was asked, how long it took, how or why not, and the number of the run."""

    at: float
    duration: float
    ok: bool
    detail: str
    run: int


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `pserv status`."""

    name: str
    """As on command lines: "web:2" for an instance."""
    service: str = ""
    """As declared: "web"."""
    instance: int | None = None
    """From 1; none where the service declares no `instances`."""
    state: State
    goal: Goal
    ready: bool
    """A run that lives is ready."""
    health: Literal["healthy", "unhealthy"] | None = None
    """What its health probe says of the run that lives; null where none is declared, or before its first verdict."""
    pid: int | None = None
    run_id: str | None = None
    uptime: float | None = None
    restarts: int = 0
    retries_left: int | None = None
    last_exit: LastExit | None = None
    cpu: float | None = None
    """Share of one processor since the last time somebody asked, else since the run began; 1.0 is one whole core."""
    memory: int | None = None
    """Resident bytes of all processes of the run."""
    processes: int | None = None
    reason: str = ""
    since: float | None = None
    next: float | None = None
    """When the deadline of the present state is; of one that runs the end of its max_runtime."""
    autostart: bool = True
    hooks: tuple[HookStatus, ...] = ()
    """Hooks that are running now."""
    says: str = ""
    """What the run says of itself (STATUS of sd_notify)."""
    reloading: bool = False
    """The run said that it reloads its configuration, and not yet that it has."""
    trouble: str = ""
    """What is wrong beside the state: a log that cannot be written, survivors of SIGKILL, a KILL that was needed."""
    dropped_lines: int = 0
    """Lines of its output that were dropped, as `log.rate` or `log.on_full` says, since the service is known."""
    dropped_bytes: int = 0
    probes: dict[str, tuple[ProbeResult, ...]] = {}
    """The last answers to the probes `ready` and `health`, oldest first; only of services asked for by name."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All about one service: `pserv status NAME`, `pserv why NAME`."""

    service: ServiceStatus
    description: str = ""
    tags: tuple[str, ...] = ()
    command: str = ""
    cwd: str = ""
    user: str = ""
    policy: str = ""
    depends_on: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    """Its listening sockets: "http: tcp 127.0.0.1:8080"."""
    stdout: str = ""
    stderr: str = ""
    why: tuple[str, ...] = ()
    """The chain: state and since when, cause, what will happen next and when; a sentence each."""
    crash: CrashStatus | None = None
    history: tuple[Change, ...] = ()
    lines: tuple[str, ...] = ()
    schedule: str = ""
    """The line and its time zone, where it runs by a schedule."""
    next_runs: tuple[NextRun, ...] = ()
    last_runs: tuple[LastExit, ...] = ()
    """How the last runs of the schedule ended, the latest first."""
    stale: bool = False
    """The declaration changed since this run began, by a reload that could not touch it yet."""


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon beside its services."""

    version: str
    name: str
    keeper_pid: int
    supervisor_pid: int
    logger_pid: int | None = None
    config: tuple[str, ...] = ()
    uptime: float = 0.0
    supervisor_restarts: int = 0
    safe: bool = False
    ending: bool = False
    trouble: tuple[str, ...] = ()
    """Sentences: a file changed and not loaded, a stuck log, strays, what this system lacks, the last traceback."""
    last_traceback: str = ""
    dropped_notices: int = 0
    """Datagrams to the sockets of services that were malformed, too long, or from others' processes."""


class Status(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/status`."""

    daemon: DaemonStatus
    services: tuple[ServiceStatus, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How an action on one service settled."""

    service: str
    ok: bool
    state: State
    reason: str
    after: float
    """Seconds since the action was asked for."""
    pid: int | None = None
    ready: bool = False
    killed: bool = False
    """The stop needed SIGKILL."""


class OptionChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One option that a reload changes. Where the values may be shown, they are as a user reads them."""

    option: str
    live: bool
    """It acts at once; what is not live needs a new run."""
    old: str | None = None
    new: str | None = None
    origin: str = ""
    """Where the new value stands: "pserv.yaml:12"."""

    @property
    def text(self) -> str:
        """ "env.PORT: 1 -> 2"; "env.TOKEN changed" where the values are not shown."""
        verb = "changed"
        if self.old is not None and self.new is not None:
            return f"{self.option} changed" if self.old == self.new else f"{self.option}: {self.old} -> {self.new}"
        if self.old is not None or self.new is not None:
            verb = "removed" if self.new is None else "added"
        return f"{self.option} {verb}"


class Placed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an option is written ("pserv.yaml:12, HOST from .env:3"), and whether its value is better not shown."""

    at: str
    secret: bool = False


class ReloadStep(msgspec.Struct, frozen=True):
    """What a reload does to one service, and the options it does it for ("env.PORT: 1 -> 2")."""

    service: str
    action: Literal["add", "remove", "restart", "live", "unchanged"]
    changes: tuple[str, ...] = ()
    details: tuple[OptionChange, ...] = ()
    """The same as data."""
    renamed: str = ""
    """A service that goes, and was declared as this one is: likely its former name."""
    later: bool = False
    """No run of it lives that would be restarted: it is so from its next start on."""


class KeptConfiguration(msgspec.Struct, frozen=True):
    """A configuration of before that a reload may go back to: 1 is the last one before that which runs."""

    number: int
    at: float
    """When it was accepted."""
    services: tuple[str, ...]


class Variable(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An environment variable of a service as its next start gets it. What looks secret is masked."""

    name: str
    value: str | None = None
    """None where it is not known here (what follows from a user), or it will not be there."""
    origin: str = ""
    """Where it comes from: "pserv.yaml:9", "inherited from the daemon", "set by Pserv"."""
    running: str | None = None
    """What the running one got, where that differs."""
    differs: Literal["", "added", "changed", "removed"] = ""
    """What the next start would make of what the running one got."""


class Environment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The variables of a service; `trouble` says what could not be found out."""

    variables: tuple[Variable, ...]
    pid: int | None = None
    """The process that was compared with."""
    trouble: tuple[str, ...] = ()


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """The exact exec of a service: `pserv show NAME`. Values of environment variables that look secret are masked."""

    argv: tuple[str, ...]
    env: dict[str, str]
    inherits: str
    cwd: str
    user: str
    group: str
    groups: tuple[str, ...] = ()
    umask: str = ""
    nice: int | None = None
    oom_score_adj: int | None = None
    stdout: str = ""
    stderr: str = ""
    tty: bool = False
    steps: tuple[str, ...] = ()
    """What is done in the child before exec, in order."""
