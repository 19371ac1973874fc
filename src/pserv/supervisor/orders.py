"""What is wanted, in order: declared services, an operator's start and stop, the daemon's end. Posts events only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pserv.model.errors import Refused
from pserv.model.events import Configured, DependenciesChanged, Hurry, Restart, Run, Start, Stop
from pserv.model.names import service_of
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase, State
from pserv.rules import conditions, dependencies, ending, instances, references
from pserv.rules.instances import Scale
from pserv.supervisor import log_settings, record
from pserv.supervisor.record import DaemonNote
from pserv.supervisor.rolling import RollingRestart
from pserv.supervisor.supervisor import WITHOUT_A_RUN, Supervisor
from pserv.system.launches import Places

DAEMON = "@daemon"
"""The key of the daemon's own note."""


class Orders:
    """Posts what follows from wishes; `note` is what of them must outlive this process."""

    def __init__(self, supervisor: Supervisor, note: DaemonNote, *, safe: bool) -> None:
        """`safe`: nothing new is run."""
        self.note = note
        self.safe = safe
        self._supervisor = supervisor
        self._needed_by: dict[str, list[str]] = {}
        self._stops: dict[str, str] = {}
        self._told: set[str] = set()
        """Services whose stop or restart is posted and may not be handled yet."""
        self._leaving: set[str] = set()
        self._fresh: list[str] = []
        self.declared: dict[str, ServiceSpec] = {}
        """The spec of each instance that is declared now, by its name."""
        self._changed: set[str] = set()
        """Services that are declared otherwise than when `align` looked last."""
        self._referring: set[str] = set()
        """Services that were declared without anything to be read, and are with it now."""
        self._places: Places | None = None
        """On what, besides their specs, the launches depended then."""
        self._finished = False
        supervisor.restarting.update(note.again)
        self.rolling = RollingRestart(supervisor, self, note.rolling, lambda now: self._keep(rolling=now))
        supervisor.follower = self

    # What is declared

    def declare(self, document: Document) -> None:
        """From now on this is what is wanted; nothing is done about it before `align`."""
        supervisor = self._supervisor
        supervisor.document = document
        self._keep(scales=instances.lasting(self.note.scales, document.services))
        before = self.declared
        declared = self.declared = instances.expand(document.services, self.note.scales)
        self._changed.update(name for name, spec in declared.items() if before.get(name) != spec)
        both = self._changed & before.keys() & declared.keys()
        self._referring.update(name for name in both if _gained(before[name], declared[name]))
        returned = self._leaving & declared.keys()
        self._leaving = {name for name in supervisor.lives if name not in declared}
        gone = {name: supervisor.specs.get(name) or self._spec_of(name, document) for name in self._leaving}
        supervisor.specs = instances.together({**gone, **declared})
        self._needed_by = dependencies.needed_by(supervisor.specs)
        self._fresh = [name for name in declared if name not in supervisor.lives or name in returned]
        for name in self._fresh:
            if name not in returned:
                supervisor.admit(name)

    def expanded(self, document: Document) -> dict[str, ServiceSpec]:
        """The spec of each instance if this were the accepted configuration, with the scales that last."""
        return instances.expand(document.services, instances.lasting(self.note.scales, document.services))

    def _spec_of(self, name: str, document: Document) -> ServiceSpec:
        """Of a surplus instance, as that of its service; nobody knows any more how another one is to be stopped."""
        spec = document.services.get(service_of(name))
        return ServiceSpec(exec=name) if spec is None else instances.instance(name, spec)

    def align(self, by: str, *, start: Iterable[str] | None = None) -> None:
        """Compare what is declared with what is, and post what follows: for a start, a reload and a resume alike.

        A service that was not known is started if it is `autostart` (or one of `start`, where that is given); one
        that runs from another launch than it is declared with is restarted; one no longer declared is stopped.
        """
        supervisor = self._supervisor
        if self.safe or self.note.ending:
            return
        wanted = [name for name in self._fresh if supervisor.specs[name].autostart]
        named = None if start is None else set(start)
        if named is not None:
            wanted = [name for name in supervisor.specs if not named.isdisjoint((name, service_of(name)))]
        self.start(wanted, by)
        changed = self._looked_at()
        waiting = {name for name, life in supervisor.lives.items() if life.phase is Phase.WAITING}
        for name in (changed | waiting) - set(self._fresh):
            supervisor.post(name, Configured())
        log_settings.tell(supervisor)
        stale = [name for name, life in supervisor.lives.items() if name in changed and self._is_stale(name, life)]
        self._referring.clear()
        self.restart([name for name in stale if name not in self._leaving], by)
        self.stop(instances.falling(self._leaving), by)

    def _looked_at(self) -> set[str]:
        """What may have to be as it is not: what is declared otherwise than at the last look; all after a move."""
        supervisor = self._supervisor
        moved = supervisor.places != self._places
        changed, self._changed, self._places = self._changed, set(), supervisor.places
        if moved:
            return set(supervisor.specs)
        # What is in env files and secrets may be otherwise though all is declared as it was.
        referring = {name for name, spec in supervisor.specs.items() if references.needed(spec)}
        return changed & supervisor.specs.keys() | referring

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
        self._keep(scales=scales)
        self._supervisor.tell("", "scale", f"{told} by {by}")
        self.declare(self._supervisor.document)
        fresh, surplus = list(self._fresh), instances.falling(self._leaving)
        self.start(fresh, f"scale {told} by {by}")
        self.stop(surplus, f"scale {told} by {by}")
        for name, life in list(self._supervisor.lives.items()):
            if life.phase is Phase.WAITING:
                self._supervisor.post(name, DependenciesChanged())
        return fresh, surplus

    def _is_stale(self, name: str, life: Life) -> bool:
        """A scheduled run under way goes on as it is, as under cron(8); the next one is as declared.

        What failed with another launch is tried again: that may be what the change mends.
        """
        supervisor = self._supervisor
        if life.goal is not Goal.UP or (
            supervisor.specs[name].schedule is not None and (life.due is not None or life.once)
        ):
            return False
        if name in self._referring and life.phase not in WITHOUT_A_RUN:
            return True  # what it would get is read as it is started again
        failing = life.phase in (Phase.BACKOFF, Phase.FAILED)
        return supervisor.launched_otherwise(name) if failing else supervisor.stale(name)

    def resume(self) -> None:
        """Go on with an order to end, or with stops in order, that an earlier supervisor had begun."""
        if self.note.ending:
            self.stop(list(self._supervisor.lives), self.note.ending)
            return
        for name, by in self.note.stops.items():
            if name in self._supervisor.lives and self._supervisor.lives[name].goal is Goal.UP:
                self._stops[name] = by
        self._release(list(self._stops))
        if not self.safe:
            self._release_restarts(list(self._supervisor.restarting))
        self.rolling.look()

    # What operators ask

    def start(self, names: Iterable[str], by: str = "operator") -> None:
        """Start services and all that they need, what is needed first."""
        named = set(names)
        if not named:
            return
        self._may_run("start")
        self._forget_stops(named)
        for name in dependencies.to_start(named, self._supervisor.specs, self._supervisor.lives):
            self._supervisor.post(name, Start(by))
        self._release_restarts(list(self._supervisor.restarting))

    def stop(self, names: Iterable[str], by: str = "operator") -> None:
        """Stop services, those that depend on others first."""
        named = list(names)
        self._forget_restarts([*named, *dependencies.dependents(named, self._needed_by)])
        self.rolling.leave_out(named)
        self._stops.update(dict.fromkeys(named, by))
        self._release(list(self._stops))
        self._release_restarts(list(self._supervisor.restarting))
        if self._stops and not self.note.ending:
            self._keep(stops=dict(self._stops))
        self.quiet()

    def left_behind(self, names: Iterable[str]) -> str:
        """Who goes on without these if they are stopped, as a sentence; "" where nobody does."""
        left = dependencies.left_behind(names, self._needed_by, self._supervisor.lives)
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
        self._forget_stops([name])
        specs, lives = self._supervisor.specs, self._supervisor.lives
        for need in dependencies.to_start([name], specs, lives):
            if need != name:
                self._supervisor.post(need, Start(by))
        self._supervisor.post(name, Run(by))

    def ordered(self, name: str) -> bool:
        """Whether a stop or restart of it waits for its turn."""
        return name in self._stops or name in self._supervisor.restarting

    def try_out(self, names: Iterable[str]) -> None:
        """These are on trial, or with none the trial is over: it outlives this process."""
        self._keep(trial=tuple(names))

    def pending(self, name: str) -> str:
        """A stop or restart that waits until what depends on this has ended, as a sentence; "" where there is none."""
        stop, again = self._stops.get(name), self._supervisor.restarting.get(name)
        if stop is None and again is None:
            return ""
        verb = f"stopped by {stop}" if stop is not None else f"restarted by {again}"
        lives = self._supervisor.lives
        ordered = self._stops.keys() | self._supervisor.restarting.keys()
        others = [
            each
            for each in self._needed_by.get(name, ())
            if each in lives and (each in ordered or lives[each].state is State.STOPPING)
        ]
        return f"it is {verb} once {', '.join(others)} {'has' if len(others) == 1 else 'have'} ended"

    def restart(self, names: Iterable[str], by: str = "operator") -> list[str]:
        """Restart services, and what is to be restarted with them; each ends before what it depends on does.

        Returns all that are restarted.
        """
        named = list(names)
        if not named:
            return []
        self._may_run("restart")
        self._forget_stops(named)
        supervisor = self._supervisor
        followers = dependencies.restarted_with(named, supervisor.specs, supervisor.lives)
        supervisor.restarting.update({name: f"{by}, with {', '.join(named)}" for name in followers})
        supervisor.restarting.update(dict.fromkeys(named, by))
        for name in dependencies.to_start(named, supervisor.specs, supervisor.lives, wanted=False):
            if name not in named:
                supervisor.post(name, Start(by))
        if len(supervisor.restarting) > 1:
            self._remember_restarts()
        self._release_restarts(list(supervisor.restarting))
        self._remember_restarts()
        return [*named, *followers]

    def roll(self, names: Iterable[str], by: str = "operator") -> None:
        """Restart one after the other, each when the last is ready; ends at the first that fails."""
        self._may_run("restart")
        self.rolling.begin(names, f"rolling restart by {by}")

    def shutdown(self, why: str, code: int = 0) -> None:
        """Stop everything in order, then end the daemon with this exit code. The first order counts."""
        if self.note.ending:
            return
        self._keep(ending=why, exit_code=code)
        self._supervisor.tell("", "daemon", f"ending: {why}")
        self.stop(list(self._supervisor.lives), why)

    def hurry(self) -> None:
        """A second order to end: nothing is waited for any more."""
        stops, self._stops = self._stops, {}
        self._supervisor.restarting.clear()
        for name, by in stops.items():
            self._supervisor.post(name, Stop(by))
        for name, life in list(self._supervisor.lives.items()):
            if life.phase not in AT_REST:
                self._supervisor.post(name, Hurry())
        if self._supervisor.hooks is not None:
            self._supervisor.hooks.hurry()

    def count_deaths(self, times: Iterable[float]) -> None:
        """Earlier supervisors died at these times (monotonic); those not counted yet are."""
        new = [at for at in times if at > self.note.last_death]
        if new:
            self._keep(restarts=self.note.restarts + len(new), last_death=max(new))

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
        for dependent in self._needed_by.get(name, ()):
            if dependent in supervisor.lives and supervisor.lives[dependent].phase is Phase.WAITING:
                supervisor.post(dependent, DependenciesChanged())
        if self._stops and new.phase in AT_REST:
            self._release([need for need in supervisor.specs[name].depends_on if need in self._stops])
        if supervisor.restarting:
            self._release_restarts(
                [need for need in supervisor.specs[name].depends_on if need in supervisor.restarting]
            )
        if old.phase is new.phase and old.goal is new.goal:
            return
        exit_when = self._exit_when()
        verdict = ending.after_change(name, exit_when, supervisor.specs, supervisor.lives, failed=failed)
        if verdict is not None:
            self.shutdown(verdict.why, verdict.code)

    def quiet(self) -> None:
        """Drop what has left; finish when everything is at rest and the end was ordered."""
        supervisor = self._supervisor
        told, self._told = self._told, set()
        if [name for name in told if supervisor.restarting.pop(name, None)]:
            self._release_restarts(list(supervisor.restarting))
        self.rolling.look()
        for name in [name for name in self._leaving if supervisor.lives[name].phase in AT_REST]:
            self._leaving.discard(name)
            declared = service_of(name) in supervisor.document.services
            supervisor.drop(name, "no instance any more" if declared else "no longer declared")
        if supervisor.hooks is not None and supervisor.hooks.busy:
            return
        if self.note.ending and not self._finished and all(life.phase in AT_REST for life in supervisor.lives.values()):
            self._finished = True
            supervisor.tell("", "daemon", "ended: nothing runs any more")
            supervisor.keeper.finish(self.note.exit_code)

    def _exit_when(self) -> ending.ExitWhen:
        declared = self._supervisor.document.daemon.exit_when
        return "container" if declared is None and self._supervisor.places.container else declared

    def _release(self, candidates: Iterable[str]) -> None:
        """Stop those that were asked to stop and have no dependent left that still has to stop before them."""
        lives, waiting = self._supervisor.lives, bool(self._stops)
        for name in candidates:
            if name in self._stops and dependencies.may_stop(name, self._needed_by, lives, self._stops, self._told):
                self._told.add(name)
                self._supervisor.post(name, Stop(self._stops.pop(name)))
        if waiting and not self._stops and self.note.stops:
            self._keep(stops={})

    def _release_restarts(self, candidates: Iterable[str]) -> None:
        """Restart those that were asked to and have no dependent left that still has to end before them."""
        restarting, lives = self._supervisor.restarting, self._supervisor.lives
        for name in candidates:
            if name not in restarting or name in self._told:
                continue
            if dependencies.may_restart(name, self._needed_by, lives, restarting, self._stops):
                self._told.add(name)
                if self.note.again:
                    self._remember_restarts()
                self._supervisor.post(name, Restart(restarting[name]))

    def _remember_restarts(self) -> None:
        self._keep(again={name: by for name, by in self._supervisor.restarting.items() if name not in self._told})

    def _forget_stops(self, names: Iterable[str]) -> None:
        """An operator wants up again what still waited to be stopped."""
        if [name for name in names if self._stops.pop(name, None)]:
            self._keep(stops=dict(self._stops))

    def _forget_restarts(self, names: Iterable[str]) -> None:
        """An operator wants down what still waited to be restarted, or what that needs."""
        if [name for name in names if self._supervisor.restarting.pop(name, None)]:
            self._remember_restarts()

    def _keep(self, **changes: object) -> None:
        note = msgspec.structs.replace(self.note, **changes)
        if note != self.note:
            self.note = note
            self._supervisor.keeper.do(DAEMON, record.encode(note))


def _gained(before: ServiceSpec, after: ServiceSpec) -> bool:
    return references.needed(after) and not references.needed(before)
