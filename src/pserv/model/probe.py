"""What a user may declare of a probe: what is asked, how often, how often it may fail. Other options are in `spec`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Command, Duration, Path, fixed, live

Port = Annotated[int, Meta(ge=1, le=65535, extra={"kind": "port"})]


class Http(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An HTTP request; a redirect is an answer like any other and is not followed."""

    path: Annotated[str, live("The path and query.")] = "/"
    port: Annotated[Port | None, live("The port; by default the service's `port`, or of its first socket.")] = None
    host: Annotated[str, live("The host that is asked; also the Host header.")] = "127.0.0.1"
    scheme: Annotated[Literal["http", "https"], live("http or https.")] = "http"
    method: Annotated[str, live("The method.")] = "GET"
    headers: Annotated[dict[str, str], live("Further headers.")] = {}
    status: Annotated[
        tuple[str, ...], live("Status codes that are well, each one or a range: `200-299`; by default 200-399.")
    ] = ()
    body: Annotated[str | None, live("What the first 64 KiB of the body must contain.")] = None
    verify: Annotated[bool, live("Whether the certificate is checked (https).")] = True


class Tcp(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A connection that is accepted."""

    port: Annotated[Port | None, live("The port; by default the service's `port`.")] = None
    host: Annotated[str, live("The host.")] = "127.0.0.1"


class Unix(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A connection to a unix socket that is accepted."""

    path: Annotated[Path, live("The path of the socket.")]


class File(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that exists."""

    path: Annotated[Path, live("The path.")]
    younger_than: Annotated[Duration | None, live("It must have been modified within this time.")] = None


class Log(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line that the run has printed."""

    pattern: Annotated[str, live("A regular expression that is searched in each line of the run.")]


class Probe(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One question to a service; exactly one kind of it is declared."""

    http: Annotated[Http | None, live("An HTTP request is answered.")] = None
    tcp: Annotated[Tcp | None, live("A TCP port accepts.")] = None
    unix: Annotated[Unix | None, live("A unix socket accepts.")] = None
    exec: Annotated[Command | None, live("A command ends with 0; as the service's user, in its environment.")] = None
    file: Annotated[File | None, live("A file exists.")] = None
    log: Annotated[Log | None, live("A line was printed.")] = None
    interval: Annotated[Duration | None, live("From one answer to the next question; by default 10s.")] = None
    timeout: Annotated[Duration | None, live("For one answer; by default 2s, for a command 10s.")] = None
    initial_delay: Annotated[Duration, live("From the spawn to the first question.")] = 0.0
    failures: Annotated[Annotated[int, Meta(ge=1)], live("So many failures in a row change the verdict.")] = 3
    successes: Annotated[Annotated[int, Meta(ge=1)], live("So many successes in a row change it back.")] = 1

    @property
    def kind(self) -> str:
        return next((name for name in KINDS if getattr(self, name, None) is not None), "")

    @property
    def every(self) -> float:
        """Seconds between questions once it has succeeded."""
        return 10.0 if self.interval is None else self.interval

    @property
    def patience(self) -> float:
        """Seconds for one answer."""
        if self.timeout is not None:
            return self.timeout
        return 10.0 if self.exec is not None else 2.0


class Ready(Probe, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a service is ready. Asked no more after its first success, unless it sets `interval`."""

    fd: Annotated[
        Annotated[int, Meta(ge=3, le=255)] | None,
        fixed("The service writes a line to this descriptor, as s6 services do."),
    ] = None


class Health(Probe, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Whether a service that runs is well."""

    on_failure: Annotated[
        Literal["restart", "alert", "none"],
        live("restart where the policy starts it again after a watchdog; alert: mark it, tell, run hooks; none: mark."),
    ] = "restart"


KINDS = ("http", "tcp", "unix", "exec", "file", "log", "fd")
