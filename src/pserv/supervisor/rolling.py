"""A restart of one service after the other: the next when the last is ready, none after one that fails.

What is left stands in the daemon's note, so that the next supervisor goes on where this one dies. How one service is
restarted is in `orders`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from pserv.model.errors import Refused
from pserv.model.states import Goal, Life
from pserv.rules import standing
from pserv.supervisor.daemon_note import Kept, Rolling
from pserv.supervisor.supervisor import Supervisor


class Restarts(Protocol):
    """Whom a service's restart is asked of (`supervisor.orders`)."""

    def restart(self, names: Iterable[str], by: str) -> object: ...


class RollingRestart:
    """The one that is under way, or was the last."""

    def __init__(self, supervisor: Supervisor, orders: Restarts, kept: Kept) -> None:
        self._supervisor = supervisor
        self._orders = orders
        self._kept = kept
        self._ordered = ""
        """Whose restart this supervisor has asked for."""
        self._then: Life | None = None
        """Its life at that moment: while it is the same, the order is still to be handled."""
        self._looking = False

    @property
    def now(self) -> Rolling:
        """What of it is still to be done, as the note has it."""
        return self._kept.note.rolling

    def begin(self, names: Iterable[str], by: str) -> None:
        """Restart these in this order. Raises Refused while another one is under way."""
        if self.under_way():
            left = ", ".join(self.now.left)
            raise Refused(f"cannot restart: a rolling restart is under way ({left})", "pserv wait --for rolled")
        self._ordered = ""
        self._go_on(tuple(names), by)
        self.look()

    def under_way(self, names: Collection[str] = ()) -> bool:
        """Whether any of these (or any at all) is still to be restarted."""
        if self.now.failed:
            return False
        return not set(self.now.left).isdisjoint(names) if names else bool(self.now.left)

    def untouched(self) -> tuple[str, ...]:
        """Those that were to come after the one that failed."""
        return self.now.left[1:] if self.now.failed else ()

    def leave_out(self, names: Iterable[str]) -> None:
        """Somebody wants otherwise of these: they are not restarted any more."""
        if not self.under_way():
            return
        out = set(names)
        left = tuple(name for name in self.now.left if name not in out)
        if left != self.now.left:
            first = left[:1] == self.now.left[:1]
            self._go_on(left, self.now.by, self.now.run if first else None)

    def look(self) -> None:
        """Go on, if the one that is restarted now is ready."""
        if self._looking:
            return
        self._looking = True
        try:
            while self.under_way() and self._step():
                pass
        finally:
            self._looking = False

    def _step(self) -> bool:
        """Whether there is at once more to do."""
        name, supervisor = self.now.left[0], self._supervisor
        life = supervisor.lives.get(name)
        if life is None:
            self._go_on(self.now.left[1:], self.now.by)
            return True
        if life.again or name in supervisor.restarting:
            return False
        if self._ordered != name and life.run == self.now.run:
            self._ordered, self._then = name, life
            try:
                self._orders.restart([name], self.now.by)
            except Refused as refused:
                self._fail(name, refused.message)
            return True  # what was posted may have been handled already
        if life is self._then or not standing.settled(life):
            return False
        if life.goal is Goal.UP and standing.succeeded(life):
            self._go_on(self.now.left[1:], self.now.by)
            return True
        self._fail(name, f"{life.state}: {life.reason}")
        return False

    def _go_on(self, left: tuple[str, ...], by: str, run: int | None = None) -> None:
        first = self._supervisor.lives.get(left[0], Life()) if left else Life()
        was = self.under_way()
        self._kept.change(rolling=Rolling(left, first.run if run is None else run, by) if left else Rolling())
        if was and not left:
            self._supervisor.tell("", "rolling", "rolling restart: done")

    def _fail(self, name: str, why: str) -> None:
        self._kept.change(rolling=Rolling(self.now.left, self.now.run, self.now.by, why))
        rest = f"; not touched: {', '.join(self.untouched())}" if self.untouched() else ""
        self._supervisor.tell("", "rolling", f"rolling restart: ended at {name}, {why}{rest}")
