"""The parent's side of a spawn: pipes, and hearing whether the child got as far as execve."""

from __future__ import annotations

import errno
import os
import resource
import time

from pserv.keeper import runs
from pserv.keeper.births import Birth, Births
from pserv.keeper.cgroup import Cgroups
from pserv.keeper.host import Original
from pserv.keeper.inbox import Inbox
from pserv.keeper.loop import READ, Loop
from pserv.keeper.notices import Notices
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.runs import Record, Records, Run
from pserv.keeper.sockets import ListenError, Sockets
from pserv.keeper.steps import Inheritance, Stdio, Steps
from pserv.keeper.streams import BOTH, Streams
from pserv.keeper.worker import Stream

_PER_STREAM = 3
"""Descriptors that a stream may cost one process: its read end, the file, a copy on its way."""
_RESERVE = 24
_FIRST_HANDED = 3
"""The number of the first descriptor of LISTEN_FDS (sd_listen_fds(3))."""
_UNWRITTEN = 16
"""So many pipes of earlier runs may wait for a log that cannot be written, before the next run waits for it, too."""


class SpawnError(Exception):
    """A step in the parent failed; `detail` is its object, `text` the error in words."""

    def __init__(self, step: str, error: OSError, detail: str = "") -> None:
        super().__init__(step, error.errno)
        self.step = step
        self.detail = detail
        self.text = error.strerror or ""
        self.errno = error.errno or 0


class Handing:
    """What a run is handed besides: a launch with more variables, descriptors by number, variables for its pid."""

    __slots__ = ("handed", "launch", "own_pid")

    def __init__(self, launch: Message, handed: dict[int, int], own_pid: tuple[str, ...]) -> None:
        self.launch = launch
        self.handed = handed
        self.own_pid = own_pid


