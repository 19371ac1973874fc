"""What the supervisor must come to know: kept until it says that it does. Who sends it is decided elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pserv.keeper.protocol import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Reports:
    """Reports in the order in which things happened, each with a number never used twice."""

    def __init__(self, deliver: Callable[[Message], None]) -> None:
        self.kept: dict[int, Message] = {}
        self.last = 0
        self._since: dict[int, float] = {}
        self._deliver = deliver

    def add(self, kind: str, key: str = "", run: int = 0, **facts: Any) -> None:
        """Keep and deliver; facts are those the protocol names for the kind."""
        self.last += 1
        report: Message = {"op": "report", "id": self.last, "kind": kind, "key": key, "run": run, **facts}
        self.kept[self.last] = report
        self._since[self.last] = time.monotonic()
        self._deliver(report)

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """Forget these; an unknown number was acknowledged before."""
        for number in numbers:
            self.kept.pop(number, None)
            self._since.pop(number, None)

    def restore(self, kept: Iterable[Message], last: int) -> None:
        """Take over what another keeper program had not been told was known."""
        now = time.monotonic()
        self.kept = {report["id"]: report for report in kept}
        self._since = dict.fromkeys(self.kept, now)
        self.last = last

    @property
    def oldest(self) -> float | None:
        """Since when the oldest is unacknowledged (CLOCK_MONOTONIC); None when none is."""
        return next(iter(self._since.values()), None)
