"""What the machine may want done for a service. Why is in `rules`, how in `supervisor.effects`."""

from __future__ import annotations

from typing import Literal

import msgspec

Scope = Literal["main", "group", "rest", "all"]
"""Whom a signal reaches: the main process; its process group; all of the run but main; all of the run."""


class Effect(msgspec.Struct, frozen=True, tag=True):
    """Something to be done by the supervisor, in the order given."""


class Spawn(Effect, frozen=True, tag=True):
    run: int


class Signal(Effect, frozen=True, tag=True):
    run: int
    signal: int
    scope: Scope


class Kill(Effect, frozen=True, tag=True):
    """End all of the run with SIGKILL, strays included, until none is left; `Gone` follows."""

    run: int


class Listen(Effect, frozen=True, tag=True):
    """Open the sockets of the service where they are not, and tell of the first connection."""

    run: int


class Adopt(Effect, frozen=True, tag=True):
    """Let the one process that is left of the run be its main process; `MainChanged` or `MainUnknown` follows."""

    run: int


class RunHook(Effect, frozen=True, tag=True):
    """Run the hook that the life now names; its output goes to the service's log."""

    run: int


class EndHook(Effect, frozen=True, tag=True):
    """SIGTERM to all of a hook's run."""

    run: int


class KillHook(Effect, frozen=True, tag=True):
    """SIGKILL to all of a hook's run, until none is left."""

    run: int


class Resolve(Effect, frozen=True, tag=True):
    """Read its env files and secrets, if that is not under way; `Resolved` or `Unresolved` follows."""


class Failed(Effect, frozen=True, tag=True):
    """The run that ended is a failure: keep a crash record."""

    run: int
