"""What of the daemon itself outlives a supervisor: orders not carried out yet. Of a service that is in `record`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pserv.rules.instances import Scale

if TYPE_CHECKING:
    from pserv.supervisor.ports import Commands

DAEMON = "@daemon"
"""The keeper's key of the daemon's own note."""


class Rolling(msgspec.Struct, frozen=True, omit_defaults=True):
    """A restart of one after the other. `left`: the one that is restarted now, and those that were not touched yet."""

    left: tuple[str, ...] = ()
    run: int = 0
    """The run that the first of them had; another one is the new one."""
    by: str = ""
    failed: str = ""
    """Why it went no further; what is left stays as it is."""


class DaemonNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the keeper stores of the daemon itself."""

    ending: str = ""
    """Why the daemon is ending; empty while it is not."""
    exit_code: int = 0
    stops: dict[str, str] = {}
    """Stops that wait for a dependent to stop first: service to who asked."""
    again: dict[str, str] = {}
    """Restarts that wait for a dependent to end first: service to who asked."""
    restarts: int = 0
    """How often a supervisor died and was replaced."""
    last_death: float = 0.0
    """When the last of them died, on the monotonic clock."""
    scales: dict[str, Scale] = {}
    """How many instances an operator wants of services."""
    rolling: Rolling = Rolling()
    """The last rolling restart, over when nothing is left or it failed."""
    trial: tuple[str, ...] = ()
    """Services of which one that fails takes the last reload back."""


def decode(text: str) -> DaemonNote:
    """Raises msgspec.DecodeError or ValidationError on what is no note of this version."""
    return msgspec.json.decode(text, type=DaemonNote)


class Kept:
    """The note as it is now, and the keeper who stores it."""

    def __init__(self, note: DaemonNote, keeper: Commands) -> None:
        self.note = note
        self._keeper = keeper

    def change(self, **changes: object) -> None:
        """Fields of the note that are otherwise from now on; the keeper is told only of a difference."""
        note = msgspec.structs.replace(self.note, **changes)
        if note != self.note:
            self.note = note
            self._keeper.do(DAEMON, msgspec.json.encode(note).decode())
