"""Every operation of the API once: name, method, path, who may, request, reply; the server and the client read it.

Requests are JSON bodies (or, for GET, query parameters of the same names); replies are JSON, or for a stream one JSON
object a line (NDJSON), the last of which is a `Done` or an `Error`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pserv.model.events import Change
from pserv.model.graph import Graph
from pserv.model.mistakes import Mistake
from pserv.model.status import Environment, KeptConfiguration, Launch, OptionChange, Outcome, ReloadStep, Status, Story


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request without fields."""


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """NAMEs as on the command line: a service, a tag `@workers`, a glob. None of them: all."""

    names: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accepted configuration; with `origins` also, by dotted names, where what is written stands."""

    origins: bool = False


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start, stop or restart. `timeout` bounds the waiting in seconds, not the action."""

    names: tuple[str, ...] = ()
    all: bool = False
    rolling: bool = False
    """Restart one after the other, each when the last is ready; the first that fails is the last."""
    wait: bool = True
    timeout: float | None = None


class ScaleTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many instances of each of these services. `timeout` bounds the waiting in seconds, not the action."""

    counts: dict[str, Annotated[int, msgspec.Meta(ge=0)]]
    wait: bool = True
    timeout: float | None = None


class RunNow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run now of a oneshot or of what has a schedule. `join`: begin none, wait for the one that was begun."""

    name: str
    wait: bool = True
    join: bool = False


class Wait(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"until": "for"}):
    """Wait until all that are named are so."""

    names: tuple[str, ...] = ()
    until: Literal["ready", "healthy", "stopped", "done", "settled", "rolled"] = "ready"
    timeout: float | None = None


class Reload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Apply the changed files, or show what that would do, or go back to an earlier configuration."""

    dry_run: bool = False
    previous: bool = False
    back: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Back so many configurations, as `configurations` numbers them; `previous` is 1."""
    rollback: bool = False
    """Back to what ran before if a service that this touches fails."""
    wait: bool = True
    start: bool = False
    """Start what is autostart and down, too, as `up` does."""
    names: tuple[str, ...] = ()
    """With `start`: these instead of what is autostart."""
    profiles: tuple[str, ...] | None = None
    """With the services of these profiles; by default those of the last time."""
    timeout: float | None = None


