"""A pretend keeper for tests of the logger: it holds pipes, hold pipe and journal, and has workers forked."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path
from typing import Any

from pserv.keeper.channel import Channel, pair
from pserv.keeper.protocol import Message
from tests.logger.forks import Forks

PATIENCE = 20.0
"""Seconds after which an awaited message counts as missing."""


class Outlet:
    """One stream: its id, both ends of its pipe, its run and target."""

    def __init__(self, number: int, run: int, target: dict[str, Any], read: int, write: int) -> None:
        self.id = number
        self.run = run
        self.target = target
        self.facts: dict[str, Any] = {"run": run}
        """What the worker is told of whose output it is."""
        self.read = read
        self.write = write

    def print(self, data: bytes) -> None:
        """Write all of it, as the service would."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.write, view) :]

    def end(self) -> None:
        """The service ends."""
        os.close(self.write)
        self.write = -1


class Seat:
    """What the keeper holds for one worker, and the process that has it now (`pid` 0: none)."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self.hold = os.pipe()
        self.journal = os.memfd_create("journal", os.MFD_CLOEXEC)
        self.channel: Channel | None = None
        self.pid = 0
        self.news: list[Message] = []

    def start(self, outlets: list[Outlet]) -> None:
        """A new process, which is told of these streams."""
        ours, theirs = pair()
        self.pid = self._forks.start(theirs.fileno())
        theirs.close()
        self.greet(Channel(ours), outlets)

    def greet(self, channel: Channel, outlets: list[Outlet]) -> None:
        """The first messages to a new process."""
        self.channel = channel
        self.tell({"op": "hello", "holds": [{"worker": 1}], "workers": 1}, *self.hold, self.journal)
        for outlet in outlets:
            self.give(outlet)

    def give(self, outlet: Outlet) -> None:
        """Hand a stream to the worker."""
        fields = {"id": outlet.id, "key": "web", "target": outlet.target, **outlet.facts}
        self.tell({"op": "stream", **fields}, outlet.read)

    def tell(self, message: Message, *fds: int) -> None:
        assert self.channel is not None
        self.channel.send(message, fds)
        while self.channel.waiting:
            select.select([], [self.channel], [])
            self.channel.flush()

    def hear(self, op: str, **fields: Any) -> Message:
        """The next message of this kind (and with these fields); those before it are dropped."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while self.news:
                message = self.news.pop(0)
                if message["op"] == op and fields.items() <= message.items():
                    return message
            left = deadline - time.monotonic()
            assert left > 0, f"the worker did not say {op}"
            self.listen(left)

    def listen(self, seconds: float) -> None:
        """Take what the worker says within this time, at least one message if there is one."""
        assert self.channel is not None
        if select.select([self.channel], [], [], seconds)[0]:
            messages, alive = self.channel.receive()
            self.news += [message for message, _ in messages]
            assert alive or messages, "the worker ended"

    def drain(self, *outlets: Outlet) -> Message:
        """Ask for what was printed; the answer."""
        self.tell({"op": "drain", "run": outlets[0].run, "ids": [outlet.id for outlet in outlets]})
        return self.hear("drained", run=outlets[0].run)

    def kill(self) -> None:
        """End the process at once."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close our end of the channel."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def wait(self) -> int:
        """The exit code of the process, when it ends."""
        pid, self.pid = self.pid, 0
        return self._forks.wait(pid)

    def finish(self) -> int:
        """The worker's exit code after it was told to finish."""
        self.tell({"op": "finish"})
        return self.wait()


class PretendKeeper:
    """Makes pipes and seats and cleans all of it up."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self.outlets: list[Outlet] = []
        self.seats: list[Seat] = []

    def outlet(self, path: Path | str, run: int = 1) -> Outlet:
        """A stream to a file that is never rotated."""
        read, write = os.pipe()
        target = {"kind": "file", "path": str(path), "log": {"rotate": None}}
        outlet = Outlet(len(self.outlets) + 1, run, target, read, write)
        self.outlets.append(outlet)
        return outlet

    def seat(self, *outlets: Outlet) -> Seat:
        """A worker with these streams."""
        seat = Seat(self._forks)
        self.seats.append(seat)
        seat.start(list(outlets))
        return seat

    def close(self) -> None:
        for seat in self.seats:
            if seat.pid:
                seat.kill()
            seat.hang_up()
            for fd in (*seat.hold, seat.journal):
                os.close(fd)
        for outlet in self.outlets:
            os.close(outlet.read)
            if outlet.write >= 0:
                os.close(outlet.write)
