"""Stops and restarts in turn: each waits until what depends on the service, and is to end as well, has ended."""

from __future__ import annotations

from collections.abc import Iterable

from pserv.model.events import Restart, Start, Stop
from pserv.model.states import AT_REST, Goal, Life, State
from pserv.rules import dependencies
from pserv.supervisor.daemon_note import Kept
from pserv.supervisor.declared import Declared
from pserv.supervisor.supervisor import Supervisor


class Turns:
    """Who waits to be told to stop or restart; it stands in the daemon's note, so that the next supervisor goes on."""

    def __init__(self, supervisor: Supervisor, declared: Declared, kept: Kept) -> None:
        self._supervisor = supervisor
        self._declared = declared
        self._kept = kept
        self._stops: dict[str, str] = {}
        """Service to who asked."""
        self._told: set[str] = set()
        """Services whose stop or restart is posted and may not be handled yet."""
        supervisor.restarting.update(kept.note.again)

    def resume(self, *, safe: bool) -> None:
        """Go on with what an earlier supervisor had begun; `safe`: nothing is started again."""
        for name, by in self._kept.note.stops.items():
            if name in self._supervisor.lives and self._supervisor.lives[name].goal is Goal.UP:
                self._stops[name] = by
        self._release_stops(list(self._stops))
        if not safe:
            self.release_restarts()

    # What is asked

    def stop(self, names: Iterable[str], by: str) -> None:
        """Stop these, those that depend on others first."""
        named = list(names)
        self._forget_restarts([*named, *dependencies.dependents(named, self._declared.needed_by)])
        self._stops.update(dict.fromkeys(named, by))
        self._release_stops(list(self._stops))
        self.release_restarts()
        if self._stops and not self._kept.note.ending:
            self._kept.change(stops=dict(self._stops))

    def restart(self, names: Iterable[str], by: str) -> list[str]:
        """Restart these and what is to be restarted with them, and start what they need; all that are restarted."""
        named = list(names)
        self.forget_stops(named)
        supervisor = self._supervisor
        followers = dependencies.restarted_with(named, supervisor.specs, supervisor.lives)
        supervisor.restarting.update({name: f"{by}, with {', '.join(named)}" for name in followers})
        supervisor.restarting.update(dict.fromkeys(named, by))
        for name in dependencies.to_start(named, supervisor.specs, supervisor.lives, wanted=False):
            if name not in named:
                supervisor.post(name, Start(by))
        if len(supervisor.restarting) > 1:
            self._keep_restarts()
        self.release_restarts()
        self._keep_restarts()
        return [*named, *followers]

    def forget_stops(self, names: Iterable[str]) -> None:
        """These are wanted up again: those that still waited to be stopped are not stopped any more."""
        if [name for name in names if self._stops.pop(name, None)]:
            self._kept.change(stops=dict(self._stops))

    def hurry(self) -> None:
        """Nothing waits for its turn any more: stops are posted, restarts are given up."""
        stops, self._stops = self._stops, {}
        self._supervisor.restarting.clear()
        for name, by in stops.items():
            self._supervisor.post(name, Stop(by))

    # What waits

    def waits(self, name: str) -> bool:
        """Whether a stop or restart of it waits for its turn."""
        return name in self._stops or name in self._supervisor.restarting

    def pending(self, name: str) -> str:
        """Whose end its stop or restart waits for, as a sentence; "" where there is none."""
        stop, again = self._stops.get(name), self._supervisor.restarting.get(name)
        if stop is None and again is None:
            return ""
        verb = f"stopped by {stop}" if stop is not None else f"restarted by {again}"
        lives = self._supervisor.lives
        ordered = self._stops.keys() | self._supervisor.restarting.keys()
        others = [
            each
            for each in self._declared.needed_by.get(name, ())
            if each in lives and (each in ordered or lives[each].state is State.STOPPING)
        ]
        return f"it is {verb} once {', '.join(others)} {'has' if len(others) == 1 else 'have'} ended"

    # Whose turn it is

    def changed(self, name: str, life: Life) -> None:
        """A service's life is this now: what it depends on may have waited for that."""
        needs, restarting = self._supervisor.specs[name].depends_on, self._supervisor.restarting
        if self._stops and life.phase in AT_REST:
            self._release_stops([need for need in needs if need in self._stops])
        if restarting:
            self._release_restarts([need for need in needs if need in restarting])

    def quiet(self) -> None:
        """All that was posted is handled: restarts that were told are no longer waited with."""
        told, self._told = self._told, set()
        if [name for name in told if self._supervisor.restarting.pop(name, None)]:
            self.release_restarts()

    def release_restarts(self) -> None:
        """Restart those that have nothing left to wait for."""
        self._release_restarts(list(self._supervisor.restarting))

    def _release_stops(self, candidates: Iterable[str]) -> None:
        """Stop those that were asked to stop and have no dependent left that still has to stop before them."""
        needed_by, lives, waiting = self._declared.needed_by, self._supervisor.lives, bool(self._stops)
        for name in candidates:
            if name in self._stops and dependencies.may_stop(name, needed_by, lives, self._stops, self._told):
                self._told.add(name)
                self._supervisor.post(name, Stop(self._stops.pop(name)))
        if waiting and not self._stops and self._kept.note.stops:
            self._kept.change(stops={})

    def _release_restarts(self, candidates: Iterable[str]) -> None:
        """Restart those that were asked to and have no dependent left that still has to end before them."""
        restarting, lives = self._supervisor.restarting, self._supervisor.lives
        for name in candidates:
            if name not in restarting or name in self._told:
                continue
            if dependencies.may_restart(name, self._declared.needed_by, lives, restarting, self._stops):
                self._told.add(name)
                if self._kept.note.again:
                    self._keep_restarts()
                self._supervisor.post(name, Restart(restarting[name]))

    def _keep_restarts(self) -> None:
        restarting = self._supervisor.restarting
        self._kept.change(again={name: by for name, by in restarting.items() if name not in self._told})

    def _forget_restarts(self, names: Iterable[str]) -> None:
        """These, or what needs them, are wanted down: those that still waited to be restarted are not any more."""
        if [name for name in names if self._supervisor.restarting.pop(name, None)]:
            self._keep_restarts()
