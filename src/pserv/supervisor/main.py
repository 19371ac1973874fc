"""One supervisor from its start or resume to its end: the table and the clock. What it decides is in `supervisor`."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from pserv.keeper import quickjson
from pserv.keeper.protocol import Channel, Message
from pserv.model.probe import Probe
from pserv.model.states import Goal
from pserv.rules import references
from pserv.supervisor import hook_runs, log_settings, record
from pserv.supervisor.answers import Answers
from pserv.supervisor.beside import Beside
from pserv.supervisor.daemon_note import DAEMON, DaemonNote
from pserv.supervisor.errands import Errands
from pserv.supervisor.notices import Notices
from pserv.supervisor.orders import Orders
from pserv.supervisor.pid_files import PidFiles
from pserv.supervisor.prober import Asked, Prober
from pserv.supervisor.reloading import Reloading
from pserv.supervisor.reports import Reports
from pserv.supervisor.supervisor import Supervisor
from pserv.supervisor.table import Table
from pserv.system import daemon_log, delivered, launches
from pserv.system.futures import Future
from pserv.system.processes import Descriptors, Keeper
from pserv.system.tasks import Tasks
from pserv.system.timers import Timer

if TYPE_CHECKING:
    from pserv.model.spec import Document
    from pserv.supervisor.missed import Missed
    from pserv.supervisor.resolving import Resolving
    from pserv.supervisor.tidying import Tidying
    from pserv.supervisor.timetable import ClockWatch
    from pserv.supervisor.trial import Trial, Verdict
    from pserv.supervisor.watches import Watches

_YOUNG = 5000
"""Objects until the collector of cycles looks for some: most of what a probe or a request makes is gone by then."""

Serve = Callable[["Session", list[socket.socket]], Callable[[], Awaitable[None]]]
"""Begins to answer the API on listening sockets; what it returns ends that. Passed in, since the API stands above."""


class SystemClock:
    """The real time and the real chance."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def chance(self) -> float:
        return (int.from_bytes(os.urandom(7)) >> 3) * 2.0**-53  # all the bits that a float below 1 has


