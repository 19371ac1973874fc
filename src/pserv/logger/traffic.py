"""The streams and targets of one worker: who comes and goes, who is served when. Failures are in `trouble`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from pserv.logger.dropping import Dropping
from pserv.logger.facts import NOBODY, Facts
from pserv.logger.heat import Heat
from pserv.logger.journal import MARKING
from pserv.logger.overflow import Overflow
from pserv.logger.parking import Parking
from pserv.logger.settings import PLAIN
from pserv.logger.streams import HOT, PARKED, UNBORN, WAITING, Stream
from pserv.logger.targets import FILE, Target, TargetError
from pserv.logger.trouble import Trouble
from pserv.logger.turns import Turns
from pserv.logger.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.poller import Poller
    from pserv.logger.pump import Pump
    from pserv.logger.settings import Settings

TURN: Final = 1 << 20
"""Bytes that a stream may move before the others have their turn."""
_ENDED: Final = 4096


class Traffic:
    """Serves streams; never waits for anything but the file system, and that under watch."""

    def __init__(self, pump: Pump, poller: Poller, send: Callable[[dict[str, Any]], None]) -> None:
        self.pump = pump
        self.heat = Heat(poller)
        self.trouble = Trouble(self, send)
        self.watch = Watch(pump, self.trouble.hang, self.trouble.still)
        self.overflow = Overflow(poller, pump.look, send)
        self.streams: dict[int, Stream] = {}
        self.ended: dict[int, Stream] = {}
        """All written, their last lines not asked for yet."""
        self.parking = Parking(self.streams, self.heat, poller, self.overflow, send)
        self.turns = Turns(self.streams, self.ended, pump.journal, send)
        self.dropping = Dropping(self.streams, pump.journal, send)
        self.unopened: list[Target] = []
        self.ending = False
        """Nobody will come after this process: no line is waited for."""
        self._poller = poller
        self._send = send
        self.targets: dict[str, Target] = {}
        """All that are written, by path."""
        self._by_fd: dict[int, Stream] = {}
        self._reopening: int | None = None

    # Coming and going.

    def resume(self) -> None:
        """Write what a predecessor left in the hold pipe to the file that its journal names."""
        number, path = self.pump.journal.owner()
        if self.pump.held or self.pump.journal.state() == MARKING:
            self.trouble.owner = self._new(number, -1, self._target(path, None))
            self.trouble.attempt(self.trouble.owner.target)

    def add(
        self, number: int, fd: int, path: str, mode: int | None, settings: Settings = PLAIN, facts: Facts = NOBODY
    ) -> None:
        """Serve a stream from now on; takes the descriptor."""
        if self.watch.kept not in (None, number):
            os.close(fd)  # sent before the keeper knew: another worker has it
            return
        stream = self._new(number, fd, self._target(path, mode))
        if self.trouble.owner is not None and self.trouble.owner.id == number:
            self.trouble.owner = stream
        self.streams[number] = self._by_fd[fd] = stream
        stream.run = facts.run
        self._configure(stream, settings, facts)
        self.turns.govern(stream.target)
        self._join(stream, stream.target)

    def configure(self, number: int, settings: Settings, facts: Facts) -> None:
        """Write a stream so from now on."""
        stream = self.streams.get(number)
        if stream is not None:
            self._configure(stream, settings, facts)
            self.turns.govern(stream.target)
            if stream.state == UNBORN or stream.unfinished:
                self.parking.wake(stream)
            elif stream.state == PARKED:
                self.parking.park(stream)

    def _configure(self, stream: Stream, settings: Settings, facts: Facts) -> None:
        stream.settings = stream.target.settings = settings
        stream.unborn = settings.format == "json" and not facts.pid
        self.dropping.govern(stream, settings)
        if settings.formatted or facts.prefix or stream.target.write is not None or stream.limit is not None:
            from pserv.logger.formats import Format

            stream.format = Format(settings, facts)
        else:
            stream.format = None

    def retarget(self, number: int, path: str, mode: int | None) -> None:
        """Write a stream to another place from now on; what is held of it, too."""
        stream = self.streams.get(number)
        if stream is None or stream.target.path == path:
            return
        old = stream.target
        old.streams.remove(number)
        stream.target, stream.start = self._target(path, mode), -1
        if self.trouble.owner is stream:
            self.pump.journal.move(number, path)
        stream.target.settings = stream.settings
        self.turns.govern(stream.target)
        self._join(stream, stream.target)
        self.close_unused(old, stream)
        if self.trouble.owner is stream:
            self.trouble.attempt(stream.target)

    def reopen(self, number: int | None) -> None:
        """Close every file and open its path anew; when that is done it is told, with the number."""
        self._reopening = number
        for target in self.targets.values():
            if target.kind is FILE and not target.stale:
                target.stale = True
                self.unopened.append(target)
        self._tell_reopened()

    def remove(self, stream: Stream) -> None:
        """Forget a stream and close its descriptor; what is in its pipe is the keeper's."""
        del self.streams[stream.id]
        self.overflow.end(stream)
        self.heat.forget(stream)
        del self._by_fd[stream.fd]
        os.close(stream.fd)
        stream.target.streams.remove(stream.id)
        self.close_unused(stream.target, stream)

    def closed(self, number: int) -> None:
        """Tell that a stream is over, and forget what was counted."""
        self.ended.pop(number, None)
        self.pump.journal.forget(number)
        self._send({"op": "closed", "id": number})

    def _new(self, number: int, fd: int, target: Target) -> Stream:
        stream = Stream(number, fd, target)
        stream.start, stream.printed = self.pump.journal.find(number)
        return stream

    def _target(self, path: str, mode: int | None) -> Target:
        target = self.targets.get(path)
        if target is None:
            target = self.targets[path] = Target(path, mode)
        return target

    def _join(self, stream: Stream, target: Target) -> None:
        target.streams.append(stream.id)
        if target.trouble or self.parking.is_full(target) or self.pump.held:
            self.parking.park(stream)
        else:
            self.parking.wake(stream)
        if target.stale and not target.trouble:
            self.unopened.append(target)

    def close_unused(self, target: Target, last: Stream) -> None:
        """Close a target that no stream goes to any more."""
        if target.streams or (self.trouble.owner is not None and self.trouble.owner.target is target):
            return
        self.parking.forget(target)
        self.turns.forget(target)
        self.targets.pop(target.path, None)
        watched = self.watch.begin(last)  # close(2) writes what is left, on some file systems
        target.close()
        if watched:
            self.watch.end()
            self.trouble.after_hang()

    # Serving.

    def ready(self, fd: int) -> None:
        """The poller says that this stream can be read, or that this target can be written again."""
        stream = self._by_fd.get(fd)
        if stream is not None:
            if stream.state == PARKED:
                self.trouble.spill(stream)
            else:
                self._serve_in_order(stream)
            return
        target = self.parking.writable(fd)
        if target is not None and target.carry and target.streams:
            self.serve(self.streams[target.streams[0]])

    def _serve_in_order(self, stream: Stream) -> None:
        """What another stream of the same file has, and nobody was woken for, came before this."""
        if stream.format is not None and len(stream.target.streams) > 1 and self.heat.streams:
            for other in [self.streams[number] for number in stream.target.streams]:
                if other.state == HOT and other is not stream:
                    self.serve(other)
        if self.streams.get(stream.id) is stream:
            self.serve(stream)

    def look(self) -> None:
        """Serve the hot streams once; while there are none, open one file that nothing was written to yet."""
        self.heat.again = False
        for stream in list(self.heat.streams.values()):
            if stream.state == HOT:
                self.serve(stream)
        if self.unopened and (not self.heat.again or self._reopening is not None):
            target = self.unopened.pop()
            if target.stale and target.streams and not target.trouble:
                self.trouble.attempt(target)
        self._tell_reopened()

    def _tell_reopened(self) -> None:
        if self._reopening is not None and not self.unopened:
            self._send({"op": "reopened", "number": self._reopening})
            self._reopening = None

    def serve(self, stream: Stream, limit: int = TURN, final: bool = False) -> int:
        """Let a stream have its turn; the number of bytes moved. `final`: the beginning of a line, too."""
        target = stream.target
        if stream.unborn and not stream.is_over():
            self.heat.park(stream)
            stream.state = UNBORN
            return 0
        if not self.overflow.settle(stream) and not stream.is_over():
            return 0
        now = time.monotonic()
        if not self.watch.begin(stream):
            self.trouble.after_hang()
            return 0
        moved, failure, full = 0, None, False
        try:
            if target.wants_opening(now):
                self.open(target, now)
            if stream.spilt is not None:
                self.pump.append(stream, stream.spilt.written())
                self.overflow.told(stream)
            moved = self.pump.turn(stream, limit, final or self.ending)
            while not moved and target.is_due():
                self.turns.rotate(target, stream.id)
                moved = self.pump.turn(stream, limit, final or self.ending)
        except TargetError as error:
            failure = error
        except BlockingIOError:
            full = True
        finally:
            self.watch.end()
        self.dropping.look(stream)
        if failure is not None:
            self.trouble.fail(target, stream, failure)
        elif full:
            self.parking.fill(target)
        elif stream.over:
            self._finish(stream)
        else:
            self.heat.served(stream, moved, now)
            if stream.format is not None and stream.state == WAITING:
                self._poller.want(stream.fd, more=stream.unfinished and not moved)
        self.trouble.after_hang(failure is not None)
        return moved

    def mark(self, now: float) -> None:
        """Have files tell what was dropped for them."""
        for stream in self.dropping.due(now):
            if stream.target.kind is FILE and stream.state != PARKED:
                self._do(stream, partial(self._mark, stream))
                self.dropping.look(stream)

    def _mark(self, stream: Stream) -> None:
        now = time.monotonic()
        if stream.target.wants_opening(now):
            self.open(stream.target, now)
        self.pump.mark(stream)

    def keep_calendar(self) -> None:
        """Rotate what the calendar wants rotated, though nobody writes to it."""
        for target in self.turns.due():
            if not target.trouble:
                stream = self.streams[target.streams[0]]
                self._do(stream, partial(self.turns.rotate, target, stream.id))

    def _do(self, stream: Stream, action: Callable[[], None]) -> None:
        """What may hang, and fail with TargetError."""
        if not self.watch.begin(stream):
            return
        failure = None
        try:
            action()
        except TargetError as error:
            failure = error
        finally:
            self.watch.end()
        if failure is not None:
            self.trouble.fail(stream.target, stream, failure)
        self.trouble.after_hang(failure is not None)

    def open(self, target: Target, now: float) -> None:
        """Open a target (anew). Raises TargetError; to be done under watch."""
        used = target.used
        self._poller.drop(target.fd)
        target.open(now)
        self.turns.opened(target)
        if target.write is not None:
            for stream in [self.streams[number] for number in target.streams]:
                if stream.format is None:
                    self._configure(stream, stream.settings, Facts(stream.run, "output", 0))
        if used:  # the file is another one: none of what these runs printed is in it
            size = target.size()
            for number in target.streams:
                if self.streams[number].start >= 0:
                    self.streams[number].start = size

    def _finish(self, stream: Stream) -> None:
        """All is written. While its last lines may still be asked for it is not told closed."""
        stream.end = stream.target.size()
        self.remove(stream)
        shown = stream.printed > 0 and stream.target.kind is FILE
        if stream.drained or not shown or self.watch.kept is not None:
            self.closed(stream.id)
            return
        self.ended[stream.id] = stream
        if len(self.ended) > _ENDED:
            self.closed(next(iter(self.ended)))

    def finish_empty(self, stream: Stream) -> None:
        """A parked stream whose pipe is empty and closed is over: its target is not needed for that."""
        if stream.state == PARKED and stream.is_over() and self.trouble.owner is not stream:
            if stream.target.trouble and stream.target.streams == [stream.id]:
                text = "nothing is left to write to it"
                self._send({"op": "restored", "id": stream.id, "path": stream.target.path, "text": text})
            self._finish(stream)
