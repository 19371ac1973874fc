"""The pipes of the services and the logger's workers that empty them: who has which, replaced when dead or stuck."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from pserv.keeper.link import Link, Trace
from pserv.keeper.loop import Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Roles, described
from pserv.keeper.worker import Drain, Stream, Worker, how, journal

MAX_WORKERS = 4
MAX_BACKLOG = 8 << 20
"""Bytes that a worker may leave unread before it is held to hang."""

_CRASHES, _CRASH_PERIOD, _CRASH_PAUSE = 5, 10.0, 1.0
_KILLED_PATIENCE = 1.0
_RELEASE_PATIENCE = 2.0


class Streams:
    """All pipes, all workers. `start` brings up the first worker."""

    def __init__(self, loop: Loop, roles: Roles, reports: Reports, trace: Trace | None) -> None:
        self._loop = loop
        self._roles = roles
        self._reports = reports
        self._trace = trace
        self.streams: dict[int, Stream] = {}
        self.workers: dict[int, Worker] = {}
        self.last_stream = 0
        self.argv: list[str] | None = None
        """What to exec for a worker after an upgrade; None forks."""
        self._drains: dict[int, Drain] = {}
        self._deaths: list[float] = []
        self._last_worker = 0
        self._finished: Callable[[], None] | None = None
        self._halted = False

    def start(self) -> None:
        """Bring up the first worker, or those that another keeper program left."""
        self._revive()

    def pids(self) -> set[int]:
        return {worker.pid for worker in self.workers.values() if worker.pid}

    # A stream's life.

    def add(self, key: str, run: int, name: str, target: Message, terminal: bool, fd: int) -> Stream:
        """Take over the read end and give it to a worker. Raises OSError (EMFILE), and has closed it then."""
        self.last_stream += 1
        stream = Stream(self.last_stream, key, run, name, target, terminal, fd)
        self.streams[stream.id] = stream
        worker = self._main()
        if worker is not None:
            try:
                self._give(worker, stream)
            except OSError:
                self.drop(stream)
                raise
        return stream

    def drop(self, stream: Stream) -> None:
        """Close our end: all is written, or nothing ever will be."""
        if self.streams.pop(stream.id, None) is None:
            return
        os.close(stream.fd)
        worker = stream.worker
        if worker is not None:
            worker.streams.pop(stream.id, None)
            self._dismiss(worker)

    def retarget(self, run: int, name: str, target: Message) -> None:
        """The output of a run goes elsewhere from now on."""
        for stream in self.streams.values():
            if stream.run == run and stream.name == name:
                stream.target = target
                if stream.worker is not None:
                    self._send(stream.worker, {"op": "target", "id": stream.id, "target": target})

    def reopen(self) -> None:
        """All files are to be opened anew (after somebody rotated them)."""
        for worker in list(self.workers.values()):
            self._send(worker, {"op": "reopen"})

    def drain(self, run: int, seconds: float, streams: list[Stream], done: Callable[[list[str], int], None]) -> None:
        """Call `done(last lines, bytes printed)` when the pipes are empty, or after that time without."""
        by_worker: dict[int, list[int]] = {}
        for stream in streams:  # closed ones too: the worker that wrote them knows their last lines
            if stream.worker is not None and stream.worker.stuck is None and stream.worker.link is not None:
                by_worker.setdefault(stream.worker.number, []).append(stream.id)
        if not by_worker:
            done([], 0)
            return
        self._drains[run] = Drain(done, set(by_worker))
        self._loop.at(("drain", run), time.monotonic() + seconds, lambda: self._drained(run))
        for number, ids in by_worker.items():
            self._send(self.workers[number], {"op": "drain", "run": run, "ids": ids})

    def _drained(self, run: int) -> None:
        drain = self._drains.pop(run, None)
        self._loop.cancel(("drain", run))
        if drain is not None:
            drain.done(drain.lines, drain.printed)

    # A worker's life.

    def _main(self) -> Worker | None:
        """The worker that gets new streams."""
        return next((one for one in self.workers.values() if one.stuck is None and not one.ending and one.link), None)

    def _adopt(self) -> None:
        """Give every stream without a worker to one, started if need be and if there may be one more."""
        orphans = [stream for stream in self.streams.values() if stream.worker is None]
        worker = self._main() or self._hire()
        if worker is None:
            return
        try:
            for stream in orphans:
                self._give(worker, stream)
        except OSError as error:
            self._retry(f"cannot give all streams to the logger: {error.strerror}")

    def _hire(self) -> Worker | None:
        """One more worker; None when there are enough, or when the system refuses (tried again in a second)."""
        waiting = any(one.link is None for one in self.workers.values())
        if waiting or len(self.workers) >= MAX_WORKERS or self._finished is not None or self._halted:
            return None
        opened: list[int] = []
        try:
            opened += os.pipe()
            opened.append(journal())
        except OSError as error:
            for fd in opened:
                os.close(fd)
            self._retry(f"cannot open the hold pipe: {error.strerror}")
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
            self._retry(f"cannot start the logger: {error.strerror}")
            return False
        worker.pid = pid
        worker.link = Link(
            f"logger/{worker.number}", sock, self._loop, lambda m, fds: self._receive(worker, m, fds),
            lambda: self._lost(worker), self._trace,
        )  # fmt: skip
        hello: Message = {"op": "hello", "holds": [{"worker": worker.number}], "workers": len(self.workers)}
        streams = [stream.described() for stream in worker.streams.values()]
        try:
            self._send(worker, {**hello, "resume": resume, "streams": streams}, (*worker.hold, worker.journal))
            for stream in list(worker.streams.values()):
                self._send(worker, {"op": "stream", **stream.described()}, (stream.fd,))
        except OSError:
            os.kill(pid, signal.SIGKILL)  # for want of descriptors; its death starts the next, ever more slowly
            return False
        return True

    def _launch(self, worker: Worker) -> tuple[int, socket.socket]:
        if self.argv is not None:
            return self._roles.execute(self.argv, lambda status: self._died(worker, status))
        return self._roles.start("logger", str(worker.number), lambda status: self._died(worker, status))

    def _retry(self, text: str) -> None:
        if not self._loop.pending("logger"):
            self._reports.add("logger", what="error", path="", text=text)
        self._loop.at("logger", time.monotonic() + _CRASH_PAUSE, self._revive)

    def _revive(self) -> None:
        """Start what could not be started, or was not to be started at once."""
        for worker in list(self.workers.values()):
            if worker.link is None and not worker.pid and self._finished is None and not self._halted:
                self._run(worker, resume=True)
        self._adopt()

    def _give(self, worker: Worker, stream: Stream) -> None:
        self._send(worker, {"op": "stream", **stream.described()}, (stream.fd,))
        stream.worker = worker
        worker.streams[stream.id] = stream

    def _send(self, worker: Worker, message: Message, fds: tuple[int, ...] = ()) -> None:
        if worker.link is None:
            return
        worker.link.send(message, fds)
        if worker.link.backlog > MAX_BACKLOG and not self._loop.pending(("killed", worker.number)):
            self._kill(worker)

    def _kill(self, worker: Worker) -> None:
        """It hangs. If it does not even die (state D) another takes its streams; its hold pipe waits for its end."""
        os.kill(worker.pid, signal.SIGKILL)
        name = ("killed", worker.number)
        self._loop.at(name, time.monotonic() + _KILLED_PATIENCE, lambda: self._take_from(worker, -1))

    def _lost(self, worker: Worker) -> None:
        """Its end of the channel is closed, or it spoke nonsense: see that it is dead; `_died` follows."""
        if worker.pid:
            os.kill(worker.pid, signal.SIGKILL)

    def _died(self, worker: Worker, status: int) -> None:
        self._loop.cancel(("killed", worker.number))
        worker.pid = 0  # reaped: no signal may go there any more
        if worker.link is not None:
            worker.link.drain_and_close()
        worker.link = None
        for run in [run for run, drain in self._drains.items() if worker.number in drain.waiting]:
            self._part_drained(run, worker.number, [], 0)
        end = described(status)
        if (worker.ending or self._finished is not None) and end["code"] == 0:
            self._bury(worker)
            return
        self._reports.add("logger", what="died", path="", text=how(end))
        if self._finished is not None:
            self._bury(worker)
            return
        if self._halted:
            return
        worker.ending = False
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < _CRASH_PERIOD] + [now]
        if len(self._deaths) >= _CRASHES:
            self.argv = None  # if a new version cannot do it, the one that we are can
            self._loop.at("logger", now + _CRASH_PAUSE, self._revive)
        else:
            self._run(worker, resume=True)
            self._dismiss(worker)

    def _bury(self, worker: Worker) -> None:
        """It ended as it was told to."""
        del self.workers[worker.number]
        for fd in (*worker.hold, worker.journal):
            os.close(fd)
        for stream in worker.streams.values():
            stream.worker = None
        if self._finished is None:
            self._adopt()
        elif not self.workers:
            self._ended()

    def _dismiss(self, worker: Worker) -> None:
        """A worker that was stuck has nothing left to do."""
        if worker.stuck is not None and not worker.streams and not worker.ending and worker.link is not None:
            worker.ending = True
            self._send(worker, {"op": "finish"})

    def _take_from(self, worker: Worker, kept: int) -> None:
        """The worker hangs in a write of one stream: all others go to another worker."""
        worker.stuck = kept
        for stream in list(worker.streams.values()):
            if stream.id != kept:
                stream.worker = None
                del worker.streams[stream.id]
        for run in [run for run, drain in self._drains.items() if worker.number in drain.waiting]:
            self._part_drained(run, worker.number, [], 0)
        self._adopt()

    # What workers say.

    def _receive(self, worker: Worker, message: Message, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        op = message.get("op")
        stream = self.streams.get(message.get("id", 0))
        if op == "drained":
            self._part_drained(message["run"], worker.number, message.get("lines", []), message.get("printed", 0))
        elif op == "released":
            worker.ending = True
        elif stream is None or stream.worker is not worker:
            return  # news of a stream that another has taken over
        elif op == "closed":
            self.drop(stream)
        elif op in ("stuck", "flowing", "error", "restored"):
            self._tell(stream, str(op), message)
            if op == "stuck" and worker.stuck is None:
                self._take_from(worker, stream.id)

    def _tell(self, stream: Stream, what: str, message: Message) -> None:
        path = message.get("path") or stream.target.get("path", "")
        self._reports.add("logger", stream.key, stream.run, what=what, path=path, text=message.get("text", ""))

    def _part_drained(self, run: int, number: int, lines: list[str], printed: int) -> None:
        drain = self._drains.get(run)
        if drain is None or number not in drain.waiting:
            return
        drain.waiting.discard(number)
        drain.lines += lines
        drain.printed += printed
        if not drain.waiting:
            self._drained(run)

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
                self._send(worker, {"op": "release"})
                name = ("killed", worker.number)
                self._loop.at(name, time.monotonic() + _RELEASE_PATIENCE, partial(_kill_pid, worker.pid))

    def kill_all(self) -> None:
        """Those that did not hand over; what is in their hold pipes stays there."""
        for worker in self.workers.values():
            _kill_pid(worker.pid)

    def resume_all(self) -> None:
        """Go on with the old program."""
        self._halted = False
        self._revive()

    def restore(self, streams: dict[int, Stream], workers: list[Worker], last_stream: int) -> None:
        """Take over what another keeper program held; `start` brings the workers up."""
        self.streams = streams
        self.workers = {worker.number: worker for worker in workers}
        self.last_stream = last_stream
        self._last_worker = max(self.workers, default=0)

    # The end.

    def finish(self, seconds: float, done: Callable[[], None]) -> None:
        """Let all workers write what is left and end; after that time without."""
        self._finished = done
        self._loop.cancel("logger")
        self._loop.at("finish logger", time.monotonic() + seconds, self._ended)
        for worker in list(self.workers.values()):
            if worker.link is None:
                self._bury(worker)
            else:
                self._send(worker, {"op": "finish"})
        if not self.workers:
            self._ended()

    def _ended(self) -> None:
        self._loop.cancel("finish logger")
        for worker in self.workers.values():
            if worker.pid:
                os.kill(worker.pid, signal.SIGKILL)
        self.workers.clear()
        done, self._finished = self._finished, _nothing
        if done is not None:
            done()


def _kill_pid(pid: int) -> None:
    if pid:
        os.kill(pid, signal.SIGKILL)


def _nothing() -> None:
    """The end was told already."""
