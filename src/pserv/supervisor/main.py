"""One supervisor from its start or resume to its end: the table and the clock. What it decides is in `supervisor`."""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable

from pserv.keeper import quickjson
from pserv.keeper.channel import Channel
from pserv.keeper.protocol import Message
from pserv.model.spec import Document
from pserv.model.states import Goal
from pserv.rules import references
from pserv.supervisor import adopting
from pserv.supervisor.answers import Answers
from pserv.supervisor.beside import Beside
from pserv.supervisor.clock import Alarm, SystemClock
from pserv.supervisor.errands import Errands
from pserv.supervisor.notices import Notices
from pserv.supervisor.on_demand import OnDemand
from pserv.supervisor.orders import Orders
from pserv.supervisor.pid_files import PidFiles
from pserv.supervisor.prober import Prober
from pserv.supervisor.reloading import Reloading
from pserv.supervisor.reports import Reports
from pserv.supervisor.supervisor import Supervisor
from pserv.supervisor.table import Table
from pserv.system import daemon_log, delivered, launches
from pserv.system.futures import Future
from pserv.system.processes import Descriptors, Keeper
from pserv.system.tasks import Tasks

_YOUNG = 5000
"""Objects until the collector of cycles looks for some: most of what a probe or a request makes is gone by then."""

Serve = Callable[["Session", list[socket.socket]], Callable[[], Awaitable[None]]]
"""Begins to answer the API on listening sockets; what it returns ends that. Passed in, since the API stands above."""


class Session:
    """One life of a supervisor process."""

    def __init__(self, channel: Channel, serve: Serve) -> None:
        self.tasks = Tasks(self.bug)
        self.clock = SystemClock()
        self.keeper = Keeper(channel, self.tasks, self._message, self._lost)
        self.ended: Future[int] = Future()
        self.on_demand = OnDemand(self)
        self._alarm = Alarm(self.tasks, self._due, self._ring)
        self.deaths: list[Message] = []
        self.capabilities: Message = {}
        self.unowned: tuple[str, ...] = ()
        self.last_bug = ""
        self.keeper_version = ""
        self._serve = serve
        self._stop_serving: Callable[[], Awaitable[None]] | None = None
        self.readers: set[socket.socket] = set()
        """Connections to the log readers at work."""

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
        self._put_together(document, int(message.get("last_run", 0)))
        note = adopting.adopt(self, table)
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
                self.on_demand.on_trial(self.orders.note.trial, None)
        else:
            delivered.remove_all(self.supervisor.places.secrets)  # of one that was killed together with its keeper
            for text in document.notes:
                self.supervisor.tell("", "config", text)
            self.orders.align("daemon start", start=self.boot.start)
        self._take_up()
        self.on_demand.watch_clock(resumed=resumed)
        self.on_demand.tidy_up()
        self._begin(sockets)

    def _put_together(self, document: Document, last_run: int) -> None:
        places = launches.places(
            document,
            self.boot.state_dir,
            container=self.boot.keeper_pid == 1,
            cookie=self.boot.cookie,
            run_dir=self.boot.run_dir,
        )
        self.supervisor = Supervisor(
            document, places, self.keeper, self.clock, on_bug=self.bug, on_deadlines=self._alarm.set
        )
        self.supervisor.last_run = last_run
        self.supervisor.resolve = self.on_demand.resolve
        self.answers = Answers(self.supervisor, self.clock, self.boot.cookie)
        self.errands = Errands(self.tasks, self.keeper, self.next_run)
        self.prober = Prober(self.tasks, self.supervisor, self.clock, self.on_demand.question, self.bug)
        self.notices = Notices(self.tasks, self.supervisor)
        self.pid_files = PidFiles(self)
        self.reloading = Reloading(self)
        self.beside = self.supervisor.hooks = Beside(self)
        self.reports = Reports(self)

    def _take_up(self) -> None:
        """Begin all that follows from specs and lives alone."""
        self.prober.look()
        self.notices.resume()
        self.pid_files.look()
        self.on_demand.watch_files()
        self.on_demand.resolve_all()
        self._alarm.set()

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
            await self.on_demand.leave()
        finally:
            delivered.remove_all(self.supervisor.places.secrets)
            self._end(0)

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
                self._alarm.paused = True
                self.prober.stop()
                self.notices.stop()
                self.pid_files.stop()
                self.on_demand.stop()
                self.keeper.send({"op": "yielded"})
                self._alarm.cancel()
            case "resume":
                self._alarm.paused = False
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

    # -- time and the end ---------------------------------------------------------------------------------------

    def _due(self) -> float | None:
        return self.supervisor.next_deadline()

    def _ring(self) -> None:
        self.on_demand.look_at_clock()
        self.supervisor.tick()

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
