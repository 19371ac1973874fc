"""The processes of the logger: started, replaced when dead or hung, ended. Who has which pipe is decided elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from pserv.keeper import memory
from pserv.keeper.link import Link, Trace
from pserv.keeper.loop import Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Roles, described
from pserv.keeper.worker import Worker, how

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.streams import Streams

MAX_WORKERS = 4
MAX_BACKLOG = 8 << 20
"""Bytes that a worker may leave unread before it is held to hang."""

_CRASHES, _CRASH_PERIOD, _CRASH_PAUSE = 5, 10.0, 1.0
_KILLED_PATIENCE = 1.0
_RELEASE_PATIENCE = 2.0


class Loggers:
    """All workers. One is the main one and gets new streams; others each keep a stream that they are stuck with."""

    def __init__(self, loop: Loop, roles: Roles, reports: Reports, streams: Streams, trace: Trace | None) -> None:
        self._loop = loop
        self._roles = roles
        self._reports = reports
        self._streams = streams
        self._trace = trace
        self.workers: dict[int, Worker] = {}
        self.argv: list[str] | None = None
        """What to exec for a worker after an upgrade; None forks."""
        self._deaths: list[float] = []
        self._last_worker = 0
        self._finished: Callable[[], None] | None = None
        self._patience = 0.0
        self._halted = False

    def start(self) -> None:
        """Bring up the first worker, those that another keeper program left, or those that could not be started."""
        for worker in list(self.workers.values()):
            if worker.link is None and not worker.pid and self._finished is None and not self._halted:
                self._run(worker, resume=True)
        self._streams.adopt()

    @property
    def known(self) -> bool:
        """Whether there is such a thing as a logger here."""
        return self._roles.has("logger")

    def pids(self) -> set[int]:
        return {worker.pid for worker in self.workers.values() if worker.pid}

    def main(self) -> Worker | None:
        """The worker that gets new streams, if there is one."""
        return next((one for one in self.workers.values() if one.stuck is None and not one.ending and one.link), None)

    def hire(self) -> Worker | None:
        """One more worker; None when there are enough, or when the system refuses (tried again in a second)."""
        waiting = any(one.link is None for one in self.workers.values())
        if waiting or len(self.workers) >= MAX_WORKERS or self._finished is not None or self._halted:
            return None
        opened: list[int] = []
        try:
            opened += os.pipe()
            opened.append(memory.holding(name="pserv-journal"))
        except OSError as error:
            for fd in opened:
                os.close(fd)
            self.retry(f"cannot open the hold pipe: {error.strerror}")
            return None
        self._last_worker += 1
        worker = Worker(self._last_worker, (opened[0], opened[1]), opened[2])
        self.workers[worker.number] = worker
        return worker if self._run(worker, resume=False) else None

    def _run(self, worker: Worker, resume: bool) -> bool:
        """Start the process of a worker and tell it all it needs; False when the system refuses."""
        try:
            pid, sock = self._launch(worker)
        except OSError as error:
            self.retry(f"cannot start the logger: {error.strerror}")
            return False
        worker.pid = pid
        worker.link = Link(
            f"logger/{worker.number}", sock, self._loop, lambda m, fds: self._streams.receive(worker, m, fds),
            lambda: _kill(worker), self._trace,  # without a channel it is of no use; `_died` follows
        )  # fmt: skip
        hello: Message = {"op": "hello", "holds": [{"worker": worker.number}], "workers": len(self.workers)}
        streams = [stream.described() for stream in worker.streams.values()]
        try:
            self.send(worker, {**hello, "resume": resume, "streams": streams}, (*worker.hold, worker.journal))
            for stream in list(worker.streams.values()):
                self.send(worker, {"op": "stream", **stream.described()}, (stream.fd,))
        except OSError:
            os.kill(pid, signal.SIGKILL)  # for want of descriptors; its death starts the next, ever more slowly
            return False
        return True

    def _launch(self, worker: Worker) -> tuple[int, socket.socket]:
        if self.argv is not None:
            return self._roles.execute(self.argv, lambda status: self._died(worker, status))
        return self._roles.start("logger", str(worker.number), lambda status: self._died(worker, status))

    def retry(self, text: str) -> None:
        """What the system refused, told once: again in a second."""
        if not self._loop.pending("logger"):
            self._reports.add("logger", what="error", path="", text=text)
        self._loop.at("logger", time.monotonic() + _CRASH_PAUSE, self.start)

    def send(self, worker: Worker, message: Message, fds: tuple[int, ...] = ()) -> None:
        """To a worker that lives. One that does not read is replaced. Raises OSError for want of descriptors."""
        if worker.link is None:
            return
        worker.link.send(message, fds)
        if worker.link.backlog > MAX_BACKLOG and not self._loop.pending(("killed", worker.number)):
            self._kill_hung(worker)

    def _kill_hung(self, worker: Worker) -> None:
        """It hangs. If it does not even die (state D) another takes its streams; its hold pipe waits for its end."""
        os.kill(worker.pid, signal.SIGKILL)
        name = ("killed", worker.number)
        self._loop.at(name, time.monotonic() + _KILLED_PATIENCE, lambda: self._streams.take_from(worker, -1))

    def dismiss(self, worker: Worker) -> None:
        """A worker that was stuck and has nothing left to do ends."""
        if worker.stuck is not None and not worker.streams and not worker.ending and worker.link is not None:
            worker.ending = True
            self.send(worker, {"op": "finish"})

    def _died(self, worker: Worker, status: int) -> None:
        self._loop.cancel(("killed", worker.number))
        worker.pid = 0  # reaped: no signal may go there any more
        if worker.link is not None:
            worker.link.drain_and_close()
        worker.link = None
        self._streams.drained_by(worker)
        if self._finished is not None and worker.number not in self.workers:
            return  # it was not waited for any longer
        end = described(status)
        if (worker.ending or self._finished is not None) and end["code"] == 0:
            self._bury(worker)
            return
        self._reports.add("logger", what="died", path="", text=how(end))
        if self._finished is not None:
            self._finish_by_another(worker)
        elif not self._halted:
            self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        """Another process takes its place, pipes and journal; after many deaths not at once."""
        worker.ending = False
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < _CRASH_PERIOD] + [now]
        if len(self._deaths) >= _CRASHES:
            self.argv = None  # if a new version cannot do it, the one that we are can
            self._loop.at("logger", now + _CRASH_PAUSE, self.start)
        else:
            self._run(worker, resume=True)
            self.dismiss(worker)

    def _bury(self, worker: Worker) -> None:
        """It ended as it was told to."""
        del self.workers[worker.number]
        for fd in (*worker.hold, worker.journal):
            os.close(fd)
        for stream in worker.streams.values():
            stream.worker = None
        if self._finished is None:
            self._streams.adopt()
        elif not self.workers:
            self._ended()

    # Another version of the logger, or of the keeper.

    def exchange(self, argv: list[str]) -> None:
        """From now on workers are executed from argv; those that run hand over once their hold pipe is empty."""
        self.argv = argv
        self._release()

    def release_all(self) -> None:
        """All workers hand over to nobody, for now."""
        self._halted = True
        self._release()

    def _release(self) -> None:
        for worker in self.workers.values():
            if worker.stuck is None and not worker.ending:
                worker.ending = True
                self.send(worker, {"op": "release"})
                name = ("killed", worker.number)
                self._loop.at(name, time.monotonic() + _RELEASE_PATIENCE, partial(_kill, worker))

    def kill_all(self) -> None:
        """Those that did not hand over; what is in their hold pipes stays there."""
        for worker in self.workers.values():
            _kill(worker)

    def resume_all(self) -> None:
        """Go on with the old program."""
        self._halted = False
        self.start()

    def restore(self, workers: list[Worker]) -> None:
        """Take over what another keeper program held; `start` brings the workers up."""
        self.workers = {worker.number: worker for worker in workers}
        self._last_worker = max(self.workers, default=0)

    # The end.

    def finish(self, seconds: float, done: Callable[[], None]) -> None:
        """Let all workers write what is left and end; without, after so long in which no stream came to its end."""
        self._finished, self._patience = done, seconds
        self._loop.cancel("logger")
        self._deaths.clear()
        self.advanced()
        for worker in list(self.workers.values()):
            if worker.link is None:
                self._finish_by_another(worker)
            else:
                self.send(worker, {"op": "finish"})
        if not self.workers:
            self._ended()

    def advanced(self) -> None:
        """A stream has come to its end: as long as that goes on the end is waited for."""
        if self._finished is not None and self.workers:
            self._loop.at("finish logger", time.monotonic() + self._patience, self._ended)

    def _finish_by_another(self, worker: Worker) -> None:
        """It died: what it left in pipes another process writes, unless several have died of that."""
        self._deaths.append(time.monotonic())
        worker.ending = False
        if len(self._deaths) < _CRASHES and self._run(worker, resume=True):
            self.send(worker, {"op": "finish"})
        elif worker.link is None:
            self._bury(worker)

    def _ended(self) -> None:
        self._loop.cancel("finish logger")
        self.kill_all()
        self.workers.clear()
        done, self._finished = self._finished, _nothing
        if done is not None:
            done()


def _kill(worker: Worker) -> None:
    if worker.pid:
        os.kill(worker.pid, signal.SIGKILL)


def _nothing() -> None:
    """The end was told already."""
