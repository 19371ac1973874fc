"""The pipes of the services: which worker of the logger empties which, and when all of a run is written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from pserv.keeper.link import Trace
from pserv.keeper.loggers import Loggers
from pserv.keeper.loop import Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reopening import Reopening
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Roles
from pserv.keeper.worker import Drain, Stream, Worker

BOTH = "output"
"""The name of a stream that is standard output and standard error in one."""


LOG_KEY = "@daemon"
"""The key of what the daemon itself prints."""


class Streams:
    """All pipes. Each is given to a worker; those of a worker that hangs or ends go to another."""

    def __init__(self, loop: Loop, roles: Roles, reports: Reports, trace: Trace | None) -> None:
        self._loop = loop
        self._reports = reports
        self.loggers = Loggers(loop, roles, reports, self, trace)
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self._own = ""
        """The path of the daemon's own log, if it has one."""
        self._drains: dict[int, Drain] = {}
        self._reopening = Reopening(loop)

    # A stream's life.

    def add(self, key: str, run: int, name: str, target: Message, terminal: bool, fd: int) -> Stream:
        """Take over the read end; a worker gets it when it is `born`."""
        self.last_stream += 1
        stream = Stream(self.last_stream, key, run, name, target, terminal, fd)
        self.streams[stream.id] = stream
        if key == LOG_KEY:
            self._own = target["path"]
        return stream

    def inherited(self, target: Message) -> Message:
        """What a TARGET means: the daemon's own log takes the place of what it prints, where it has one."""
        return {**target, "kind": "file", "path": self._own} if self._own and target["kind"] == "inherit" else target

    def drop(self, stream: Stream) -> None:
        """Close our end: all is written, or nothing ever will be."""
        if self.streams.pop(stream.id, None) is None:
            return
        os.close(stream.fd)
        worker = stream.worker
        if worker is not None:
            worker.streams.pop(stream.id, None)
            self.loggers.dismiss(worker)
            self.loggers.advanced()

    def retarget(self, run: int, name: str, target: Message) -> None:
        """The output of a run goes elsewhere from now on."""
        for stream in self.streams.values():
            if stream.run == run and name in (stream.name, "stdout" if stream.name == BOTH else stream.name):
                stream.target = target
                if stream.worker is not None:
                    self.loggers.send(stream.worker, {"op": "target", "id": stream.id, "target": target})

    def configure(self, logs: Message) -> None:
        """The outputs of these keys are written so from now on; kept for the next logger."""
        for stream in self.streams.values():
            log = logs.get(stream.key)
            if log is None or stream.target.get("log", {}) == log:
                continue
            stream.target = {**stream.target, "log": log}
            self._tell_settings(stream)

    def born(self, streams: list[Stream], pid: int) -> None:
        """These are the output of this process from now on."""
        for stream in streams:
            stream.pid = pid
        self.adopt(streams)

    def _tell_settings(self, stream: Stream) -> None:
        if stream.worker is not None:
            log = stream.target.get("log", {})
            self.loggers.send(stream.worker, {"op": "settings", "id": stream.id, "log": log, **stream.facts()})

    def reopen(self, done: Callable[[str | None], None]) -> None:
        """All files are to be opened anew (after somebody renamed them); `done`, maybe with an error, when they are."""
        able = [one for one in self.loggers.workers.values() if one.stuck is None and one.link is not None]
        number = self._reopening.begin([worker.number for worker in able], done)
        for worker in list(self.loggers.workers.values()):
            self.loggers.send(worker, {"op": "reopen", "number": number})

    def restore(self, streams: dict[int, Stream], last_stream: int) -> None:
        """Take over what another keeper program held."""
        self.streams = streams
        self.last_stream = last_stream
        self._own = next((stream.target["path"] for stream in streams.values() if stream.key == LOG_KEY), "")

    def journals(self, key: str, run: int) -> tuple[list[Message], tuple[int, ...]]:
        """The open outputs of a run that go to files, and the journals of the workers that write them.

        Of each its `stream`, `path`, and in `fd` which of the journals tells where it begins.
        """
        rows: list[Message] = []
        fds: list[int] = []
        for stream in self.streams.values():
            if stream.key != key or stream.run != run or stream.worker is None or "path" not in stream.target:
                continue
            if stream.worker.journal not in fds:
                fds.append(stream.worker.journal)
            place = fds.index(stream.worker.journal)
            rows.append({"stream": stream.id, "path": stream.target["path"], "fd": place})
        return rows, tuple(fds)

    # Who has which.

    def adopt(self, streams: Iterable[Stream] | None = None) -> None:
        """Give every stream, or these, without a worker to one, started if need be and if there may be one more."""
        among = self.streams.values() if streams is None else streams
        orphans = [stream for stream in among if stream.worker is None]
        if streams is not None and not orphans:
            return
        worker = self.loggers.main() or self.loggers.hire()
        if worker is None:
            return
        try:
            for stream in orphans:
                self._give(worker, stream)
        except OSError as error:
            self.loggers.retry(f"cannot give all streams to the logger: {error.strerror}")

    def _give(self, worker: Worker, stream: Stream) -> None:
        self.loggers.send(worker, {"op": "stream", **stream.described()}, (stream.fd,))
        stream.worker = worker
        worker.streams[stream.id] = stream

    def take_from(self, worker: Worker, kept: int) -> None:
        """The worker hangs in a write of one stream (-1: of none that we know): all others go to another worker."""
        worker.stuck = kept
        for stream in list(worker.streams.values()):
            if stream.id != kept:
                stream.worker = None
                del worker.streams[stream.id]
        self.drained_by(worker)
        self.adopt()

    # The end of a run's output.

    def drain(self, run: int, seconds: float, streams: list[Stream], done: Callable[[list[str], int], None]) -> bool:
        """Call `done(last lines, bytes printed)` later, when the pipes are empty, or after that time without.

        False when there is nobody to wait for; then it is not called.
        """
        by_worker: dict[int, list[int]] = {}
        for stream in streams:  # closed ones too: the worker that wrote them knows their last lines
            if stream.worker is not None and stream.worker.stuck is None and stream.worker.link is not None:
                by_worker.setdefault(stream.worker.number, []).append(stream.id)
        if not by_worker:
            return False
        self._drains[run] = Drain(done, set(by_worker))
        self._loop.at(("drain", run), time.monotonic() + seconds, lambda: self._drained(run))
        for number, ids in by_worker.items():
            self.loggers.send(self.loggers.workers[number], {"op": "drain", "run": run, "ids": ids})
        return True

    def drained_by(self, worker: Worker) -> None:
        """The worker, dead or stuck, will answer no drain any more."""
        self._reopening.answered(worker.number)
        for run in [run for run, drain in self._drains.items() if worker.number in drain.waiting]:
            self._part_drained(run, worker.number, [], 0)

    def _part_drained(self, run: int, number: int, lines: list[str], printed: int) -> None:
        drain = self._drains.get(run)
        if drain is None or number not in drain.waiting:
            return
        drain.waiting.discard(number)
        drain.lines += lines
        drain.printed += printed
        if not drain.waiting:
            self._drained(run)

    def _drained(self, run: int) -> None:
        drain = self._drains.pop(run, None)
        self._loop.cancel(("drain", run))
        if drain is not None:
            drain.done(drain.lines, drain.printed)

    # What workers say.

    def receive(self, worker: Worker, message: Message, fds: tuple[int, ...]) -> None:
        """One message of a worker's. Raises KeyError or TypeError for one of another shape."""
        for fd in fds:
            os.close(fd)
        op = message.get("op")
        stream = self.streams.get(message.get("id", 0))
        if op == "drained":
            self._part_drained(message["run"], worker.number, message.get("lines", []), message.get("printed", 0))
        elif op == "reopened":
            self._reopening.answered(worker.number, message["number"])
        elif op == "released":
            worker.ending = True
        elif op == "rotated":  # also by a stream that has ended since
            key, run = (stream.key, stream.run) if stream is not None else ("", 0)
            self._reports.add("logger", key, run, what="rotated", path=message["path"])
        elif stream is None or stream.worker is not worker:
            return  # news of a stream that another has taken over
        elif op == "closed":
            self.drop(stream)
        elif op == "dropped":
            self._tell_dropped(stream, message["lines"], message["bytes"])
        elif op == "lost":
            facts = {name: message[name] for name in ("lines", "bytes", "text")}
            path = stream.target.get("path", "")
            self._reports.add("logger", stream.key, stream.run, what="dropped", path=path, **facts)
        elif op in ("stuck", "flowing", "error", "restored", "unrotated"):
            self._tell(stream, str(op), message)
            if op == "stuck" and worker.stuck is None:
                self.take_from(worker, stream.id)

    def _tell_dropped(self, stream: Stream, lines: int, size: int) -> None:
        """So much was dropped of it in all, as far as its worker knows; what is new of that is told."""
        before, stream.dropped = stream.dropped, (lines, size)
        if lines < before[0]:  # a worker that begins to count
            before = (0, 0)
        more = {"lines": lines - before[0], "bytes": size - before[1]}
        if more["lines"]:
            self._reports.add(
                "logger", stream.key, stream.run, what="dropped", path=stream.target.get("path", ""), **more
            )

    def _tell(self, stream: Stream, what: str, message: Message) -> None:
        path = message.get("path") or stream.target.get("path", "")
        self._reports.add("logger", stream.key, stream.run, what=what, path=path, text=message.get("text", ""))
