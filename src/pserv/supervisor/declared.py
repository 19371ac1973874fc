"""What is declared now, and which services are not as it says. What is done about that is ordered in `orders`."""

from __future__ import annotations

from pserv.model.names import service_of
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import AT_REST, Goal, Life, Phase
from pserv.rules import dependencies, instances, references
from pserv.supervisor.daemon_note import Kept
from pserv.supervisor.supervisor import WITHOUT_A_RUN, Supervisor
from pserv.system.launches import Places


class Declared:
    """The instances of the accepted document at the scales that operators want, beside those that leave."""

    def __init__(self, supervisor: Supervisor, kept: Kept) -> None:
        self.specs: dict[str, ServiceSpec] = {}
        """The spec of each instance that is declared now, by its name."""
        self.needed_by: dict[str, list[str]] = {}
        """Who depends directly on each service, those that leave among them."""
        self.fresh: list[str] = []
        """Instances that the last document brought, or brought back before they had left."""
        self.leaving: set[str] = set()
        """Instances that are no longer declared and not dropped yet."""
        self._supervisor = supervisor
        self._kept = kept
        self._changed: set[str] = set()
        """Services that are declared otherwise than when `looked_at` was asked last."""
        self._referring: set[str] = set()
        """Services that were declared without anything to be read, and are with it now."""
        self._places: Places | None = None
        """On what, besides their specs, the launches depended then."""

    def take(self, document: Document) -> None:
        """From now on this is what is wanted."""
        supervisor = self._supervisor
        supervisor.document = document
        self._kept.change(scales=instances.lasting(self._kept.note.scales, document.services))
        before = self.specs
        declared = self.specs = instances.expand(document.services, self._kept.note.scales)
        self._changed.update(name for name, spec in declared.items() if before.get(name) != spec)
        both = self._changed & before.keys() & declared.keys()
        self._referring.update(name for name in both if _gained(before[name], declared[name]))
        returned = self.leaving & declared.keys()
        self.leaving = {name for name in supervisor.lives if name not in declared}
        gone = {name: supervisor.specs.get(name) or self._spec_of(name) for name in self.leaving}
        supervisor.specs = instances.together({**gone, **declared})
        self.needed_by = dependencies.needed_by(supervisor.specs)
        self.fresh = [name for name in declared if name not in supervisor.lives or name in returned]
        for name in self.fresh:
            if name not in returned:
                supervisor.admit(name)

    def _spec_of(self, name: str) -> ServiceSpec:
        """Of a surplus instance, as that of its service; nobody knows any more how another one is to be stopped."""
        spec = self._supervisor.document.services.get(service_of(name))
        return ServiceSpec(exec=name) if spec is None else instances.instance(name, spec)

    def expanded(self, document: Document) -> dict[str, ServiceSpec]:
        """The spec of each instance if this were the accepted configuration, with the scales that last."""
        return instances.expand(document.services, instances.lasting(self._kept.note.scales, document.services))

    def looked_at(self) -> set[str]:
        """What may have to be as it is not: what is declared otherwise than at the last look; all after a move."""
        supervisor = self._supervisor
        moved = supervisor.places != self._places
        changed, self._changed, self._places = self._changed, set(), supervisor.places
        if moved:
            return set(supervisor.specs)
        # What is in env files and secrets may be otherwise though all is declared as it was.
        referring = {name for name, spec in supervisor.specs.items() if references.needed(spec)}
        return changed & supervisor.specs.keys() | referring

    def stale(self, names: set[str]) -> list[str]:
        """Which of these run from another launch than they are declared with, and are to be restarted for it."""
        stale = [name for name, life in self._supervisor.lives.items() if name in names and self._is_stale(name, life)]
        self._referring.clear()
        return [name for name in stale if name not in self.leaving]

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

    def drop_what_left(self) -> None:
        """Forget those that are no longer declared and have come to rest."""
        supervisor = self._supervisor
        for name in [name for name in self.leaving if supervisor.lives[name].phase in AT_REST]:
            self.leaving.discard(name)
            declared = service_of(name) in supervisor.document.services
            supervisor.drop(name, "no instance any more" if declared else "no longer declared")


def _gained(before: ServiceSpec, after: ServiceSpec) -> bool:
    return references.needed(after) and not references.needed(before)
