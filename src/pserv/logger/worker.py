"""One process of the logger: its loop, its timers, and what the keeper tells it."""

from __future__ import annotations

import math
import os
import time

from pserv.keeper.channel import Channel, ProtocolError
from pserv.keeper.protocol import Message
from pserv.logger.facts import Facts
from pserv.logger.heat import NAP
from pserv.logger.poller import Poller
from pserv.logger.pump import Pump
from pserv.logger.settings import settings
from pserv.logger.streams import MOVED, PARKED, Stream
from pserv.logger.tail import last_lines
from pserv.logger.targets import FILE
from pserv.logger.traffic import TURN, Traffic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

LAST_LINES: Final = 20
LAST_BYTES: Final = 4096
"""How much of a run's end is told with its death."""
FINISH: Final = 1.5
"""Seconds for writing what is left when told to finish."""
ORPHANED: Final = 5.0
"""Seconds for the services to end, and for writing what they print meanwhile, when the keeper has died."""
_TERMINAL_BUFFER: Final = 1 << 16


class Worker:
    """Runs until the keeper says so, or is gone."""

    def __init__(self, channel: Channel, pump: Pump) -> None:
        self._channel = channel
        self._poller = Poller()
        self._poller.want(channel.fileno())
        self._traffic = Traffic(pump, self._poller, self._send)
        self._alive = True
        self._finish_at: float | None = None
        self._releasing = False

    def run(self, news: list[tuple[Message, tuple[int, ...]]]) -> int:
        """Serve until the end; the exit code. `news` came together with the first message."""
        traffic, poller, channel_fd = self._traffic, self._poller, self._channel.fileno()
        traffic.resume()
        for message, fds in news:
            self._obey(message, fds)
        while not self._over():
            ready = poller.wait(self._timeout())
            if channel_fd in ready:  # first: what is printed after a `reopen` was sent goes to the new file
                self._receive()
            for fd in ready:
                traffic.ready(fd)
            if traffic.heat.streams or traffic.unopened:
                traffic.look()
            if traffic.turns.at is not None and traffic.turns.at <= time.monotonic():
                traffic.keep_calendar()
            if traffic.dropping.at is not None and traffic.dropping.at <= time.monotonic():
                traffic.mark(time.monotonic())
            if traffic.overflow.at is not None and traffic.overflow.at <= time.monotonic():
                traffic.overflow.look()
            if traffic.parking.troubled:
                now = time.monotonic()
                for target in [target for target in traffic.parking.troubled if target.retry_at <= now]:
                    traffic.trouble.attempt(target)
        return 0

    def _timeout(self) -> float | None:
        """Seconds to the next thing that is due; None when only a message or output wakes us."""
        traffic = self._traffic
        if (traffic.heat.again and traffic.heat.streams) or traffic.unopened:
            return 0.0
        if traffic.heat.streams:
            return NAP
        times = [target.retry_at for target in traffic.parking.troubled]
        others = (
            *(self._finish_at, traffic.trouble.settled_at, traffic.turns.at),
            *(traffic.dropping.at, traffic.overflow.at),
        )
        times += [at for at in others if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _over(self) -> bool:
        traffic = self._traffic
        if self._finish_at is not None:
            if time.monotonic() >= self._finish_at:
                return True
            if self._alive:
                return not traffic.pump.held and not any(stream.available() for stream in traffic.streams.values())
            return not traffic.pump.held and not traffic.streams
        settled = (
            traffic.trouble.settled_at is not None
            and not traffic.parking.troubled
            and time.monotonic() >= traffic.trouble.settled_at
        )
        if (settled or self._releasing) and not traffic.pump.held:
            self._send({"op": "released"})
            return True
        return False

    # Messages.

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except OSError:
            self._orphaned()
        else:
            if self._channel.waiting:
                self._poller.want(self._channel.fileno(), writing=True)

    def _receive(self) -> None:
        try:
            self._channel.flush()
            news, alive = self._channel.receive()
        except (OSError, ProtocolError):
            news, alive = [], False
        if alive:
            self._poller.want(self._channel.fileno(), writing=self._channel.waiting)
        for message, fds in news:
            self._obey(message, fds)
        if not alive:
            self._orphaned()

    def _orphaned(self) -> None:
        if self._alive:
            self._alive = False
            self._poller.drop(self._channel.fileno())
            self._finish_at = time.monotonic() + ORPHANED

    def _obey(self, message: Message, fds: tuple[int, ...]) -> None:
        op = message.get("op")
        if op == "stream" and len(fds) == 1:
            os.set_blocking(fds[0], False)
            path, mode = _place(message["target"])
            log = settings(message["target"].get("log"))
            self._traffic.add(message["id"], fds[0], path, mode, log, _facts(message))
            return
        for fd in fds:
            os.close(fd)
        if op == "drain":
            self._drain(message["run"], message["ids"])
        elif op == "target":
            self._traffic.retarget(message["id"], *_place(message["target"]))
        elif op == "settings":
            self._traffic.configure(message["id"], settings(message["log"]), _facts(message))
        elif op == "reopen":
            self._traffic.reopen(message.get("number"))
        elif op == "release":
            self._releasing = True
            self._flush(carried=True)
        elif op == "finish":
            self._finish_at = time.monotonic() + FINISH
            self._traffic.ending = True
            self._flush(carried=False)

    def _flush(self, carried: bool) -> None:
        """Write the beginnings of lines; only those that nobody but this process has (`carried`), or all."""
        for stream in list(self._traffic.streams.values()):
            if stream.unfinished and stream.state != PARKED and (stream.rest is not None or not carried):
                self._traffic.serve(stream, final=True)
        self._traffic.mark(math.inf)

    # The end of a run.

    def _drain(self, run: int, ids: list[int]) -> None:
        """Write what the run left in its pipes and tell its last lines. What is parked is not waited for."""
        streams = []
        for number in ids:
            stream = self._traffic.streams.get(number)
            if stream is not None:
                self._write_now(stream)
                self._traffic.finish_empty(stream)
            else:
                stream = self._traffic.ended.get(number)
            if stream is not None:
                streams.append(stream)
        lines = self._lines(streams)
        self._traffic.trouble.after_hang()
        self._send({"op": "drained", "run": run, "lines": lines, "printed": sum(one.printed for one in streams)})
        for stream in streams:
            stream.drained = True
            if stream.id in self._traffic.ended:
                self._traffic.closed(stream.id)

    def _write_now(self, stream: Stream) -> None:
        """As much as is in the pipe at this moment: somebody may hold it open and print for ever."""
        left = stream.available() or _TERMINAL_BUFFER
        while left > 0 and not stream.over and stream.state != PARKED:
            moved = self._traffic.serve(stream, min(left, TURN), final=True)
            if not moved:
                break
            left -= moved

    def _lines(self, streams: list[Stream]) -> list[str]:
        share = LAST_BYTES // max(1, len(streams))
        tails = [self._tail(stream, share) for stream in streams]
        while sum(map(len, tails)) > LAST_LINES:
            del max(tails, key=len)[0]
        return [line for tail in tails for line in tail]

    def _tail(self, stream: Stream, size: int) -> list[str]:
        target = stream.target
        if stream.start == -1 or target.kind is not FILE or not self._traffic.watch.begin(stream):
            return []
        try:
            lines: list[str] = []
            if stream.start != MOVED:
                fd = target.fd if target.fd >= 0 else _for_reading(target.path)
                try:
                    lines = last_lines(fd, stream.start, stream.end or os.fstat(fd).st_size, LAST_LINES, size)
                finally:
                    if fd != target.fd:
                        os.close(fd)
            lines = [*self._rotated_tail(stream, size, lines), *lines]
            return lines if stream.format is None else stream.format.printed(lines)
        except OSError:
            return []
        finally:
            self._traffic.watch.end()

    def _rotated_tail(self, stream: Stream, size: int, lines: list[str]) -> list[str]:
        """The lines before these, in the file before."""
        rotation, missing, left = stream.target.rotation, LAST_LINES - len(lines), size - sum(map(len, lines))
        path = rotation.family.latest() if rotation is not None and stream.earlier >= 0 else ""
        if not path or missing <= 0 or left <= 0:
            return []
        try:
            fd = _for_reading(path)
        except FileNotFoundError:  # it is compressed already
            return []
        try:
            end = stream.end if stream.start == MOVED else os.fstat(fd).st_size
            return last_lines(fd, stream.earlier, end, missing, left)
        finally:
            os.close(fd)


def _for_reading(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _facts(message: Message) -> Facts:
    """Whose output it is (a message of a keeper that did not tell yet has less)."""
    told = (message.get("prefix", ""), bool(message.get("syslog")))
    return Facts(message.get("run", 0), message.get("name", "output"), message.get("pid", 0), *told)


def _place(target: dict[str, Any]) -> tuple[str, int | None]:
    """The path and mode of a TARGET."""
    if target["kind"] == "file":
        return target["path"], target.get("mode")
    if target["kind"] == "inherit":
        return f"/dev/std{target.get('as', 'out')}", None
    return os.devnull, None
