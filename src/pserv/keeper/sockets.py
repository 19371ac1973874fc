"""The listening sockets of services: held here between their runs, and heard while one waits for a connection.

How one is opened is in `listening`. Two keys that want the same address share one socket: instances of a service, and
in a reload the service that gives it up and the one that takes it.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterable, Sequence

from pserv.keeper import listening
from pserv.keeper.loop import READ, Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.runs import Record, Records


class ListenError(OSError):
    """A socket that cannot be opened; `what` is its address as people read it."""

    def __init__(self, error: OSError, what: str) -> None:
        super().__init__(error.errno, error.strerror)
        self.what = what


class Held:
    """One open socket. `inode`: device and inode of its file; `heard`: it is looked at for a connection."""

    __slots__ = ("heard", "inode", "same", "sock", "wanted")

    def __init__(self, same: str, wanted: Message, sock: socket.socket, inode: tuple[int, int] | None) -> None:
        self.same = same
        self.wanted = wanted
        self.sock = sock
        self.inode = inode
        self.heard = False


class Sockets:
    """All of them, by what makes them one socket. A record names those it has, in order (`Record.sockets`)."""

    def __init__(self, loop: Loop, records: Records, reports: Reports) -> None:
        self.open: dict[str, Held] = {}
        self._loop = loop
        self._records = records
        self._reports = reports
        # poll(2) looks at every descriptor in every turn; so it has to look at one more only.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.watch(self._epoll.fileno(), READ, self._many)

    # Which are open

    def take(self, record: Record, wanted: Sequence[Message]) -> None:
        """Have these open for a key and no others: what is open stays as it is. Raises ListenError; then none is new.

        What is not wanted any more is closed first: the new one may have the same port.
        """
        wishes = [(str(each["name"]), listening.same(each), {**each, "name": ""}) for each in wanted]
        kept = {same for _, same, _ in wishes}
        self._let_go(record, [pair for pair in record.sockets if pair[1] in kept])
        fresh: list[Held] = []
        for _, same, each in wishes:
            try:
                held = self.open.get(same)
                if held is None:
                    held = self.open[same] = Held(same, each, *listening.open_one(each))
                    fresh.append(held)
                elif held.wanted != each:
                    listening.adjust(held.sock, each)
                    held.wanted = each
            except OSError as error:
                for new in fresh:
                    self._close(new)
                raise ListenError(error, listening.describe(each)) from None
        record.sockets = [(name, same) for name, same, _ in wishes]

    def drop(self, record: Record) -> None:
        """The key wants none any more: those that nobody else has are closed, and their files removed.

        A connection that it has not accepted is another's that waits at the same socket.
        """
        self.quiet(record)
        given_up = [same for _, same in record.sockets]
        self._let_go(record, [])
        for held in [self.open[same] for same in given_up if same in self.open]:
            if held.heard:
                self._hear(held)

    def close(self) -> None:
        """The daemon ends."""
        for held in list(self.open.values()):
            self._close(held)

    def of(self, record: Record) -> list[tuple[str, int]]:
        """Name and descriptor of each, to be handed to a run. One that is alone gets them blocking, as they began."""
        if not record.sockets:
            return []
        mine = {same for _, same in record.sockets}
        others = (other for other in self._records.by_key.values() if other is not record and other.run is not None)
        shared = {same for other in others for _, same in other.sockets}
        for same in mine - shared:
            self.open[same].sock.setblocking(True)
        return [(name, self.open[same].sock.fileno()) for name, same in record.sockets]

    def _let_go(self, record: Record, kept: list[tuple[str, str]]) -> None:
        before, record.sockets = record.sockets, kept
        still = {same for other in self._records.by_key.values() for _, same in other.sockets} if before else set()
        for _, same in before:
            if same not in still and same in self.open:
                self._close(self.open[same])

    def _close(self, held: Held) -> None:
        self._unhear(held)
        del self.open[held.same]
        if held.inode is not None:
            listening.remove(held.wanted["path"], held.inode)
        held.sock.close()

    def prepare(self, record: Record, wanted: Sequence[Message], number: int = 0) -> bool:
        """Have these open for a run that is to come; where that fails it is reported (as of `number`): False."""
        try:
            self.take(record, wanted)
        except ListenError as error:
            self._reports.add(
                "listen-failed", record.key, number,
                errno=error.errno or 0, text=error.strerror, detail=error.what, at=time.monotonic(),
            )  # fmt: skip
            return False
        return True

    # Which are heard

    def listen(self, record: Record, run: int, wanted: Sequence[Message]) -> None:
        """Have these open, and report the first connection that comes: `connection`, once, or `listen-failed`."""
        self.quiet(record)
        if not self.prepare(record, wanted, run):
            return
        record.listens = run
        for _, same in record.sockets:
            self._hear(self.open[same])

    def quiet(self, record: Record) -> None:
        """It does not wait for a connection any more."""
        if not record.listens:
            return
        record.listens = 0
        waited = self._waited_for()
        for _, same in record.sockets:
            if same not in waited:
                self._unhear(self.open[same])

    def _waited_for(self) -> set[str]:
        return {same for record in self._records.by_key.values() if record.listens for _, same in record.sockets}

    def _hear(self, held: Held) -> None:
        if self._epoll is not None:  # one event for what is there, one for each that comes
            hear = self._epoll.modify if held.heard else self._epoll.register
            hear(held.sock.fileno(), select.EPOLLIN | select.EPOLLET)
        elif not held.heard:
            self._loop.watch(held.sock.fileno(), READ, lambda events: self._came(held))
        held.heard = True

    def _unhear(self, held: Held) -> None:
        if not held.heard:
            return
        held.heard = False
        if self._epoll is not None:
            self._epoll.unregister(held.sock.fileno())
        else:
            self._loop.unwatch(held.sock.fileno())

    def _many(self, events: int) -> None:
        assert self._epoll is not None
        ready = {fd for fd, _ in self._epoll.poll(0)}
        for held in [each for each in self.open.values() if each.heard and each.sock.fileno() in ready]:
            self._came(held)

    def _came(self, held: Held) -> None:
        """One of those who wait at this socket is told, the one that has waited longest; the next that comes wakes
        the next. Where only the kind of waiting is there that goes on telling of one connection, all are.
        """
        waiting = [record for record in self._records.by_key.values() if record.listens and held.same in _of(record)]
        if self._epoll is not None:
            waiting = sorted(waiting, key=lambda record: record.listens)[:1]
        for record in waiting:
            run = record.listens
            self.quiet(record)
            what = f"{_of(record)[held.same]} ({listening.describe(held.wanted)})"
            self._reports.add("connection", record.key, run, socket=what, at=time.monotonic())

    # Another program of the same process

    def described(self) -> tuple[list[Message], list[int]]:
        """All that is open, and the descriptors."""
        rows = [{"wanted": held.wanted, "fd": held.sock.fileno(), "inode": held.inode} for held in self.open.values()]
        return rows, [held.sock.fileno() for held in self.open.values()]

    def restore(self, rows: Iterable[Message]) -> None:
        """Take over; the records are there already."""
        for row in rows:
            os.set_inheritable(row["fd"], False)
            inode = (row["inode"][0], row["inode"][1]) if row["inode"] is not None else None
            same = listening.same(row["wanted"])
            self.open[same] = Held(same, row["wanted"], socket.socket(fileno=row["fd"]), inode)
        for same in self._waited_for():
            self._hear(self.open[same])


def _of(record: Record) -> dict[str, str]:
    """What each of its sockets is called, by what makes it that socket."""
    return {same: name for name, same in record.sockets}
