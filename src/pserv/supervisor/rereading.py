"""Env files and secrets in a reload: read again for its plan, compared, and what services get from then on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pserv.model.secrets import Values
from pserv.model.spec import Document, ServiceSpec
from pserv.model.states import AT_REST, Goal
from pserv.model.status import OptionChange, ReloadStep
from pserv.rules import references
from pserv.rules.secrecy import MASK
from pserv.supervisor.sources import Unread

if TYPE_CHECKING:
    from pserv.supervisor.main import Session
    from pserv.supervisor.resolving import Resolving

_NAMED = 5
"""So many services are named of those that have the same trouble."""


class Rereading:
    """For one session."""

    def __init__(self, session: Session, resolving: Resolving) -> None:
        self._supervisor = session.supervisor
        self._resolving = resolving
        self._planned: tuple[Document, dict[str, Values | str]] | None = None

    async def compare(
        self, document: Document, expanded: Mapping[str, ServiceSpec], steps: Iterable[ReloadStep]
    ) -> tuple[tuple[ReloadStep, ...], tuple[str, ...]]:
        """The steps of a reload with what is different of env files and secrets by now, by name; what was not read.

        What was read is kept for the `apply` of this document; of what could not be read the last values serve.
        """
        own = self._supervisor.records
        asked = {
            name: spec
            for name, spec in expanded.items()
            if references.needed(spec) and name in own and own[name].values is not None
        }
        outcomes = await self._resolving.side_by_side(asked, document)
        self._planned = document, outcomes
        return tuple(self._compared(step, outcomes, expanded) for step in steps), tuple(_troubles(outcomes))

    def _compared(
        self, step: ReloadStep, outcomes: Mapping[str, Values | str], specs: Mapping[str, ServiceSpec]
    ) -> ReloadStep:
        name = step.service
        new = outcomes.get(name)
        if not isinstance(new, Values) or step.action == "remove":
            return step
        found = references.changed(specs[name], self._supervisor.records[name].values or Values(), new)
        if not found:
            return step
        restarts = self._supervisor.lives[name].phase not in AT_REST and specs[name].schedule is None
        action = "restart" if step.action == "restart" or restarts else "live"
        details = (*step.details, *map(_detail, found))
        return replace(step, action=action, changes=(*step.changes, *found), details=details)

    async def deliver(self, document: Document, expanded: Mapping[str, ServiceSpec]) -> dict[str, Values]:
        """What `compare` read for this document, its files being written; what cannot be read or written is told."""
        if self._planned is None or self._planned[0] is not document:
            return {}
        outcomes, self._planned = self._planned[1], None
        delivered: dict[str, Values] = {}
        for name, outcome in outcomes.items():
            try:
                if isinstance(outcome, str):
                    raise Unread(outcome)
                await self._resolving.delivering.deliver(name, expanded[name], outcome)
                delivered[name] = outcome
            except Unread as unread:
                self._resolving.trouble(name, str(unread))
        return delivered

    def adopt(self, values: Mapping[str, Values]) -> None:
        """From now on services get these; who runs with others is restarted by the reload that it is for."""
        supervisor = self._supervisor
        for name, each in values.items():
            if name in supervisor.specs:
                self._resolving.take(name, each)
                restarts = supervisor.lives[name].goal is Goal.UP and supervisor.specs[name].schedule is None
                supervisor.records[name].prepared = restarts and supervisor.stale(name)


def _troubles(outcomes: Mapping[str, Values | str]) -> Iterator[str]:
    """A sentence for each that could not be read, with the services that wanted it."""
    of: dict[str, list[str]] = {}
    for name, why in outcomes.items():
        if isinstance(why, str):
            of.setdefault(why, []).append(name)
    for why, names in of.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{', '.join(names[:_NAMED])}{more}: {why}; what was read before serves"


def _detail(text: str) -> OptionChange:
    """ "env_file: A added" as data."""
    told, _, verb = text.rpartition(" ")
    option = told.replace("env_file: ", "env_file.").replace("secret ", "secrets.")
    return OptionChange(option, False, MASK if verb == "removed" else None, MASK if verb == "added" else None)
