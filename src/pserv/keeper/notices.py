"""What runs say of themselves (sd_notify(3), s6's notification-fd), told to the supervisor one by one, none lost.

A run's datagrams wait in the kernel until the supervisor has acknowledged those before them: a flood fills the run's
own queue and costs the others nothing, and while no supervisor lives nothing is dropped. What concerns processes and
descriptors is done here, at once and in order: MAINPID, FDSTORE, BARRIER.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable

from pserv.keeper import cgroup, datagram, kernel, strays
from pserv.keeper.datagram import Datagram
from pserv.keeper.inbox import Addresses, Inbox
from pserv.keeper.loop import READ, Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.runs import Record, Records, Run
from pserv.keeper.storing import Storing

WINDOW = 32
"""So many notices of a run may be told and not acknowledged; the others wait in its socket."""
_A_TURN, _RUNS_A_TURN = 4, 32
"""Datagrams of one run, and runs, that are heard in one turn of the loop."""

Adopt = Callable[[Run, int], bool]


class Notices:
    """Hears all inboxes. `adopt` makes another process of a run its main process, or says that it cannot."""

    def __init__(self, loop: Loop, records: Records, reports: Reports, folder: str, cookie: str, adopt: Adopt) -> None:
        self.addresses = Addresses(folder, cookie)
        self.storing = Storing(records)
        self.dropped = 0
        """Datagrams that were malformed, too long, or from processes of other runs."""
        self._loop = loop
        self._records = records
        self._reports = reports
        self._cookie = cookie
        self._adopt = adopt
        self._heard: dict[int, Run] = {}
        self._told: dict[int, tuple[Run, int]] = {}
        """The run of each notice that is not acknowledged, and the descriptor of a barrier (-1: it was none)."""
        # poll(2) looks at every descriptor in every turn; so it has to look at one more only.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self.common: dict[bool, Inbox] = {}
        """What runs without a socket of their own share, by whether they run as another user."""
        if self._epoll is not None:
            loop.watch(self._epoll.fileno(), READ, self._many)

    # Which are heard

    def open(self, number: int, *, other_user: bool, shared: bool) -> Inbox:
        """A run's own socket, or the address of a common one where senders can be told apart. Raises OSError."""
        if not shared or not datagram.TELLS_SENDERS:
            return self.addresses.open(str(number), other_user)
        if other_user not in self.common:
            self.restore({other_user: self.addresses.open("all", other_user)})
        return Inbox(self.common[other_user].address)

    def restore(self, common: dict[bool, Inbox]) -> None:
        """Hear these common sockets, too."""
        self.common |= common
        for inbox in common.values():
            if inbox.socket is not None:
                self._loop.watch(inbox.socket.fileno(), READ, lambda events: self._hear_common(_A_TURN))

    def watch(self, run: Run) -> None:
        """Hear this run from now on."""
        if run.inbox.ready >= 0:
            self._loop.watch(run.inbox.ready, READ, lambda events: self._line(run))
        self._watch_socket(run)

    def close(self, run: Run) -> None:
        """Nothing of the run is left to speak."""
        if run.inbox.ready >= 0:
            self._loop.unwatch(run.inbox.ready)
        self._unwatch_socket(run)
        run.inbox.close()

    def _watch_socket(self, run: Run) -> None:
        if run.inbox.socket is None or run.inbox.socket.fileno() in self._heard:
            return
        fd = run.inbox.socket.fileno()
        self._heard[fd] = run
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)
        else:
            self._loop.watch(fd, READ, lambda events: self.hear(run))

    def _unwatch_socket(self, run: Run) -> None:
        if run.inbox.socket is None or self._heard.pop(run.inbox.socket.fileno(), None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(run.inbox.socket.fileno())
        else:
            self._loop.unwatch(run.inbox.socket.fileno())

    def _many(self, events: int) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0, _RUNS_A_TURN):
            run = self._heard.get(fd)
            if run is not None:
                self.hear(run)

    # What they say

    def hear(self, run: Run, most: int = _A_TURN) -> None:
        """Some of the datagrams that wait; the others stay until those before them are acknowledged."""
        for _ in range(most):
            if run.inbox.socket is None:
                return
            if run.inbox.waiting >= WINDOW:
                self._unwatch_socket(run)
                return
            came = datagram.receive(run.inbox.socket)
            if came is None:
                return
            if came.problem or not self._belongs(run, came):
                self.dropped += 1
            else:
                self._take(run, came)
            came.close()

    def last_words(self, run: Run) -> None:
        """What was said before the main process ended is told before its end."""
        if run.inbox.ready >= 0:
            self._line(run)
        self.hear(run, WINDOW)
        if run.inbox.socket is None and run.inbox.address:
            self._hear_common(WINDOW)

    def _hear_common(self, most: int) -> None:
        """What is said on common sockets: of one who has said too much at once it is dropped, so that none waits."""
        for inbox in self.common.values():
            for _ in range(most):
                came = None if inbox.socket is None else datagram.receive(inbox.socket)
                if came is None:
                    break
                run = None if came.problem else self._run_of(came.pid)
                if run is None or run.inbox.waiting >= WINDOW:
                    self.dropped += 1
                else:
                    self._take(run, came)
                came.close()

    def _take(self, run: Run, came: Datagram) -> None:
        said = came.variables
        facts: Message = {"text": came.text, "pid": came.pid, "at": time.monotonic()}
        record = self._records.by_key.get(run.key)
        if record is not None and record.run is run and self._stored(record, said, came):
            facts["stored"] = len(record.stored)
        main = said.get("MAINPID", "")
        if main.isdecimal() and len(main) < 10 and self.member(run, int(main)) and self._adopt(run, int(main)):
            facts["main"] = run.pid
        barrier = came.fds.pop() if said.get("BARRIER") == "1" and len(came.fds) == 1 else -1
        run.inbox.waiting += 1
        # Before it is told: the acknowledgement may come at once.
        self._told[self._reports.last + 1] = (run, barrier)
        self._reports.add("notice", run.key, run.number, **facts)

    def _stored(self, record: Record, said: dict[str, str], came: Datagram) -> bool:
        """Whether the descriptors that are kept for the service have changed."""
        if said.get("FDSTOREREMOVE") == "1":
            return self.storing.remove(record, said.get("FDNAME", ""))
        if said.get("FDSTORE") != "1" or not came.fds:
            return False
        fds, came.fds = came.fds, []
        self.dropped += self.storing.keep(record, said.get("FDNAME", ""), fds)
        return True

    def _line(self, run: Run) -> None:
        """A line on the descriptor of `ready: {fd: N}`, or its end."""
        fd = run.inbox.ready
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return
        if data and b"\n" not in data:
            return
        self._loop.unwatch(fd)
        os.close(fd)
        run.inbox.ready = -1
        if data:
            self._reports.add("ready", run.key, run.number, at=time.monotonic())

    def acknowledged(self, numbers: Iterable[int]) -> None:
        """The supervisor has done what these reports ask for: what waited behind them may come."""
        for number in numbers:
            run, barrier = self._told.pop(number, (None, -1))
            if barrier >= 0:
                os.close(barrier)
            if run is not None:
                run.inbox.waiting -= 1
                if run.inbox.waiting <= WINDOW // 2:
                    self._watch_socket(run)

    # Who says it

    def _belongs(self, run: Run, came: Datagram) -> bool:
        """Whether the sender is of the run. One that has ended is known by its user: the address is the run's own."""
        if not datagram.TELLS_SENDERS or came.pid == run.pid:
            return True
        mine = self.member(run, came.pid)
        if mine is not None:
            return mine
        return came.uid in (0, os.geteuid(), _user_of(run.pid))

    def _run_of(self, pid: int) -> Run | None:
        """The run of a sender on a common socket; None of one that has ended and was no main process."""
        if pid in self._records.leaders:
            return self._records.leaders[pid]
        told = strays.run_of(pid, self._cookie) if pid > 0 else None
        if told is not None:
            return next((run for run in self._records.runs() if run.number == told), None)
        process = strays.read(pid)
        if process is None:
            return None
        return self._records.leaders.get(process.session) or self._records.leaders.get(process.group)

    def member(self, run: Run, pid: int) -> bool | None:
        """Whether a process is of the run; None when there is no such process (any more)."""
        if pid <= 0:  # of another PID namespace
            return None
        told = strays.run_of(pid, self._cookie)
        if told is not None:
            return told == run.number
        process = strays.read(pid)
        if process is None:
            return None
        if pid == run.pid or run.pid in (process.session, process.group):
            return True
        return run.folder is not None and pid in cgroup.members(run.folder)


def _user_of(pid: int) -> int:
    """The effective user of a process; -1 when there is none."""
    fields = kernel.read(f"/proc/{pid}/status").partition(b"\nUid:")[2].split(None, 2)
    return int(fields[1]) if len(fields) > 1 else -1
