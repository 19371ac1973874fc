"""The files of the configuration, watched: a saved change of them is applied by itself. Who watches is `watches`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pserv.supervisor.reloading import NotNeeded
from pserv.supervisor.unloaded import changed

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

NAME = "@config"
"""What the watcher calls these files; no service has such a name."""
DEBOUNCE = 0.3
"""Seconds without a change after which a save is complete."""
IGNORED = (".git", "node_modules", "__pycache__", ".venv")


class ConfigWatch:
    """What is to be watched follows from the accepted document alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._paths: list[str] = []
        """What has changed, and is read by a reload that is to begin."""

    def wanted(self) -> dict[str, Any] | None:
        """What the watcher is asked for; None where the configuration does not say so."""
        document = self._session.supervisor.document
        if not document.daemon.watch_config or self._session.orders.safe:
            return None
        read = (file.path for file in document.files)
        roots = dict.fromkeys([*read, *self._session.boot.files, *document.looked_for])
        deeper = "/".join("*" * (max(document.looked_for.values(), default=0) + 1))
        return {"name": NAME, "roots": list(roots), "ignore": [*IGNORED, deeper], "debounce": DEBOUNCE, "own": []}

    def watched(self, trouble: str) -> None:
        """They are watched from now on: what changed before, nobody has told."""
        self._session.reloading.unwatched = trouble
        for file in self._session.supervisor.document.files:
            if changed(file.path, file.mtime_ns):
                self.changed([file.path], 1)
                return

    def changed(self, paths: list[str], count: int) -> None:
        """Read them again, unless that is to be done anyway, or nothing that is read is among so many."""
        if count <= len(paths):
            paths = [path for path in paths if self._is_news(path)]
        if paths and not self._paths:
            self._session.tasks.spawn(self._reload(paths[0]))
        self._paths += paths

    def _is_news(self, path: str) -> bool:
        """Whether it is one of the files, and was not read since; or would be one."""
        document = self._session.supervisor.document
        read = {file.path: file.mtime_ns for file in document.files}
        if path in read:
            return bool(changed(path, read[path]))
        return path in document.looked_for or os.path.splitext(path)[1] in {os.path.splitext(each)[1] for each in read}

    async def _reload(self, path: str) -> None:
        document = self._session.supervisor.document
        saved = next((file.path for file in document.files if changed(file.path, file.mtime_ns)), path)
        shown = saved.removeprefix(document.root.rstrip("/") + "/")
        await self._session.reloading.by_itself(f"{shown} was saved", begins=self._begins)

    def _begins(self) -> None:
        """Raises NotNeeded when another one has read all of it meanwhile."""
        paths, self._paths = self._paths, []
        if not any(map(self._is_news, paths)):
            raise NotNeeded
