"""Services and the files whose change restarts them: one watcher process for all, while somebody needs it.

What is to be watched follows from specs and lives alone: at every change, and when a supervisor takes over, both are
compared with what the watcher was asked for. Loaded with the first service that declares it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pserv.keeper import quickjson
from pserv.model.errors import PservError, Refused
from pserv.model.events import Change
from pserv.model.names import service_of
from pserv.model.states import Life, Phase
from pserv.model.units import parse_signal, show_duration
from pserv.model.watching import Watch
from pserv.rules import references, watching
from pserv.rules.decision import signal_name
from pserv.rules.watching import Streak
from pserv.supervisor import config_watch
from pserv.supervisor.config_watch import ConfigWatch
from pserv.system import launches
from pserv.system.streams import Reader, send_all
from pserv.system.tasks import Task

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
"""Seconds until a watcher that ended is replaced."""
_UNTOLD = 5.0
"""Seconds for which a watcher may know of a change that it has not told (`system.watching.LONGEST`)."""
_PATHS = 32
"""Of so many files of a service it is known how often they changed right after a start."""
_TROUBLE = "watch"
"""The key of what is wrong, beside the paths of logs."""


class Watches:
    """Asks the watcher, and does what a change means."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._task: Task[None] | None = None
        self._sock: socket.socket | None = None
        self._asked: dict[str, dict[str, Any]] = {}
        self._members: dict[str, list[str]] = {}
        """The services (instances) of each group."""
        self._streaks: dict[str, dict[str, Streak]] = {}
        """By service and path; of each the paths that changed last."""
        self._reloads: dict[str, bool] = {}
        """Reloads by a command under way, and whether something has changed since they began."""
        died = max((float(death["at"]) for death in session.deaths), default=0.0)
        self._blind = died if session.clock.now() - died < _LONGEST_PAUSE else 0.0
        """Since when (monotonic) nobody watched: what changed then is to be found; 0 when nothing is to be."""
        self._config = ConfigWatch(session)
        session.supervisor.bus.call(self._changed)

    def look(self) -> None:
        """Compare what is to be watched with what is."""
        asked = self._wanted()
        if not asked:
            self.stop()
        elif self._task is None:
            self._asked = asked
            self._task = self._session.tasks.spawn(self._watch())
        elif asked != self._asked:
            self._asked = asked
            if self._sock is not None:
                self._session.tasks.spawn(self._ask(self._sock))

    def stop(self) -> None:
        """Watch nothing until the next `look`."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._asked = None, {}

    def _changed(self, change: Change) -> None:
        if change.service and change.kind in ("state", "removed"):
            self.look()

    def _wanted(self) -> dict[str, dict[str, Any]]:
        """What is asked for, by the first service of each group: instances that watch the same are one."""
        supervisor = self._session.supervisor
        groups: dict[tuple[str, Watch], list[str]] = {}
        for name, spec in supervisor.specs.items():
            life = supervisor.lives.get(name)
            if spec.watch is not None and spec.watch.paths and life is not None and life.phase is not Phase.STOPPED:
                groups.setdefault((service_of(name), spec.watch), []).append(name)
        self._members = {names[0]: names for names in groups.values()}
        asked = {names[0]: self._group(names, watch) for (_, watch), names in groups.items()}
        config = self._config.wanted()
        return asked if config is None else {**asked, config_watch.NAME: config}

    def _group(self, names: list[str], watch: Watch) -> dict[str, Any]:
        supervisor = self._session.supervisor
        own: list[str] = []
        for name in names:
            spec = supervisor.specs[name]
            own += [path for _, path in launches.log_files(name, spec, supervisor.places)]
            own += [spec.pid_file] if spec.pid_file else []
        asked = {"name": names[0], "roots": watch.paths, "ignore": watch.ignore, "debounce": watch.debounce}
        return {**asked, "own": own}

    # The watcher

    async def _watch(self) -> None:
        pause = _FIRST_PAUSE
        session = self._session
        while True:
            began = session.clock.now()
            try:
                _, fds = await session.keeper.request({"op": "fork", "role": "watcher", "argument": ""})
                async with Reader(session.tasks, socket.socket(fileno=fds[0]), 1 << 20) as reader:
                    await self._listen(reader, fds[0])
                why = "the process that watches files has ended"
            except (PservError, OSError) as error:
                why = f"cannot watch files: {error}"
            self._blind = self._blind or session.clock.now()
            pause = _FIRST_PAUSE if session.clock.now() - began > _LONGEST_PAUSE else pause
            for name in self._asked:
                self._trouble(name, f"{why}; its files are watched again in {show_duration(pause)}")
            await session.tasks.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self, reader: Reader, fd: int) -> None:
        with socket.socket(fileno=os.dup(fd)) as self._sock:
            try:
                await self._ask(self._sock, {name: self._missed(name) for name in self._asked if self._blind})
                self._blind = 0.0
                while line := await reader.readline():
                    self._told(quickjson.loads(line.decode()))
            finally:
                self._sock = None

    def _missed(self, name: str) -> float:
        """Since when, by the wall clock, a change of this group's files may be news to one of its runs."""
        clock, lives = self._session.clock, self._session.supervisor.lives
        runs = [lives[each].started or lives[each].since for each in self._members.get(name, ()) if each in lives]
        return clock.wall() - clock.now() + max(self._blind - _UNTOLD, min(runs, default=0.0))

    async def _ask(self, sock: socket.socket, since: Mapping[str, float] | None = None) -> None:
        asked = [{**each, "since": (since or {}).get(name)} for name, each in self._asked.items()]
        try:
            await send_all(self._session.tasks, sock, quickjson.dumps(asked).encode() + b"\n")
        except OSError:
            pass  # it has ended, as its reader hears

    def _told(self, told: dict[str, Any]) -> None:
        if config_watch.NAME in told.values():
            if "watched" in told:
                self._config.watched(told["trouble"])
            elif config_watch.NAME in self._asked:
                self._config.changed(told["paths"], told["count"])
        elif "watched" in told:
            name, trouble = told["watched"], told["trouble"]
            if name in self._asked and not self._trouble(name, trouble) and not trouble:
                watched = ", ".join(self._shown(path) for path in self._asked[name]["roots"])
                self._session.supervisor.tell(name, "watch", f"watches {watched}")
        elif told["changed"] in self._asked:
            self._react(told["changed"], told["paths"], told["count"])

    def _trouble(self, name: str, text: str) -> bool:
        """Keep and tell it where it is news."""
        supervisor = self._session.supervisor
        own = supervisor.records.get(name)
        if own is None or own.logs.get(_TROUBLE, "") == text:
            return False
        supervisor.log_told(name, _TROUBLE, text)
        if text:
            supervisor.tell(name, "watch", text)
        return bool(text)

    # What a change means

    def _react(self, group: str, paths: list[str], count: int) -> None:
        supervisor = self._session.supervisor
        again: dict[str, list[str]] = {}
        for name in self._members.get(group, ()):
            life, spec = supervisor.lives[name], supervisor.specs[name]
            if spec.watch is None or not watching.acts(life):
                continue
            news = [path for path in paths if not self._is_own_doing(name, life, path)]
            if not news and count <= len(paths):
                continue
            what = f"a change of {self._shown((news or paths)[0])}" + (f" and {count - 1} more" if count > 1 else "")
            if spec.watch.on_change == "restart" or life.phase is not Phase.RUNNING:
                again.setdefault(what, []).append(name)
            elif spec.watch.on_change == "reload" and spec.reload is not None and spec.reload.signal is None:
                self._reload(name, what)
            else:
                signal = spec.reload.signal if spec.watch.on_change == "reload" and spec.reload else None
                self._signal(name, life, signal or parse_signal(spec.watch.on_change), what)
        for what, names in again.items():
            if any(references.needed(supervisor.specs[name]) for name in names):
                self._session.tasks.spawn(self._restart_with(group, names, what))
            else:
                self._restart(group, names, what)

    def _restart(self, group: str, names: list[str], what: str) -> None:
        try:
            self._session.orders.restart([name for name in names if name in self._session.supervisor.specs], what)
        except Refused as refused:
            self._session.supervisor.tell(group, "watch", f"{what}: {refused}")

    async def _restart_with(self, group: str, names: list[str], what: str) -> None:
        """The same with what their env files and secrets are now; where that cannot be read, with what they were."""
        resolving, lives = self._session.on_demand.resolving, self._session.supervisor.lives
        unread = await resolving.prepare([name for name in names if lives[name].pid])
        for name, why in unread.items():
            resolving.keep_last(name, why)
        self._restart(group, names, what)

    def _is_own_doing(self, name: str, life: Life, path: str) -> bool:
        """Whether it has changed so often right after a start that the service itself seems to do it; told then."""
        own = self._streaks.setdefault(name, {})
        streak = own[path] = watching.counted(own.pop(path, None), life, self._session.clock.now())
        if len(own) > _PATHS:
            del own[next(iter(own))]
        text = ""
        if endless := next((path for path, each in own.items() if each.endless), ""):
            text = (
                f"{self._shown(endless)} changes right after each start, so it is not restarted for that any more: "
                "does it write the file itself? Add it to watch.ignore"
            )
        self._trouble(name, text)
        return streak.endless

    def _signal(self, name: str, life: Life, number: int, what: str) -> None:
        command = {"do": "signal", "run": life.run, "signal": number, "scope": "main"}
        self._session.keeper.do(name, commands=(command,))
        self._session.supervisor.tell(name, "watch", f"sent {signal_name(number)} for {what}")

    def _reload(self, name: str, what: str) -> None:
        if name in self._reloads:
            self._reloads[name] = True
            return
        self._session.tasks.spawn(self._reload_on(name, what))

    async def _reload_on(self, name: str, what: str) -> None:
        """Its reload command, once more if something changed meanwhile."""
        self._reloads[name] = True
        try:
            while self._reloads[name]:
                self._reloads[name] = False
                self._session.supervisor.tell(name, "watch", f"reloads itself for {what}")
                if why := await self._session.beside.reload(name):
                    self._session.supervisor.tell(name, "watch", f"did not reload itself: {why}")
        except Refused as refused:
            self._session.supervisor.tell(name, "watch", str(refused))
        finally:
            del self._reloads[name]

    def _shown(self, path: str) -> str:
        """From the folder of the configuration on, where it is in there."""
        root = self._session.supervisor.document.root.rstrip("/") + "/"
        return path.removeprefix(root)