class Spawning:
    """Carries out `spawn` commands. Never waits: a child that hangs before execve has just not reported yet."""

    def __init__(
        self,
        loop: Loop,
        records: Records,
        reports: Reports,
        streams: Streams,
        notices: Notices,
        sockets: Sockets,
        original: Original,
        cookie: str,
    ) -> None:
        self._loop = loop
        self._records = records
        self._reports = reports
        self._streams = streams
        self._notices = notices
        self._sockets = sockets
        self._inheritance = Inheritance(original)
        self._cookie = cookie
        self.cgroups: Cgroups | None = None
        self.births = Births(loop, self._born)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def spawn(self, record: Record, number: int, launch: Message, fds: list[int]) -> None:
        """Fork soon; `spawned` or `spawn-failed` is reported sooner or later. Closes the descriptors."""
        self._records.last_run = record.last_run = number
        opened: list[Stream] = []
        ends: list[int] = list(fds)
        inbox = Inbox()
        try:
            try:
                self._sockets.quiet(record)
                self._sockets.take(record, launch.get("sockets") or ())
                handing = self._hand(record, number, launch, inbox, ends)
            except ListenError as error:
                raise SpawnError("listen", error, error.what) from None
            except OSError as error:
                raise SpawnError("descriptors", error, str(error.filename or "")) from None
            self._bear(record, number, handing, fds, opened, ends, inbox)
        except SpawnError as failure:
            self._fail(record.key, number, failure, inbox, opened)
        finally:
            for fd in ends:
                os.close(fd)

    def _hand(self, record: Record, number: int, launch: Message, inbox: Inbox, ends: list[int]) -> Handing:
        """Open what the run speaks to us through, and see what it is handed. Raises OSError."""
        told: dict[str, str] = {}
        own_pid: list[str] = []
        handed: dict[int, int] = {}
        if launch.get("notify"):
            other_user, shared = launch.get("user") is not None, launch["notify"] == "shared"
            opened = self._notices.open(number, other_user=other_user, shared=shared)
            inbox.address, inbox.socket = opened.address, opened.socket
            told["NOTIFY_SOCKET"] = inbox.address
        if launch.get("watchdog"):
            told["WATCHDOG_USEC"] = str(launch["watchdog"])
            own_pid.append("WATCHDOG_PID")
        given = self._sockets.of(record) + (record.stored if launch.get("notify") else [])
        if given:
            handed = {_FIRST_HANDED + index: fd for index, (_, fd) in enumerate(given)}
            told["LISTEN_FDS"] = str(len(given))
            told["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
            own_pid.append("LISTEN_PID")
        if launch.get("ready_fd"):
            wanted = int(launch["ready_fd"])
            if wanted in handed:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), f"{wanted}: it is one of LISTEN_FDS")
            inbox.ready, handed[wanted] = os.pipe()
            ends.append(handed[wanted])
            os.set_blocking(inbox.ready, False)
        env = {**told, **(launch.get("env") or {})}
        return Handing({**launch, "env": env} if told else launch, handed, tuple(own_pid))

    def _bear(
        self,
        record: Record,
        number: int,
        handing: Handing,
        fds: list[int],
        opened: list[Stream],
        ends: list[int],
        inbox: Inbox,
    ) -> None:
        """Make all ready for the fork, which takes over `ends`."""
        launch = handing.launch
        try:
            stdio = self._stdio(record.key, number, launch, fds, opened, ends)
            report, told = os.pipe()
        except OSError as error:
            raise SpawnError("pipe", error) from None
        os.set_blocking(report, False)
        folder = self.cgroups.make(number) if self.cgroups is not None else None
        cookie = f"{self._cookie}/{record.key}/{number}"
        steps = Steps(launch, stdio, self._inheritance, cookie, handing.handed, handing.own_pid)
        run = Run(record.key, number, 0, folder, report, opened, time.monotonic())
        run.inbox = inbox
        record.run = run
        self.births.add(Birth(run, steps, told, [told, *ends]))
        ends.clear()

    def _born(self, birth: Birth) -> None:
        run = birth.run
        if birth.error is not None:
            self._records.by_key[run.key].run = None
            os.close(run.status)
            if run.folder is not None:
                os.rmdir(run.folder)
            self._fail(run.key, run.number, SpawnError("fork", birth.error), run.inbox, run.streams)
            return
        run.pid = birth.pid
        self._streams.born(run.streams, run.pid)
        self._records.leaders[run.pid] = run
        self.watch(run)

    def _fail(self, key: str, number: int, failure: SpawnError, inbox: Inbox, opened: list[Stream]) -> None:
        """There is no such run, and will be none."""
        inbox.close()
        for stream in opened:
            self._streams.drop(stream)
        self._reports.add(
            "spawn-failed", key, number,
            step=failure.step, errno=failure.errno, detail=failure.detail, text=failure.text, at=time.monotonic(),
        )  # fmt: skip

    def watch(self, run: Run) -> None:
        """Hear how the child gets on, and what it says."""
        self._notices.watch(run)
        if run.status >= 0:
            self._loop.watch(run.status, READ, lambda events: self.hear(run))

    def hear(self, run: Run) -> None:
        """Read what the child told, or the end of the pipe: execve closed it, or death did."""
        if run.status < 0:
            return
        try:
            told = os.read(run.status, 4096)
        except BlockingIOError:
            return
        self._loop.unwatch(run.status)
        os.close(run.status)
        run.status = -1
        if told:
            step, number, detail = told.decode(errors="surrogateescape").split("\0", 2)
            run.failure = (step, int(number), detail)
            return  # the report follows when the child is reaped, so that its run is over when it is known
        run.state = runs.RUNNING
        self._reports.add("spawned", run.key, run.number, pid=run.pid, at=time.monotonic())

    def _stdio(
        self, key: str, number: int, launch: Message, fds: list[int], opened: list[Stream], ends: list[int]
    ) -> Stdio:
        passed = list(fds)
        counts = runs.passed(launch)
        stdin = passed.pop(0) if counts[0] else self._null
        if launch.get("tty"):
            return self._terminal(key, number, launch, opened, ends)
        outputs: list[int] = []
        owned: list[int] = []
        for fd, name, count in ((1, "stdout", counts[1]), (2, "stderr", counts[2])):
            target = self._streams.inherited(launch.get(name) or {"kind": "null"})
            kind = target["kind"]
            if count:
                outputs.append(passed.pop(0))
            elif kind == "stdout":
                outputs.append(outputs[0])
            elif kind == "inherit" and not self._streams.loggers.known:
                outputs.append(fd)
            elif kind == "null":
                outputs.append(self._null)
            else:
                shared = name == "stdout" and (launch.get("stderr") or {}).get("kind") == "stdout"
                end = self._pipe(key, number, BOTH if shared else name, target, opened)
                ends.append(end)
                owned.append(end)
                outputs.append(end)
        return Stdio([stdin, *outputs], owned, None)

    def _pipe(self, key: str, number: int, name: str, target: Message, opened: list[Stream]) -> int:
        self._check_room()
        self._check_written(key, target)
        reading, writing = os.pipe()
        opened.append(self._streams.add(key, number, name, target, False, reading))
        return writing

    def _terminal(self, key: str, number: int, launch: Message, opened: list[Stream], ends: list[int]) -> Stdio:
        """One pseudo-terminal for all three; what the logger reads are the bytes a terminal would show."""
        self._check_room()
        reading, writing = os.openpty()
        ends.append(writing)
        target = launch.get("stdout") or {"kind": "null"}
        opened.append(self._streams.add(key, number, BOTH, target, True, reading))
        return Stdio([writing] * 3, [writing], writing)

    def _check_written(self, key: str, target: Message) -> None:
        """Nothing that was printed is dropped, so what cannot be written must not be added to for ever."""
        streams = self._streams.streams
        if len(streams) < len(self._records.by_key) + _UNWRITTEN:
            return
        if sum(stream.key == key for stream in streams.values()) >= _UNWRITTEN:
            shown = OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
            raise SpawnError("log", shown, f"to {target.get('path')} before what earlier runs printed is written there")

    def _check_room(self) -> None:
        """One service too many must fail itself, not take from the logger what it writes the others with."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit != resource.RLIM_INFINITY and (len(self._streams.streams) + 1) * _PER_STREAM + _RESERVE > limit:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
