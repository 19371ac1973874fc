"""What the supervisor keeps of a service beside its spec and its life, and the note that carries it past a death."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from pserv.keeper.protocol import Message
from pserv.model.secrets import Values
from pserv.model.states import Crash, Ended, Life
from pserv.model.status import ProbeResult


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run said of itself that outlives the moment (sd_notify(3)); `stored` is the key's, not the run's."""

    run: int = 0
    status: str = ""
    reloading: float | None = None
    """Since when it reloads its configuration, on the monotonic clock."""
    watchdog: float | None = None
    """Seconds; in place of the declared ones."""
    errno: int | None = None
    exit_status: int | None = None
    stored: int = 0
    """So many descriptors the keeper keeps for the next run."""


VALUES = "@values/"
"""What the keeper's key for the values of a service begins with, which it keeps in memory beside the note."""

KEPT = 5
"""So many last runs of a schedule are told."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the keeper stores of one service: enough for a new supervisor to go on where the old one died."""

    life: Life
    crash: Crash | None = None
    launched: int = 0
    logs: dict[str, str] = {}
    said: Said = Said()
    ends: tuple[Ended, ...] = ()
    dropped: tuple[int, int] = (0, 0)


NOTHING_ASKED: Final[Mapping[str, tuple[ProbeResult, ...]]] = MappingProxyType({})


class Record:
    """The rest of a service's memory: last crash, fingerprint of what runs, trouble with its logs."""

    __slots__ = (
        "before", "crash", "dropped", "dropped_at", "ends", "launched", "logged", "logs", "prepared", "printed",
        "probed", "said", "unread", "values",
    )  # fmt: skip

    def __init__(self) -> None:
        self.crash: Crash | None = None
        self.dropped = (0, 0)
        """Lines and bytes of its output that were dropped, as `log.rate` or `log.on_full` says."""
        self.dropped_at = -math.inf
        """When that was told last, on the monotonic clock."""
        self.launched = 0
        """Fingerprint of the launch that the current run was made from (`system.launches.fingerprint`)."""
        self.logged: Message | None = None
        """How the keeper was told to have the output of the current run written; None: another supervisor told it."""
        self.logs: dict[str, str] = {}
        """What is wrong with its logs, in words, by their paths."""
        self.printed: tuple[str, ...] = ()
        """The last lines of the last run that ended."""
        self.ends: tuple[Ended, ...] = ()
        """How the last runs of its schedule ended, oldest first."""
        self.probed: Mapping[str, tuple[ProbeResult, ...]] = NOTHING_ASKED
        """The last answers to its probes, "ready" and "health", also those of earlier runs."""
        self.said = Said()
        self.values: Values | None = None
        """What was read last of its env files and secrets; None before that."""
        self.before: Values | None = None
        """What was read before it: a run that lives may have got that."""
        self.prepared = False
        """They were read for the order that its next run comes from."""
        self.unread = ""
        """Why the values are not those of the last time that they were read, in words."""

    @property
    def known(self) -> tuple[Values, ...]:
        """Values that must not be shown."""
        return tuple(each for each in (self.values, self.before) if each is not None)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong beside its life, in words."""
        unread = f"{self.unread}; what was read before serves"
        return (*self.logs.values(), *([unread] if self.unread else []))

    def take(self, values: Values) -> None:
        """What was read now."""
        old = self.values
        if old is None or (old.files, old.secrets) != (values.files, values.secrets):
            self.before = old
        self.values = values
        self.unread = ""

    def add(self, ended: Ended, *, scheduled: bool) -> None:
        """One more run has ended."""
        self.ends = (*self.ends, ended)[-KEPT:] if scheduled else ()

    def refusal(self, run: int) -> str:
        """What the last answer to a probe of this run was, where it was no success."""
        last = [results[-1] for which in ("ready", "health") if (results := self.probed.get(which))]
        return next((each.detail for each in last if each.run == run and not each.ok), "")


def encode(note: Note) -> str:
    return msgspec.json.encode(note).decode()


def decode(text: str) -> Note:
    """Raises msgspec.DecodeError or ValidationError on what is no note of this version."""
    return msgspec.json.decode(text, type=Note)