class ReloadService(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask services to reload themselves, as their `reload` says."""

    names: tuple[str, ...]


class SendSignal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal by number to the main process, or its group."""

    signal: int
    names: tuple[str, ...] = ()
    all: bool = False
    group: bool = False


class Execute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command in a service's environment, folder and user; `stdin` is given to it as text."""

    name: str
    argv: tuple[str, ...]
    stdin: str = ""
    timeout: float | None = None


class Logs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was printed, oldest first, several services by time; then, with `follow`, what comes.

    `since` and `until` are RFC 3339, `@` and seconds since 1970, or as on the command line (`10m`, `14:00`, `today`),
    in the daemon's time zone.
    """

    names: tuple[str, ...] = ()
    lines: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """So many of the last that are wanted of each service; by default 10, or all where it is said which are wanted."""
    follow: bool = False
    stream: Literal["stdout", "stderr"] | None = None
    since: str | None = None
    until: str | None = None
    grep: str | None = None
    """A regular expression that is found in the text."""
    invert: bool = False
    """Those in which it is not."""
    level: Literal["trace", "debug", "info", "notice", "warning", "error", "critical"] | None = None
    """Of this level or worse."""
    run: str | None = None
    """A run's id, or `last`."""
    reverse: bool = False
    """Newest first."""
    places: bool = False
    """Tell a `Place` before and after lines."""
    after: tuple[str, ...] = ()
    """Go on after these: "SERVICE/STREAM/" and a place that was told; others begin at their last `lines`."""


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """History, oldest first; with `follow` also what comes."""

    names: tuple[str, ...] = ()
    lines: int = 100
    follow: bool = False


class Down(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop all, end the daemon. `hurry` shortens every wait to nothing."""

    hurry: bool = False


class Upgrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hand over to the installed version; with `keeper` the keeper too."""

    keeper: bool = False


class Version(msgspec.Struct, frozen=True):
    """Versions and pids of the daemon's parts."""

    pserv: str
    python: str
    protocol: int
    keeper: str
    """Version of the keeper, which an upgrade may leave as it was."""


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """The last line of a stream of an action or of a wait."""

    ok: bool
    outcomes: tuple[Outcome, ...] = ()
    message: str = ""


class Progress(msgspec.Struct, frozen=True, tag="change", tag_field="type"):
    """A change on the way."""

    change: Change


class Plan(msgspec.Struct, frozen=True, tag="plan", tag_field="type"):
    """What a reload does; `notes` are sentences for the user."""

    steps: tuple[ReloadStep, ...]
    notes: tuple[str, ...] = ()
    daemon: tuple[OptionChange, ...] = ()
    """Options of the daemon that change, at once."""


class Line(msgspec.Struct, frozen=True, tag="line", tag_field="type"):
    """A line of a log, without its end; bytes that are no UTF-8 are replaced. What is not known is missing.

    `ts` is RFC 3339, `level` and `fields` are what a line that was itself JSON said (`log.parse`).
    """

    service: str
    text: str
    stream: str = "stdout"
    ts: str | msgspec.UnsetType = msgspec.UNSET
    run: int | msgspec.UnsetType = msgspec.UNSET
    pid: int | msgspec.UnsetType = msgspec.UNSET
    level: str | float | msgspec.UnsetType = msgspec.UNSET
    fields: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    partial: bool | msgspec.UnsetType = msgspec.UNSET
    """The next line goes on with the same text."""
    source: str | msgspec.UnsetType = msgspec.UNSET
    """With `places`: the stream whose place counts this line."""


class Note(msgspec.Struct, frozen=True, tag="note", tag_field="type"):
    """What could not be given, and why."""

    service: str
    text: str
    hint: str = ""


class Place(msgspec.Struct, frozen=True, tag="place", tag_field="type"):
    """Where in its file the lines so far end, for a follower that has to begin again; the text means nothing else."""

    service: str
    stream: str
    at: str


class Dropped(msgspec.Struct, frozen=True, tag="dropped", tag_field="type"):
    """This listener was too slow: so many items were not sent."""

    count: int


class Output(msgspec.Struct, frozen=True, tag="output", tag_field="type"):
    """A piece of what an `exec` command printed (bytes that are no UTF-8 are replaced)."""

    stream: Literal["stdout", "stderr"]
    text: str


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="type"):
    """How an `exec` command ended: its exit code, 128 + signal, 126 or 127 when it could not be started."""

    code: int
    message: str = ""


class Error(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """An error as the user meets it; the body of every reply that is not 2xx."""

    message: str
    hint: str = ""
    exit_code: int = 1
    mistakes: tuple[Mistake, ...] = ()
    kind: str = "failed"
    """Which error it is: a row of `failures.KINDS`."""


class Operation(msgspec.Struct, frozen=True):
    """One row. `reply` is a type, for a stream the union of its lines."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    access: Literal["read", "operate"]
    request: Any
    reply: Any
    stream: bool = False
    text: str = ""


ActStream = Progress | Done | Error
OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", "/v1/status", "read", Names, Status, text="The table."),
    Operation("story", "GET", "/v1/story", "read", Names, list[Story], text="The full story of services."),
    Operation("start", "POST", "/v1/start", "operate", Act, ActStream, True, "Start and wait until settled."),
    Operation("stop", "POST", "/v1/stop", "operate", Act, ActStream, True, "Stop and wait until gone."),
    Operation("restart", "POST", "/v1/restart", "operate", Act, ActStream, True, "Restart and wait."),
    Operation("scale", "POST", "/v1/scale", "operate", ScaleTo, ActStream, True, "Have so many instances."),
    Operation("run", "POST", "/v1/run", "operate", RunNow, Progress | Ended | Error, True, "Run now, to its end."),
    Operation("wait", "POST", "/v1/wait", "read", Wait, ActStream, True, "Wait for a condition."),
    Operation(
        "reload",
        "POST",
        "/v1/reload",
        "operate",
        Reload,
        Plan | Progress | Done | Error,
        True,
        "Apply files.",
    ),
    Operation(
        "configurations",
        "GET",
        "/v1/configurations",
        "read",
        Empty,
        list[KeptConfiguration],
        text="Earlier configurations that a reload may go back to.",
    ),
    Operation("reload_service", "POST", "/v1/reload-service", "operate", ReloadService, Done, text="Ask a service."),
    Operation("signal", "POST", "/v1/signal", "operate", SendSignal, Done, text="Send a signal."),
    Operation("exec", "POST", "/v1/exec", "operate", Execute, Output | Ended | Error, True, "Run a command."),
    Operation(
        "logs", "GET", "/v1/logs", "read", Logs, Line | Place | Note | Dropped | Error, True, "Output of services."
    ),
    Operation("reopen", "POST", "/v1/logs/reopen", "operate", Empty, Done, text="Open log files anew."),
    Operation("events", "GET", "/v1/events", "read", Events, Progress | Dropped | Error, True, "Decisions."),
    Operation("graph", "GET", "/v1/graph", "read", Names, Graph, text="Who needs whom, and which start waited."),
    Operation("show", "GET", "/v1/show", "read", Names, dict[str, Launch], text="The exact exec."),
    Operation(
        "environment",
        "GET",
        "/v1/environment",
        "read",
        Names,
        dict[str, Environment],
        text="Variables, and from where.",
    ),
    Operation("config", "GET", "/v1/config", "read", Config, dict[str, Any], text="The accepted configuration."),
    Operation("down", "POST", "/v1/down", "operate", Down, ActStream, True, "Stop all and end the daemon."),
    Operation("upgrade", "POST", "/v1/upgrade", "operate", Upgrade, Done, text="Hand over."),
    Operation("version", "GET", "/v1/version", "read", Empty, Version, text="Versions of daemon and keeper."),
)
