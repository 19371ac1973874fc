"""Every option of a service and of the daemon: type, default, one line of text, live or not. Decoding is in `config`.

A field's type says how `config.decode` reads it, its text becomes the options page and the JSON Schema, its `live`
flag is what `rules.reload` goes by: a new option is its line here and its use.

Where options are declared annotations are no text (`from __future__ import annotations`): msgspec and `config.shapes`
would compile each, 15 ms of every start of a daemon.
"""

import zlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pserv.model.hooks import Hooks, Reload
from pserv.model.kinds import Arguments, CommandLine, Duration, Limit, Octal, Path, Words, fixed, live
from pserv.model.listening import Socket
from pserv.model.log import Logging
from pserv.model.needs import Need
from pserv.model.probe import Health, Ready
from pserv.model.restart import Backoff, Policy
from pserv.model.secrets import EnvFile, Secret
from pserv.model.stop import Stop, StopStep
from pserv.model.watching import Watch

FORMAT = 1
"""Version of the accepted document; fields are only added within one version."""


class Extends(Struct, frozen=True, forbid_unknown_fields=True):
    """Another service whose options stand below a service's own. A user may write only its name."""

    service: Annotated[str, live("The service whose options are taken.")]
    file: Annotated[Path | None, live("The file that declares it, if it is not part of the configuration.")] = None


class ServiceSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a user may declare of one service."""

    exec: Annotated[
        str | None,
        Meta(extra={"kind": "program"}),
        fixed("The program: a path, or a name looked up in the service's PATH."),
    ] = None
    args: Annotated[Arguments, fixed("Arguments of `exec`.")] = ()
    command: Annotated[
        CommandLine | None, fixed("Program and arguments in one: a string without shell syntax, or a list.")
    ] = None
    shell: Annotated[str | None, fixed("A line for /bin/sh -c.")] = None
    name: Annotated[str | None, fixed("Equals the key; names an entry when `services` is a list.")] = None
    extends: Annotated[
        Extends | None, live("A service, here or in another `file`, whose options stand where this one says nothing.")
    ] = None
    profiles: Annotated[Words, live("Declared only with one of these profiles (`--profile dev`); unset: always.")] = ()
    description: Annotated[str, live("One line for people.")] = ""
    tags: Annotated[Words, live("Groups on the command line: `pserv stop @workers`.")] = ()
    env: Annotated[dict[str, str], fixed("Environment variables."), Meta(extra={"kind": "environment"})] = {}
    env_file: Annotated[
        tuple[EnvFile, ...],
        Meta(extra={"kind": "env_files"}),
        fixed("Files of variables, a path or a list; a later one wins over those before it, and `env` over all."),
    ] = ()
    secrets: Annotated[
        dict[str, Secret],
        Meta(extra={"kind": "secrets"}),
        fixed("Values that stand in no file of Pserv, by name: variables, files, or `${secrets.NAME}` within `env`."),
    ] = {}
    inherit_env: Annotated[
        bool | Words | None,
        fixed(
            "Whether the daemon's environment is inherited: true, false, or the names that are. "
            "By default true, or with another `user` only PATH, LANG, LC_* and TZ."
        ),
    ] = None
    cwd: Annotated[Path | None, fixed("Working directory; by default the main file's folder.")] = None
    user: Annotated[str | None, fixed("User to run as: a name or a number.")] = None
    group: Annotated[str | None, fixed("Group to run as; by default the user's.")] = None
    supplementary_groups: Annotated[Words | None, fixed("Further groups; by default the user's.")] = None
    umask: Annotated[Octal | None, fixed("File mode creation mask; by default the daemon's.")] = None
    nice: Annotated[Annotated[int, Meta(ge=-20, le=19)] | None, fixed("Scheduling priority, -20 to 19.")] = None
    oom_score_adj: Annotated[
        Annotated[int, Meta(ge=-1000, le=1000)] | None, fixed("Preference of the OOM killer (Linux).")
    ] = None
    type: Annotated[
        Literal["simple", "notify", "oneshot", "forking"],
        fixed(
            "simple: ready when it runs, or when `ready` says so; notify: when it sends READY=1 (sd_notify); "
            "oneshot: does its work, ends, and is ready then; forking: goes to the background, and is ready when the "
            "main process that it leaves is known."
        ),
    ] = "simple"
    pid_file: Annotated[
        Path | None,
        fixed("Names the main process of `type: forking`; without it that is the one process that is left."),
    ] = None
    autostart: Annotated[bool, live("Started with the daemon.")] = True
    instances: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | None,
        live("So many of it run, `web:1`, `web:2`, …; `web` means all of them. Unset: one, by its plain name."),
    ] = None
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        fixed("The variable PORT, one more for each further instance; also where http and tcp probes ask by default."),
    ] = None
    sockets: Annotated[
        dict[str, Socket],
        Meta(extra={"kind": "sockets"}),
        fixed(
            "Listening sockets that it is handed as LISTEN_FDS, and that stay open between its runs: a port or an "
            "address, a list of them, or by name `{http: 8080, admin: unix:/run/app.sock}`."
        ),
    ] = {}
    lazy: Annotated[
        bool, live("Started by the first connection to one of its `sockets`; after a clean end it waits for the next.")
    ] = False
    restart: Annotated[
        Policy | None,
        Meta(extra={"kind": "policy"}),
        live(
            "When to start again: never, on-failure, on-watchdog, on-abnormal, on-success or always. "
            "By default on-failure, for a oneshot never. `on-failure:5` sets max_retries too."
        ),
    ] = None
    max_retries: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        live("Consecutive restarts that did not become stable, then it is failed; null: no limit."),
    ] = None
    backoff: Annotated[Backoff, live("How long to wait before a restart.")] = Backoff()
    stable_after: Annotated[
        Duration, live("A run this long ends a streak of restarts; of hangs (watchdog, health) a day does.")
    ] = 10.0
    success_exit_codes: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=255)], ...], live("Exit codes besides 0 that are no failure.")
    ] = ()
    start_timeout: Annotated[Duration | None, live("Time to become ready; by default 60s, none for a oneshot.")] = None
    max_runtime: Annotated[Duration | None, live("A run that lasts longer is stopped; a failure.")] = None
    stop: Annotated[Stop, live("How it is stopped.")] = Stop()
    depends_on: Annotated[
        dict[str, Need],
        Meta(extra={"kind": "needs"}),
        live("Services that must be ready before this one starts, `[db]`; or what each must be, `{db: healthy}`."),
    ] = {}
    stdout: Annotated[
        str, Meta(extra={"kind": "output"}), fixed("Where output goes: a path, log, inherit, syslog or null.")
    ] = "log"
    stderr: Annotated[
        str | None,
        Meta(extra={"kind": "output"}),
        fixed("Where errors go: a path, log, inherit, syslog or null; by default to the same place as stdout."),
    ] = None
    log: Annotated[Logging, live("How output is written to files.")] = Logging()
    essential: Annotated[bool, live("When it ends for good, the daemon ends with its exit code.")] = False
    tty: Annotated[bool, fixed("Runs on a pseudo-terminal.")] = False
    schedule: Annotated[
        str | None,
        Meta(extra={"kind": "schedule"}),
        live(
            "When it runs, as a oneshot: a cron line of five fields, or of six with seconds, @hourly, @daily, @weekly, "
            "@monthly, @yearly, or `@every 90s`."
        ),
    ] = None
    timezone: Annotated[
        str | None, Meta(extra={"kind": "timezone"}), live("Time zone of `schedule`; by default the machine's.")
    ] = None
    overlap: Annotated[
        Literal["skip", "queue", "kill"],
        live("When a run is due while one is under way: leave it out, run one after it, or end the one under way."),
    ] = "skip"
    missed: Annotated[
        Literal["skip", "run"],
        live("When runs were missed, as the machine slept or no daemon ran: none of them, or one."),
    ] = "skip"
    ready: Annotated[Ready | None, live("When it is ready: a probe.")] = None
    health: Annotated[Health | None, live("Whether it is well while it runs: a probe.")] = None
    watchdog: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(extra={"kind": "duration"}),
        fixed("WATCHDOG=1 must come at least so often, else it is ended with SIGABRT (sd_notify)."),
    ] = None
    hooks: Annotated[Hooks, live("Commands around its life.")] = Hooks()
    reload: Annotated[
        Reload | None,
        live("How `pserv reload NAME` asks it to reload itself: a signal, or a command."),
    ] = None

    watch: Annotated[Watch | None, live("Files whose change restarts it, unless it is down as asked.")] = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The program and its arguments, whichever of the three ways they were written in."""
        if self.shell is not None:
            return ("/bin/sh", "-c", self.shell)
        if self.command is not None:
            return self.command
        return (self.exec or "", *self.args)

    @property
    def policy(self) -> Policy:
        return self.restart or ("never" if self.type == "oneshot" else "on-failure")

    @property
    def ready_by(self) -> Literal["exec", "notify", "probe", "end", "fork"]:
        """What makes a run of it ready: execve, its own word, a probe's success, its end, a known main process."""
        if self.type == "oneshot":
            return "end"
        if self.type == "notify":
            return "notify"
        if self.ready is not None or self.health is not None:
            return "probe"
        return "fork" if self.type == "forking" else "exec"

    @property
    def time_to_start(self) -> float | None:
        """Seconds until a start that is not ready has failed; None where there is no limit."""
        if self.start_timeout is not None:
            return self.start_timeout
        return None if self.type == "oneshot" else 60.0

    @property
    def stop_steps(self) -> tuple[StopStep, ...]:
        """The steps of a stop, whichever way they were written; SIGKILL comes after the last."""
        return self.stop.steps or (StopStep(self.stop.signal, self.stop.timeout),)

    @property
    def stop_scope(self) -> Literal["main", "group"]:
        return self.stop.scope or ("group" if self.shell is not None else "main")


class DaemonSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a user may declare of the daemon itself."""

    exit_when: Annotated[
        Literal["never", "all-done", "any-failed", "any-done"] | None,
        live("When the daemon ends by itself; by default never, as PID 1 all-done or any-failed."),
    ] = None
    on_invalid: Annotated[
        Literal["refuse", "last-good", "skip-service"],
        live("What a start does with a configuration that has mistakes."),
    ] = "refuse"
    log_total: Annotated[
        Limit,
        live("All logs together, the daemon's own included, are no larger: the oldest rotated files go. `none`: any."),
    ] = 0
    watch_config: Annotated[
        bool,
        live("A saved change of its files is applied by itself, as by `pserv reload`; one with a mistake is told."),
    ] = False
    shutdown_timeout: Annotated[Duration, live("After this long a shutdown ends what is left with SIGKILL.")] = 90.0


class SourceFile(Struct, frozen=True):
    """A file that was read: its real path, modification time in nanoseconds, and content hash (hex)."""

    path: str
    mtime_ns: int
    digest: str


class Document(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The accepted configuration: what reload compares, the keeper holds, and a resumed supervisor works from."""

    format: int = FORMAT
    name: str
    root: str
    """The main file's folder ("/" for /etc/pserv): the default working directory."""
    files: tuple[SourceFile, ...] = ()
    looked_for: dict[str, int] = {}
    """What would be read, too, if it were there: files (0), and in folders any, so many levels deep."""
    daemon: DaemonSpec = DaemonSpec()
    services: dict[str, ServiceSpec] = {}
    profiles: tuple[str, ...] = ()
    """The profiles it was read with."""
    left_out: dict[str, tuple[str, ...]] = {}
    """Services that none of these profiles declares, and the profiles that do."""
    private: dict[str, tuple[str, ...]] = {}
    """Options made with a variable that looks secret, by service: "env.URL", "command". They are not shown."""
    notes: tuple[str, ...] = ()
    """What a user should know of a configuration that is accepted all the same."""


def encode(document: Document) -> bytes:
    """The document as JSON bytes."""
    return msgspec.json.encode(document)


def checksum(spec: ServiceSpec) -> int:
    """A number by which one sees that a spec is another one."""
    return zlib.crc32(msgspec.json.encode(spec))


def prepare() -> None:
    """Find out now what `decode` has to know of the types; else its first call does, which takes 2 ms."""
    msgspec.json.Decoder(Document)


def decode(data: bytes) -> Document:
    """The document from JSON bytes; raises msgspec.ValidationError where it does not fit this version's specs."""
    return msgspec.json.decode(data, type=Document)
