"""What is wanted, in order: declared services, an operator's start and stop, the daemon's end. Posts events only.

Who waits for his turn to end is in `turns`, what is declared in `declared`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pserv.model.errors import Refused
from pserv.model.events import Configured, DependenciesChanged, Hurry, Run, Start
from pserv.model.names import service_of
from pserv.model.spec import Document
from pserv.model.states import AT_REST, Life, Phase, State
from pserv.rules import conditions, dependencies, ending, instances
from pserv.rules.instances import Scale
from pserv.supervisor import log_settings
from pserv.supervisor.daemon_note import DaemonNote, Kept
from pserv.supervisor.declared import Declared
from pserv.supervisor.rolling import RollingRestart
from pserv.supervisor.supervisor import Supervisor
from pserv.supervisor.turns import Turns


class Orders:
    """Posts what follows from wishes. What of them must outlive this process stands in the daemon's note."""

    def __init__(self, supervisor: Supervisor, note: DaemonNote, *, safe: bool) -> None:
        """`note`: what the last supervisor left; `safe`: nothing new is run."""
        self.safe = safe
        self._supervisor = supervisor
        self._kept = Kept(note, supervisor.keeper)
        self.declared = Declared(supervisor, self._kept)
        self.turns = Turns(supervisor, self.declared, self._kept)
        self.rolling = RollingRestart(supervisor, self, self._kept)
        self._finished = False
        supervisor.follower = self

    @property
    def note(self) -> DaemonNote:
        """What the next supervisor would be told now."""
        return self._kept.note

    # What is declared

    def declare(self, document: Document) -> None:
        """From now on this is what is wanted; nothing is done about it before `align`."""
        self.declared.take(document)

    def align(self, by: str, *, start: Iterable[str] | None = None) -> None:
        """Compare what is declared with what is, and post what follows: for a start, a reload and a resume alike.

        A service that was not known is started if it is `autostart` (or one of `start`, where that is given); one
        that runs from another launch than it is declared with is restarted; one no longer declared is stopped.
        """
        supervisor = self._supervisor
        if self.safe or self.note.ending:
            return
        wanted = [name for name in self.declared.fresh if supervisor.specs[name].autostart]
        named = None if start is None else set(start)
        if named is not None:
            wanted = [name for name in supervisor.specs if not named.isdisjoint((name, service_of(name)))]
        self.start(wanted, by)
        changed = self.declared.looked_at()
        waiting = {name for name, life in supervisor.lives.items() if life.phase is Phase.WAITING}
        for name in (changed | waiting) - set(self.declared.fresh):
            supervisor.post(name, Configured())
        log_settings.tell(supervisor)
        self.restart(self.declared.stale(changed), by)
        self.stop(instances.falling(self.declared.leaving), by)

    def scale(self, counts: Mapping[str, int], by: str = "operator") -> tuple[list[str], list[str]]:
        """Have so many instances of each service: starts new ones, stops those with the highest numbers.

        The instances that are started, and those that are stopped. Raises Refused.
        """
        self._may_run("scale")
        services = self._supervisor.document.services
        scales = dict(self.note.scales)
        for name, wanted in counts.items():
            spec = services[name]
            if refusal := instances.refused(name, spec, wanted):
                raise Refused(*refusal)
            assert spec.instances is not None
            scales[name] = Scale(wanted, spec.instances)
        told = ", ".join(f"{name}={wanted}" for name, wanted in counts.items())
        self._kept.change(scales=scales)
        self._supervisor.tell("", "scale", f"{told} by {by}")
        self.declare(self._supervisor.document)
        fresh, surplus = list(self.declared.fresh), instances.falling(self.declared.leaving)
        self.start(fresh, f"scale {told} by {by}")
        self.stop(surplus, f"scale {told} by {by}")
        for name, life in list(self._supervisor.lives.items()):
            if life.phase is Phase.WAITING:
                self._supervisor.post(name, DependenciesChanged())
        return fresh, surplus

    def resume(self) -> None:
        """Go on with an order to end, or with stops in order, that an earlier supervisor had begun."""
        if self.note.ending:
            self.stop(list(self._supervisor.lives), self.note.ending)
            return
        self.turns.resume(safe=self.safe)
        self.rolling.look()

    # What operators ask

    def start(self, names: Iterable[str], by: str = "operator") -> None:
        """Start services and all that they need, what is needed first."""
        named = set(names)
        if not named:
            return
        self._may_run("start")
        self.turns.forget_stops(named)
        for name in dependencies.to_start(named, self._supervisor.specs, self._supervisor.lives):
            self._supervisor.post(name, Start(by))
        self.turns.release_restarts()

    def stop(self, names: Iterable[str], by: str = "operator") -> None:
        """Stop services, those that depend on others first."""
        named = list(names)
        self.rolling.leave_out(named)
        self.turns.stop(named, by)
        self.quiet()

    def left_behind(self, names: Iterable[str]) -> str:
        """Who goes on without these if they are stopped, as a sentence; "" where nobody does."""
        left = dependencies.left_behind(names, self.declared.needed_by, self._supervisor.lives)
        told = []
        for name, others in left.items():
            verb = "depends" if len(others) == 1 else "depend"
            told.append(f"{', '.join(others)} {verb} on {name}")
        return f"{'; '.join(told)}: left running" if told else ""

    def run(self, name: str, by: str = "operator") -> None:
        """One run now of a oneshot, whatever its schedule. Raises Refused while one is under way."""
        self._may_run("run")
        life = self._supervisor.lives[name]
        if self._supervisor.specs[name].type != "oneshot":
            raise Refused(f"cannot run {name}: it does not end by itself", f"pserv start {name}")
        if life.state in (State.STARTING, State.RUNNING, State.STOPPING):
            raise Refused(f"cannot run {name}: run {life.run} is under way", f"pserv logs -f {name}")
        self.turns.forget_stops([name])
        specs, lives = self._supervisor.specs, self._supervisor.lives
        for need in dependencies.to_start([name], specs, lives):
            if need != name:
                self._supervisor.post(need, Start(by))
        self._supervisor.post(name, Run(by))

    def restart(self, names: Iterable[str], by: str = "operator") -> list[str]:
        """Restart services, and what is to be restarted with them; each ends before what it depends on does.

        Returns all that are restarted.
        """
        named = list(names)
        if not named:
            return []
        self._may_run("restart")
        return self.turns.restart(named, by)

    def roll(self, names: Iterable[str], by: str = "operator") -> None:
        """Restart one after the other, each when the last is ready; ends at the first that fails."""
        self._may_run("restart")
        self.rolling.begin(names, f"rolling restart by {by}")

    def try_out(self, names: Iterable[str]) -> None:
        """These are on trial, or with none the trial is over: it outlives this process."""
        self._kept.change(trial=tuple(names))

    def shutdown(self, why: str, code: int = 0) -> None:
        """Stop everything in order, then end the daemon with this exit code. The first order counts."""
        if self.note.ending:
            return
        self._kept.change(ending=why, exit_code=code)
        self._supervisor.tell("", "daemon", f"ending: {why}")
        self.stop(list(self._supervisor.lives), why)

    def hurry(self) -> None:
        """A second order to end: nothing is waited for any more."""
        self.turns.hurry()
        for name, life in list(self._supervisor.lives.items()):
            if life.phase not in AT_REST:
                self._supervisor.post(name, Hurry())
        if self._supervisor.hooks is not None:
            self._supervisor.hooks.hurry()

    def count_deaths(self, times: Iterable[float]) -> None:
        """Earlier supervisors died at these times (monotonic); those not counted yet are."""
        new = [at for at in times if at > self.note.last_death]
        if new:
            self._kept.change(restarts=self.note.restarts + len(new), last_death=max(new))

    def _may_run(self, verb: str) -> None:
        if self.note.ending:
            raise Refused(f"cannot {verb} services: the daemon is ending ({self.note.ending})")
        if self.safe:
            raise Refused(
                f"cannot {verb} services: the daemon is in safe mode after repeated crashes",
                "see the traceback in `pserv status`; then `pserv upgrade`, or `pserv down` and `pserv up`",
            )

    # What follows from changes (supervisor.Follower)

    def changed(self, name: str, old: Life, new: Life, *, failed: bool) -> None:
        """Wake who waits for it, release who had to stop after it, end the daemon if that is what it meant."""
        if conditions.seen(old) == conditions.seen(new):
            return
        supervisor = self._supervisor
        for dependent in self.declared.needed_by.get(name, ()):
            if dependent in supervisor.lives and supervisor.lives[dependent].phase is Phase.WAITING:
                supervisor.post(dependent, DependenciesChanged())
        self.turns.changed(name, new)
        if old.phase is new.phase and old.goal is new.goal:
            return
        exit_when = self._exit_when()
        verdict = ending.after_change(name, exit_when, supervisor.specs, supervisor.lives, failed=failed)
        if verdict is not None:
            self.shutdown(verdict.why, verdict.code)

    def quiet(self) -> None:
        """Drop what has left; finish when everything is at rest and the end was ordered."""
        supervisor = self._supervisor
        self.turns.quiet()
        self.rolling.look()
        self.declared.drop_what_left()
        if supervisor.hooks is not None and supervisor.hooks.busy:
            return
        if self.note.ending and not self._finished and all(life.phase in AT_REST for life in supervisor.lives.values()):
            self._finished = True
            supervisor.tell("", "daemon", "ended: nothing runs any more")
            supervisor.keeper.finish(self.note.exit_code)

    def _exit_when(self) -> ending.ExitWhen:
        declared = self._supervisor.document.daemon.exit_when
        return "container" if declared is None and self._supervisor.places.container else declared
