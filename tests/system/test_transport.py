from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pserv.system.futures import Event
from pserv.system.tasks import Tasks
from pserv.system.transport import Transport

LONG = 1000.0
STALL = 30.0
HIGH = 1000
MUCH = b"x" * (4 << 20)
"""More than the kernel keeps for a peer that does not read."""


SOME = 1 << 19
"""As much as makes room in the kernel, which for unix sockets it tells late."""


class Owner:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []
        self.news = Event()
        self.fails = False

    def received(self, data: bytes) -> None:
        if self.fails:
            raise LookupError
        self.data += data
        self._tell("received")

    def ended(self) -> None:
        self._tell("ended")

    def lost(self) -> None:
        self._tell("lost")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.news.set()

    async def until(self, what: str) -> None:
        while what not in self.told:
            self.news.clear()
            await self.news.wait()


class Rig:
    def __init__(self) -> None:
        self.bugs: list[Exception] = []
        self.now = 0.0
        self.tasks = Tasks(lambda where, error: self.bugs.append(error), lambda: self.now)
        self.owner = Owner()
        sock, self.peer = socket.socketpair()
        self.peer.settimeout(5.0)
        self.transport = Transport(self.tasks, sock, self.owner, memoryview(bytearray(100)), HIGH)

    def read_all(self) -> int:
        size = 0
        while data := self.peer.recv(1 << 16):
            size += len(data)
        return size

    async def at(self, when: float) -> None:
        """It is that late now, and what is due was done."""
        self.now = when
        for _ in range(5):
            await self.tasks.sleep(0)

    async def taken(self, size: int) -> None:
        """The peer reads so much, beside the loop."""
        while size:
            await self.tasks.sleep(0)
            size -= len(self.peer.recv(min(size, 1 << 16)))


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.peer.close()
    rig.transport.sock.close()


class TestReceiving:
    def test_pieces_then_the_end(self, rig: Rig) -> None:
        async def main() -> None:
            rig.peer.send(b"y" * 250)
            rig.peer.shutdown(socket.SHUT_WR)
            await rig.owner.until("ended")

        rig.tasks.run(main())
        assert rig.owner.data == b"y" * 250
        assert rig.owner.told == ["received"] * 3 + ["ended"]
        assert not rig.transport.hung_up()

    def test_paused_reads_nothing_until_resumed(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.pause()
            rig.peer.send(b"abc")
            for _ in range(5):
                await rig.tasks.sleep(0)
            assert rig.owner.told == []
            rig.transport.resume()
            await rig.owner.until("received")

        rig.tasks.run(main())

    def test_peer_that_goes_away_is_seen_while_paused_and_after_its_end(self, rig: Rig) -> None:
        async def main() -> None:
            rig.peer.shutdown(socket.SHUT_WR)
            await rig.owner.until("ended")
            rig.peer.close()
            await rig.owner.until("lost")
            other = Rig()
            other.transport.pause()
            other.peer.close()
            rig.owner.told.clear()
            other.tasks.run(other.owner.until("lost"))

        rig.tasks.run(main())

    def test_what_was_sent_before_going_away_is_received_first(self, rig: Rig) -> None:
        async def main() -> None:
            rig.peer.send(b"last words")
            rig.peer.close()
            await rig.owner.until("ended")
            assert rig.transport.hung_up()
            await rig.owner.until("lost")

        rig.tasks.run(main())
        assert rig.owner.told == ["received", "ended", "lost"]

    def test_owner_that_fails_is_a_bug_and_the_end(self, rig: Rig) -> None:
        async def main() -> None:
            rig.owner.fails = True
            rig.peer.send(b"x")
            await rig.owner.until("lost")

        rig.tasks.run(main())
        assert [type(error) for error in rig.bugs] == [LookupError]


class TestSending:
    def test_what_fits_goes_at_once(self, rig: Rig) -> None:
        rig.transport.write(b"abc")
        assert rig.transport.unsent == 0
        assert rig.peer.recv(10) == b"abc"

    def test_room_ends_above_the_mark_and_comes_back_well_below_it(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            assert not rig.transport.room
            waiting = rig.tasks.spawn(rig.transport.drained(LONG))
            await rig.taken(len(MUCH))
            await waiting
            assert rig.transport.unsent <= HIGH // 4
            assert len(rig.tasks.timers) == 0

        rig.tasks.run(main())

    def test_peer_that_takes_nothing_is_dropped(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            waiting = rig.tasks.spawn(rig.transport.drained(STALL))
            await rig.at(0)
            await rig.at(STALL - 1)
            assert not waiting.done()
            await rig.at(STALL)
            assert rig.transport.room
            assert rig.owner.told == ["lost"]
            await waiting

        rig.tasks.run(main())

    def test_peer_that_takes_some_in_each_while_is_not(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            waiting = rig.tasks.spawn(rig.transport.drained(STALL))
            for number in range(1, 5):
                await rig.taken(SOME)
                await rig.at(STALL * number)
            assert not waiting.done()
            await rig.at(STALL * 5)
            assert rig.owner.told == ["lost"]

        rig.tasks.run(main())

    def test_to_a_peer_that_has_gone(self, rig: Rig) -> None:
        async def main() -> None:
            rig.peer.close()
            rig.transport.write(b"x")
            assert rig.owner.told == []  # never in the middle of a call
            rig.transport.write(b"x")
            await rig.owner.until("lost")

        rig.tasks.run(main())
        assert rig.owner.told == ["lost"]
        assert rig.transport.unsent == 0


class TestEnding:
    def test_close_sends_what_is_queued(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            rig.transport.close(LONG)
            rig.transport.close(LONG)
            assert rig.transport.closing
            await rig.taken(len(MUCH))
            await rig.owner.until("lost")
            assert len(rig.tasks.timers) == 0

        rig.tasks.run(main())
        assert rig.read_all() == 0

    def test_close_reads_no_more(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            rig.transport.close(LONG)
            rig.peer.send(b"x")
            for _ in range(3):
                await rig.tasks.sleep(0)
            rig.transport.abort()
            await rig.owner.until("lost")

        rig.tasks.run(main())
        assert rig.owner.told == ["lost"]

    def test_close_does_not_wait_for_one_who_takes_nothing(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            rig.transport.close(STALL)
            await rig.at(STALL - 1)
            assert rig.owner.told == []
            await rig.at(STALL)
            assert rig.owner.told == ["lost"]

        rig.tasks.run(main())

    def test_close_waits_for_one_who_takes_some(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            rig.transport.close(STALL)
            for number in range(1, 5):
                await rig.taken(SOME)
                await rig.at(STALL * number)
            assert rig.owner.told == []
            await rig.taken(len(MUCH) - 4 * SOME)
            await rig.owner.until("lost")

        rig.tasks.run(main())

    def test_abort_drops_what_is_queued_and_tells_once(self, rig: Rig) -> None:
        async def main() -> None:
            rig.transport.write(MUCH)
            rig.transport.abort()
            rig.transport.abort()
            rig.transport.close(LONG)
            assert rig.transport.unsent == 0
            await rig.owner.until("lost")

        rig.tasks.run(main())
        assert rig.owner.told == ["lost"]
        assert 0 < rig.read_all() < len(MUCH)
