"""Secrets as files: written before a run, removed when their service is declared no more, or the daemon ends.

The folders and files themselves are made by a fork of the keeper (`pserv.fetching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pserv.keeper.protocol import Message
from pserv.model.secrets import Values
from pserv.model.spec import ServiceSpec
from pserv.rules import references
from pserv.supervisor import sources
from pserv.supervisor.sources import Unread
from pserv.system import delivered

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

_LAST_PATIENCE = 2.0
"""Seconds that the end of the daemon waits until the files of a service are gone."""


class Delivering:
    """For one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._supervisor = session.supervisor
        self._delivered: dict[str, ServiceSpec] = {}
        """Whose secrets are files now, and how they were declared then."""

    async def deliver(self, name: str, spec: ServiceSpec, values: Values) -> None:
        """Write the secrets that are files. Raises Unread."""
        files = references.delivered(spec)
        if not files:
            return
        folder = self._supervisor.places.secrets
        paths = [
            [references.place(name, each, secret, folder), values.secrets[each]]
            for each, secret in files.items()
            if each in values.secrets
        ]
        asked = {"folder": f"{folder}/{name}", "files": paths, **_user(spec)}
        try:
            await sources.fetch(self._session, {"write": asked}, sources.PATIENCE)
        except Unread as unread:
            raise Unread(f"cannot deliver secret {', '.join(files)}: {unread}") from None
        self._delivered[name] = spec

    async def remove_all(self) -> None:
        """The files of all services: the daemon ends."""
        for name in list(self._delivered):
            await self.remove(name)

    async def remove(self, name: str) -> None:
        spec = self._delivered.pop(name, None)
        if spec is None:
            return
        paths = [secret.path for secret in references.delivered(spec).values() if secret.path is not None]
        asked = {"folder": f"{self._supervisor.places.secrets}/{name}", "files": paths, **_user(spec)}
        try:
            await sources.fetch(self._session, {"remove": asked}, _LAST_PATIENCE)
        except Unread as unread:
            self._session.log(f"the files of the secrets of {name} may still be there: {unread}")

    @property
    def trouble(self) -> str:
        """What is to be known of this machine."""
        folder = self._supervisor.places.secrets
        disk = delivered.disk_of(folder) if self._delivered else ""
        return f"secrets that are files are on a disk ({disk}), not in memory: {folder} is on no tmpfs" if disk else ""

    def known(self, specs: Mapping[str, ServiceSpec]) -> None:
        """What an earlier supervisor has delivered as files."""
        records = self._supervisor.records
        for name, spec in specs.items():
            if references.delivered(spec) and name in records and records[name].values is not None:
                self._delivered.setdefault(name, spec)


def _user(spec: ServiceSpec) -> Message:
    return {"user": spec.user, "group": spec.group, "groups": spec.supplementary_groups}
