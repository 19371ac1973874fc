"""What a user may declare of the commands around a service's life, and of its reload. Other options are in `spec`."""

import shlex
from typing import Annotated, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Command, Duration, SignalNumber, live

Kind = Literal["pre_start", "post_start", "pre_stop", "post_stop", "on_failed", "on_unhealthy", "on_healthy", "reload"]

KINDS = ("pre_start", "post_start", "pre_stop", "post_stop", "on_failed", "on_unhealthy", "on_healthy")

START_FAILS = ("pre_start", "post_start")
"""Kinds of which a failure may be one of the start."""

_LONGEST = 40
"""Characters of a command that stand in a reason."""


class Hook(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One command at a point of a service's life. A user may write only the command."""

    command: Annotated[Command | None, live("Program and arguments: a string without shell syntax, or a list.")] = None
    shell: Annotated[str | None, live("A line for /bin/sh -c, instead of command.")] = None
    timeout: Annotated[Duration, live("After this long all of it gets TERM, and 2 s later SIGKILL.")] = 60.0
    on_failure: Annotated[
        Literal["fail", "ignore"] | None,
        live(
            "fail: the hooks after it are not run, and for pre_start and post_start the start has failed; "
            "ignore: it is told. By default fail for pre_start, ignore for the others."
        ),
    ] = None
    user: Annotated[str | None, live("User to run as; by default the service's.")] = None

    @property
    def argv(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", self.shell) if self.shell is not None else self.command or ()

    def title(self, kind: str) -> str:
        """What it is called in a reason: "pre_start 'migrate --all'"."""
        return f"{kind} '{shown(self.argv)}'"

    def ignored(self, kind: str) -> bool:
        """Whether its failure changes nothing."""
        return (self.on_failure or ("fail" if kind == "pre_start" else "ignore")) == "ignore"


class Reload(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How a service is asked to reload itself. A user may write only the signal or the command."""

    signal: Annotated[SignalNumber | None, live("The signal that its main process gets.")] = None
    command: Annotated[Command | None, live("A command, run as a hook is.")] = None
    shell: Annotated[str | None, live("A line for /bin/sh -c, instead of command.")] = None
    timeout: Annotated[
        Duration, live("Time for the command, or with `type: notify` until READY=1; after it the reload has failed.")
    ] = 60.0

    @property
    def hook(self) -> Hook:
        """The command as a hook."""
        return Hook(command=self.command, shell=self.shell, timeout=self.timeout)


_Hooks = Annotated[tuple[Hook, ...], Meta(extra={"kind": "hooks"})]


class Hooks(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Commands around a service's life, each a COMMAND or the options below, one or a list of several in order."""

    pre_start: Annotated[_Hooks, live("Before each start; where one fails, there is no start.")] = ()
    post_start: Annotated[_Hooks, live("When it has become ready; beside it.")] = ()
    pre_stop: Annotated[_Hooks, live("Before the first stop signal to a service that was ready.")] = ()
    post_stop: Annotated[_Hooks, live("When nothing of it is left, however it ended, a start that failed too.")] = ()
    on_failed: Annotated[_Hooks, live("When it is given up: its state is failed.")] = ()
    on_unhealthy: Annotated[_Hooks, live("When its health probe says that it is not well any more.")] = ()
    on_healthy: Annotated[_Hooks, live("When it is well again after that.")] = ()

    def of(self, kind: str) -> tuple[Hook, ...]:
        """The hooks of a kind, in order."""
        hooks: tuple[Hook, ...] = getattr(self, kind)
        return hooks


def shown(argv: tuple[str, ...]) -> str:
    """A command in a few characters, as a user would write it."""
    text = argv[2] if argv[:2] == ("/bin/sh", "-c") and len(argv) == 3 else shlex.join(argv)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