class Session:
    """One life of a supervisor process."""

    def __init__(self, channel: Channel, serve: Serve) -> None:
        self.tasks = Tasks(self.bug)
        self.clock = SystemClock()
        self.keeper = Keeper(channel, self.tasks, self._message, self._lost)
        self.ended: Future[int] = Future()
        self._clock_watch: ClockWatch | None = None
        self._missed: Missed | None = None
        self.tidying: Tidying | None = None
        """From when rotated logs are compressed or removed by age or by all their size."""
        self.deaths: list[Message] = []
        self.capabilities: Message = {}
        self.unowned: tuple[str, ...] = ()
        self.last_bug = ""
        self.keeper_version = ""
        self._serve = serve
        self._stop_serving: Callable[[], Awaitable[None]] | None = None
        self._alarm: Timer | None = None
        self._alarm_at = 0.0
        self.readers: set[socket.socket] = set()
        """Connections to the log readers at work."""
        self._paused = False
        self._watches: Watches | None = None
        self._resolving: Resolving | None = None
        self._trial: Trial | None = None

    async def live(self) -> int:
        """From the first message of the keeper to the end; the exit code."""
        self.keeper.open()
        return await self.ended

    # -- beginning ----------------------------------------------------------------------------------------------

    def _resume(self, message: Message, fds: Descriptors) -> None:
        """Become the supervisor of what the table shows: the one path for a start and for a resume."""
        table = Table(message, fds, self.bug)
        self.boot = table.boot
        self.deaths = message.get("deaths", [])
        self.capabilities = message.get("capabilities", {})
        self.keeper_version = message.get("version", "")
        sockets, document = table.sockets(), table.document()
        places = launches.places(
            document,
            self.boot.state_dir,
            container=self.boot.keeper_pid == 1,
            cookie=self.boot.cookie,
            run_dir=self.boot.run_dir,
        )
        self.supervisor = Supervisor(
            document, places, self.keeper, self.clock, on_bug=self.bug, on_deadlines=self._set_alarm
        )
        self.supervisor.last_run = int(message.get("last_run", 0))
        self.answers = Answers(self.supervisor, self.clock, self.boot.cookie)
        self.errands = Errands(self.tasks, self.keeper, self.next_run)
        self.prober = Prober(self.tasks, self.supervisor, self.clock, self._question, self.bug)
        self.notices = Notices(self.tasks, self.supervisor)
        self.pid_files = PidFiles(self)
        self.reloading = Reloading(self)
        self.beside = self.supervisor.hooks = Beside(self)
        self.supervisor.resolve = self._resolve
        self.reports = Reports(self)
        note = self._adopt(table)
        self.orders = Orders(self.supervisor, note, safe=table.safe)
        self.orders.declare(document)
        resumed = bool(self.deaths) or bool(table.records)
        for report in message["reports"]:
            self.reports.take(report)
        if resumed:
            self.supervisor.tell("", "supervisor", table.why_resumed())
            self.orders.count_deaths([float(death["at"]) for death in self.deaths])
            self.orders.align("resumed supervisor")
            self.orders.resume()
            if self.orders.note.trial:
                self.on_trial(self.orders.note.trial, None)
        else:
            delivered.remove_all(places.secrets)  # what one left who was killed together with its keeper
            for text in document.notes:
                self.supervisor.tell("", "config", text)
            self.orders.align("daemon start", start=self.boot.start)
        self._take_up()
        self.watch_clock(resumed=resumed)
        self.tidy_up()
        self._begin(sockets)

    def _take_up(self) -> None:
        """Begin all that follows from specs and lives alone."""
        self.prober.look()
        self.notices.resume()
        self.pid_files.look()
        self.watch_files()
        self.resolve_all()
        self._set_alarm()

    def _begin(self, sockets: list[socket.socket]) -> None:
        try:
            self._stop_serving = self._serve(self, sockets)
        except Exception as error:
            self.bug("serving the API", error)
            self._end(1)
            return
        starting = [name for name, life in self.supervisor.lives.items() if life.goal is Goal.UP]
        self.keeper.send({"op": "ready", "text": quickjson.dumps({"socket": self.boot.socket, "starting": starting})})
        # What is loaded and declared stays: to look through all of it takes 40 ms where a thousand services are probed.
        gc.freeze()
        gc.set_threshold(_YOUNG)
        gc.enable()

    async def _leave(self) -> None:
        """All is gone: whoever still listens gets the rest of the answer, then this process ends."""
        try:
            for reader in self.readers:
                try:
                    reader.shutdown(socket.SHUT_WR)  # it gives the rest of what was written, and ends
                except OSError:
                    pass  # it has ended
            if self._stop_serving is not None:
                await self._stop_serving()
            if self._resolving is not None:
                await self._resolving.remove_all()
        finally:
            delivered.remove_all(self.supervisor.places.secrets)
            self._end(0)

    def _adopt(self, table: Table) -> DaemonNote:
        note = DaemonNote()
        for row in table.records:
            key = str(row["key"])
            if key == DAEMON:
                note = table.daemon_note(row)
            elif not key.startswith("@") and hook_runs.service_of(key) is None:
                self.supervisor.adopt(key, table.note(row, self.clock.now()))
        values = [row for row in table.records if str(row["key"]).startswith(record.VALUES)]
        if values:
            self.resolving.resume(values)
        for row in table.records:
            if not str(row["key"]).startswith(record.VALUES):
                self._adopt_hook(str(row["key"]), row)
        return note

    def _adopt_hook(self, key: str, row: Message) -> None:
        """Hooks go on; what else an earlier supervisor had started for itself is ended."""
        name = hook_runs.service_of(key)
        if name is not None:
            life = self.supervisor.lives.get(name)
            if life is None or life.hook is None or life.hook.run != row.get("last_run"):
                self.errands.abandon(key, row)
        elif key.startswith("@") and key != DAEMON and not self.beside.resume(key, row):
            self.errands.abandon(key, row)

    def _question(self, name: str, probe: Probe, run: int) -> Asked:
        """Loaded with the first probe: who has none does not pay for it."""
        from pserv.supervisor.questions import Question

        return Question(self, name, probe, run)

    def next_run(self) -> int:
        """The id of the next run; ids are never used twice."""
        self.supervisor.last_run += 1
        return self.supervisor.last_run

    # -- what comes from the keeper -----------------------------------------------------------------------------

    def _message(self, message: Message, fds: Descriptors) -> None:
        match message["op"]:
            case "table":
                try:
                    self._resume(message, fds)
                except Exception as error:  # on the loop it would only be logged, and nobody would be served
                    self.ended.set_exception(error)
            case "report":
                self.reports.take(message)
            case "end":
                self.tasks.spawn(self._leave())
            case "yield":
                self._paused = True
                self.prober.stop()
                self.notices.stop()
                self.pid_files.stop()
                if self._watches is not None:
                    self._watches.stop()
                if self._resolving is not None:
                    self._resolving.stop()
                self.keeper.send({"op": "yielded"})
                if self._alarm is not None:
                    self._alarm.cancel()
            case "resume":
                self._paused = False
                self._take_up()

    def _lost(self) -> None:
        """The keeper died: nobody waits for the services any more, so nothing is left running."""
        if not hasattr(self, "supervisor"):  # while it waited for the configuration: nothing runs
            self._end(1)
            return
        from pserv.supervisor import orphaned

        self.log("the keeper died: ending all services")
        orphaned.end_all({life.pid for life in self.supervisor.lives.values() if life.pid}, self.boot.cookie)
        delivered.remove_all(self.supervisor.places.secrets)
        self._end(1)

    def watch_clock(self, *, resumed: bool = True) -> None:
        """The wall clock is looked at while something goes by it, and only then."""
        scheduled = any(spec.schedule is not None for spec in self.supervisor.specs.values())
        if scheduled and self._clock_watch is None:
            from pserv.supervisor.timetable import ClockWatch

            self._clock_watch = ClockWatch(self.tasks, self.clock, self.supervisor.clock_changed)
        if self._clock_watch is not None:
            self._clock_watch.keep(scheduled)
        if scheduled and self._missed is None:
            from pserv.supervisor import missed

            if missed.wanted(self.supervisor.specs):
                self._missed = missed.Missed(self, resumed=resumed)

    @property
    def resolving(self) -> Resolving:
        """Loaded with the first service that has an env file or a secret."""
        if self._resolving is None:
            from pserv.supervisor.resolving import Resolving

            self._resolving = Resolving(self)
        return self._resolving

    def _resolve(self, name: str) -> None:
        self.resolving.begin(name)

    def resolve_all(self) -> None:
        """What waits for its env files and secrets gets them, and what is refreshed goes by what is declared now."""
        if self._resolving is not None:
            self._resolving.look()

    def tidy_up(self) -> None:
        """Rotated logs may be declared to be treated otherwise than before."""
        if self.tidying is None and not log_settings.tidied(self.supervisor):
            return
        from pserv.supervisor.tidying import Tidying

        self.tidying = self.tidying or Tidying(self)
        self.tidying.look()

    def on_trial(self, names: Iterable[str], before: Document | None, timeout: float | None = None) -> Future[Verdict]:
        """The configuration is on trial from now on; loaded with the first that is."""
        from pserv.supervisor.trial import Trial

        self._trial = self._trial or Trial(self)
        return self._trial.begin(names, before, timeout)

    def watch_files(self) -> None:
        """Loaded with the first service that declares files, or when those of the configuration are to be watched."""
        if self._watches is None:
            of_services = any(spec.watch is not None for spec in self.supervisor.specs.values())
            if not of_services and not self.supervisor.document.daemon.watch_config:
                return
            from pserv.supervisor.watches import Watches

            self._watches = Watches(self)
        self._watches.look()

    # -- time and the end ---------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        due = self.supervisor.next_deadline()
        if self._alarm is not None:
            if due == self._alarm_at and not self._alarm.cancelled():
                return
            self._alarm.cancel()
            self._alarm = None
        if due is not None and not self._paused:
            self._alarm_at = due
            self._alarm = self.tasks.at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._clock_watch is not None:
            self._clock_watch.look()
        self.supervisor.tick()
        self._set_alarm()

    def _end(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    def bug(self, where: str, error: Exception) -> None:
        """Log a bug with its traceback, and go on."""
        import traceback  # 0.4 MB that most supervisors never need

        text = self._shown("".join(traceback.format_exception(error)))
        self.last_bug = f"{where}:\n{text}"
        self.log(f"bug: {where}: {text}")

    def _shown(self, text: str) -> str:
        """Without what services were given: an error may quote what it stumbled over."""
        records = self.supervisor.records if hasattr(self, "supervisor") else {}
        known = [values for own in records.values() for values in own.known]
        return references.hidden(text, known) if known else text

    def log(self, text: str) -> None:
        """A line in the daemon's own log."""
        daemon_log.write(text)


def supervise(channel_socket: socket.socket, serve: Serve) -> int:
    """Be the supervisor on this channel until the keeper ends it; the exit code."""
    session = Session(Channel(channel_socket), serve)
    return session.tasks.run(session.live())
