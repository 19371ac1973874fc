"""A reload on trial: what it touched must come up and stay up, else the configuration before it comes back.

The names stand in the daemon's note, so that the next supervisor goes on where this one dies. How a configuration is
brought in is `reloading`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from pserv.model.errors import PservError
from pserv.model.spec import Document
from pserv.model.states import Goal, Phase
from pserv.model.status import Outcome
from pserv.supervisor import waiting
from pserv.system.futures import Future

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


class Verdict(msgspec.Struct, frozen=True):
    """How a trial ended: how things are with each service now, and what was done where one failed."""

    ok: bool
    outcomes: tuple[Outcome, ...]
    message: str = ""


class Trial:
    """One at a time; another reload ends it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._of: Document | None = None
        """The configuration that is on trial."""

    def begin(self, names: Iterable[str], before: Document | None, timeout: float | None = None) -> Future[Verdict]:
        """Look on from now on. `before`: what to go back to; None for the last that was kept."""
        session = self._session
        tried = list(names)
        self._of = session.supervisor.document
        session.orders.try_out(tried)
        over: Future[Verdict] = Future()
        session.tasks.spawn(self._try(tried, before, timeout, self._of, over))
        return over

    async def _try(
        self, names: list[str], before: Document | None, timeout: float | None, of: Document, over: Future[Verdict]
    ) -> None:
        session = self._session
        begun = session.clock.now()
        try:
            failed = await self._first_failure(names, None if timeout is None else begun + timeout)
            if self._of is not of or session.supervisor.document is not of:
                over.set_result(
                    Verdict(True, self._outcomes(names, begun), "another configuration was applied meanwhile")
                )
                return
            session.orders.try_out(())
            if not failed:
                over.set_result(Verdict(True, self._outcomes(names, begun)))
                return
            over.set_result(await self._take_back(names, failed, before, begun))
        except Exception as error:
            session.bug("a reload on trial", error)
            over.set_result(Verdict(False, self._outcomes(names, begun), f"cannot go back: {error}"))

    async def _take_back(self, names: list[str], failed: str, before: Document | None, begun: float) -> Verdict:
        session = self._session
        life = session.supervisor.lives[failed]
        why = f"{failed}: {life.state}: {life.reason}"
        told = self._outcomes(names, begun)
        try:
            document = before or (await session.reloading.earlier(1))[0]
            plan = await session.reloading.restore(document, f"rollback, as {failed} failed")
        except PservError as error:
            return Verdict(False, told, f"{why}; cannot roll back: {error.message}")
        back = [name for name in dict.fromkeys([*plan.touched, *names]) if self._is_wanted(name)]
        await self._first_failure(back, None, settled=True)
        message = f"rolled back, as {why}; the configuration of before runs again"
        return Verdict(False, self._outcomes(back, begun), message)

    async def _first_failure(self, names: list[str], deadline: float | None, *, settled: bool = False) -> str:
        """The first of these that fails, or is not there at the deadline; "" when all have proved themselves.

        `settled`: wait for all of them, however they settle.
        """
        session = self._session
        listener = session.supervisor.bus.listen()
        seen_up: dict[str, int] = {}
        try:
            while True:
                left: dict[str, float] = {}
                for name in names:
                    proved = self._proved(name, seen_up)
                    if proved is False and not settled:
                        return name
                    if proved is None or (isinstance(proved, float) and not settled):
                        left[name] = proved or float("inf")
                if not left:
                    return ""
                until = min([*left.values(), float("inf") if deadline is None else deadline])
                try:
                    async with session.tasks.timeout_at(None if until == float("inf") else until):
                        await listener.get()
                except TimeoutError:
                    if deadline is not None and session.clock.now() >= deadline:
                        return next(iter(left))
        finally:
            session.supervisor.bus.leave(listener)

    def _proved(self, name: str, seen_up: dict[str, int]) -> bool | float | None:
        """Whether it has proved itself; None: not yet settled; a time: when it has, if it goes on as it is."""
        session = self._session
        if not self._is_wanted(name):
            return True
        if session.orders.turns.waits(name):
            return None
        spec, life = session.supervisor.specs[name], session.supervisor.lives[name]
        if name in seen_up and (life.phase is Phase.BACKOFF or life.attempt > seen_up[name]):
            return False
        reached = waiting.settled(spec, life)
        if reached is not True or life.phase is not Phase.RUNNING:
            return reached
        seen_up.setdefault(name, life.attempt)
        stable = life.started + spec.stable_after
        # What has no probe is only known to have been executed.
        return stable if spec.ready_by == "exec" and session.clock.now() < stable else True

    def _is_wanted(self, name: str) -> bool:
        """Not what is gone, or was stopped by an operator."""
        life = self._session.supervisor.lives.get(name)
        return life is not None and (life.goal is Goal.UP or self._session.orders.turns.waits(name))

    def _outcomes(self, names: Iterable[str], begun: float) -> tuple[Outcome, ...]:
        session = self._session
        after = session.clock.now() - begun
        found = []
        for name in names:
            if (life := session.supervisor.lives.get(name)) is not None:
                ok = waiting.settled(session.supervisor.specs[name], life) is True
                found.append(waiting.outcome(name, life, ok, after))
        return tuple(found)
