"""The watch tells a thread that hangs from one that works or does nothing."""

from __future__ import annotations

import os
import time

from pserv.keeper.channel import pair
from pserv.logger.journal import Journal
from pserv.logger.pump import Pump
from pserv.logger.streams import Stream
from pserv.logger.targets import Target
from pserv.logger.watch import Watch


def pump() -> Pump:
    return Pump(*os.pipe(), Journal(os.memfd_create("journal")))


def test_a_system_call_that_hangs_is_noticed() -> None:
    mover, stream = pump(), Stream(7, -1, Target("/a.log", None))
    told: list[int] = []
    still: list[Stream] = []
    ours, theirs = pair()
    with ours, theirs:

        def hung(stream: Stream) -> None:
            told.append(stream.id)
            theirs.send(b"+")

        watch = Watch(mover, hung, still.append)
        assert watch.begin(stream)
        assert ours.recv(1) == b"+"
        watch.end()
    assert told == [7]
    assert watch.kept == 7
    assert watch.begin(stream)
    watch.end()
    assert not watch.begin(Stream(8, -1, stream.target))
    mover.close()


def test_a_thread_that_works_does_not_hang() -> None:
    mover, stream = pump(), Stream(7, -1, Target("/a.log", None))
    told: list[int] = []
    watch = Watch(mover, lambda stream: told.append(stream.id), lambda stream: None)
    assert watch.begin(stream)
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    watch.end()
    assert told == []
    mover.close()
