"""The supervisor process: forked with the whole table, replaced when dead or silent, safe after three deaths."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

from pserv.keeper.link import Link, Trace
from pserv.keeper.loop import Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Roles, described

_DEATHS, _PERIOD = 3, 60.0
_LONGEST_PAUSE = 30.0
_KEPT_DEATHS = 5

Receive = Callable[[Message, tuple[int, ...]], None]
Opening = Callable[[], tuple[Message, tuple[int, ...]]]
"""Makes the table and its descriptors, as they are at that moment."""


class Supervision:
    """One supervisor at a time. `active` says whose messages count: none do while a successor is being tried."""

    def __init__(
        self,
        loop: Loop,
        roles: Roles,
        receive: Receive,
        opening: Opening,
        died: Callable[[], None],
        ack_timeout: float,
        trace: Trace | None,
    ) -> None:
        self._loop = loop
        self._roles = roles
        self._receive = receive
        self._opening = opening
        self._died = died
        self._ack_timeout = ack_timeout
        self._trace = trace
        self.reports: Reports | None = None
        self.link: Link | None = None
        self.pid = 0
        self.safe = False
        self.deaths: list[Message] = []
        self.argv: list[str] | None = None
        """What to exec for a supervisor after an upgrade; None forks."""
        self.ending = False
        """No successor any more: the daemon ends."""
        self.paused = False
        self.served = False
        """The present one has said that it is ready."""
        self._early: tuple[int, socket.socket] | None = None
        self._started = 0.0
        self._failures: list[float] = []
        self._silent = False

    def begin(self) -> None:
        """Fork the first one before there is a table: it loads its code while we wait for the configuration."""
        self._early = self._roles.start("supervisor", "", self.ended)

    def abandon(self) -> None:
        """The one that was begun gets no table: it is gone when this returns."""
        if self._early is not None:
            (pid, sock), self._early = self._early, None
            sock.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def start(self) -> None:
        """Give the table to one that waits for it, or that is forked or exec'd now. If refused, again after a pause."""
        if self.ending or self.pid:
            return
        early, self._early = self._early, None
        try:
            if early is not None:
                pid, sock = early
            elif self.argv is not None:
                pid, sock = self._roles.execute(self.argv, self.ended)
            else:
                pid, sock = self._roles.start("supervisor", "", self.ended)
        except OSError as error:
            self._note_death(None, None, f"cannot start it: {error.strerror}")
            return
        self._open(pid, Link("supervisor", sock, self._loop, self._receive, self._lost, self._trace))

    def _open(self, pid: int, link: Link) -> None:
        self.pid, self.link, self._started = pid, link, time.monotonic()
        self._silent = self.served = False
        message, fds = self._opening()
        try:
            link.send(message, fds)
        except OSError:
            self.kill()  # for want of descriptors; its successor comes after a pause
        self.watch()

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """To the supervisor if there is one. What it must not miss is a report."""
        if self.link is None or self.paused:
            return
        try:
            self.link.send(message, fds)
        except OSError:
            self.kill()
        if message["op"] == "report":
            self.watch()

    def watch(self) -> None:
        """A deadline while, and only while, a report is unacknowledged."""
        oldest = self.reports.oldest if self.reports is not None else None
        if oldest is None or not self.pid or self.paused:
            self._loop.cancel("silence")
        elif not self._loop.pending("silence"):
            self._loop.at("silence", max(oldest, self._started) + self._ack_timeout, self._check_silence)

    def _check_silence(self) -> None:
        oldest = self.reports.oldest if self.reports is not None else None
        if oldest is not None and max(oldest, self._started) + self._ack_timeout <= time.monotonic():
            self._silent = True
            self.kill()
        else:
            self.watch()

    def kill(self) -> None:
        """SIGKILL, stopped or hung as it may be; `ended` follows."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def _lost(self) -> None:
        """It closed its channel or spoke nonsense: without a channel it is of no use."""
        self.kill()

    def ended(self, status: int) -> None:
        """It was reaped: hear its last words, then start the next."""
        self.pid = 0
        link, self.link = self.link, None
        if link is not None:
            link.drain_and_close()
        self._loop.cancel("silence")
        self._died()
        if self.ending:
            return
        end = described(status)
        # Who kills one that served well, by hand or for want of memory, is no reason for its successor to be careful.
        struck = end["signal"] == signal.SIGKILL and self.served and not self._silent
        text = "did not acknowledge a report" if self._silent else ""
        self._note_death(end["code"], end["signal"], text, counts=not struck)

    def _note_death(self, code: int | None, signum: int | None, text: str, *, counts: bool = True) -> None:
        now = time.monotonic()
        self.deaths = [*self.deaths, {"at": now, "code": code, "signal": signum, "text": text}][-_KEPT_DEATHS:]
        self._failures = [at for at in self._failures if now - at < _PERIOD] + [now] * counts
        many = len(self._failures) - _DEATHS
        self.safe = many >= 0
        if many > 0 or text.startswith("cannot"):
            self._loop.at("supervisor", now + min(2.0 ** max(many - 1, 0), _LONGEST_PAUSE), self.start)
        else:
            self.start()

    def hand_over(self, pid: int, link: Link, argv: list[str]) -> None:
        """A successor that is ready takes the place; the one before it is killed, which counts as no death."""
        before = self.link
        if self.pid:
            self._roles.own[self.pid] = _buried
            self.kill()
        if before is not None:
            before.close()
        self.pid, self.link, self.argv, self._started = pid, link, argv, time.monotonic()
        self._roles.own[pid] = self.ended
        self.paused = False
        self.watch()


def _buried(status: int) -> None:
    """A supervisor that was replaced by its successor is reaped; nothing follows."""
