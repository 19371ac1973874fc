from __future__ import annotations

import os
import socket
from io import FileIO

import pytest

from pserv.system.streams import Reader, send_all
from pserv.system.tasks import Tasks


def fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(fail)


def pipe(tasks: Tasks, limit: int = 100) -> tuple[Reader, int]:
    read, write = os.pipe()
    return Reader(tasks, FileIO(read), limit), write


class TestReading:
    def test_bytes_as_they_come_until_the_end(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)

        async def main() -> None:
            async with reader:
                assert reader.take() is None
                task = tasks.spawn(reader.read(3))
                await tasks.sleep(0)
                os.write(write, b"abcde")
                assert await task == b"abc"
                assert reader.take(1) == b"d"
                os.close(write)
                assert await reader.read() == b"e"
                assert await reader.read() == b""
                assert reader.take() == b""

        tasks.run(main())

    def test_lines_and_what_is_left_at_the_end(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)

        async def main() -> None:
            async with reader:
                os.write(write, b"one\n\ntwo\nthr")
                assert [await reader.readline() for _ in range(3)] == [b"one\n", b"\n", b"two\n"]
                task = tasks.spawn(reader.readline())
                for piece in (b"ee", b"\nfo", b"ur"):
                    await tasks.sleep(0)
                    assert not task.done() or piece == b"ur"
                    os.write(write, piece)
                assert await task == b"three\n"
                os.close(write)
                assert [await reader.readline() for _ in range(2)] == [b"four", b""]

        tasks.run(main())

    def test_lines_and_bytes_can_be_mixed(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)

        async def main() -> None:
            async with reader:
                os.write(write, b"one\ntwo\nrest")
                assert await reader.readline() == b"one\n"
                assert reader.take(2) == b"tw"
                assert await reader.read(2) == b"o\n"
                assert await reader.read() == b"rest"
            os.close(write)

        tasks.run(main())

    def test_a_line_has_a_limit(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)

        async def main() -> None:
            async with reader:
                os.write(write, b"x" * 99 + b"\n" + b"x" * 101)
                assert len(await reader.readline()) == 100
                with pytest.raises(ValueError, match="more than 100 bytes"):
                    await reader.readline()
            os.close(write)

        tasks.run(main())

    def test_cancelled_in_a_line_loses_nothing(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)

        async def main() -> None:
            async with reader:
                os.write(write, b"on")
                task = tasks.spawn(reader.readline())
                for _ in range(3):
                    await tasks.sleep(0)
                task.cancel()
                await tasks.sleep(0)
                os.write(write, b"e\n")
                assert await reader.readline() == b"one\n"
            os.close(write)

        tasks.run(main())

    def test_a_reset_is_an_end(self, tasks: Tasks) -> None:
        ours, theirs = socket.socketpair()

        async def main() -> None:
            async with Reader(tasks, ours) as reader:
                ours.send(b"never read")
                theirs.close()
                assert await reader.read() == b""

        tasks.run(main())

    def test_closing_closes_the_source(self, tasks: Tasks) -> None:
        reader, write = pipe(tasks)
        reader.close()
        with pytest.raises(BrokenPipeError):
            os.write(write, b"x")
        os.close(write)


class TestSending:
    def test_more_than_the_socket_takes_at_once(self, tasks: Tasks) -> None:
        data = os.urandom(1 << 20)
        ours, theirs = socket.socketpair()

        async def main() -> bytes:
            async with Reader(tasks, theirs) as reader:
                sending = tasks.spawn(send_all(tasks, ours, data))
                came = bytearray()
                while len(came) < len(data):
                    came += await reader.read()
                await sending
                return bytes(came)

        with ours:
            assert tasks.run(main()) == data

    def test_to_one_who_has_gone(self, tasks: Tasks) -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        with ours, pytest.raises(BrokenPipeError):
            tasks.run(send_all(tasks, ours, b"x"))
