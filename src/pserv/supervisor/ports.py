"""What a supervisor is given: the keeper's commands, a clock, who acts on its decisions. Nothing is done here."""

from __future__ import annotations

from typing import Protocol

from pserv.keeper.protocol import Message
from pserv.model.states import Life


class Commands(Protocol):
    """What is asked of the keeper (`system.processes.Keeper`, or a pretend one)."""

    def do(
        self, key: str, note: str | None = None, ack: tuple[int, ...] = (), commands: tuple[Message, ...] = ()
    ) -> None: ...

    def finish(self, code: int) -> None: ...

    def settings(self, logs: dict[str, Message]) -> None: ...


class Clock(Protocol):
    """Time as it is passed in: `now` monotonic, `wall` since the epoch, both in seconds; `chance` in [0, 1)."""

    def now(self) -> float: ...

    def wall(self) -> float: ...

    def chance(self) -> float: ...


class Follower(Protocol):
    """Who acts on what a decision brought about, within the same `post`."""

    def changed(self, name: str, old: Life, new: Life, *, failed: bool) -> None:
        """A service's life changed; `failed`: its run ended as a failure."""

    def quiet(self) -> None:
        """All that was posted is handled."""


class Hooks(Protocol):
    """The hooks that nobody waits for (`supervisor.beside`)."""

    @property
    def busy(self) -> bool:
        """Whether any is running."""

    def changed(self, name: str, old: Life, new: Life) -> None:
        """A service's life changed."""

    def hurry(self) -> None:
        """End all of them at once."""

    def under_way(self, name: str) -> list[tuple[str, float]]:
        """(title, since when on the monotonic clock) of those of one service."""
