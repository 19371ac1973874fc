"""The reader: last lines, following, rotation of every kind."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
from binascii import crc32
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.system.changes import Changes
from pserv.system.logs import reader

PATIENCE = 20.0


class Reading:
    """A reader that runs, and our end of its socket."""

    def __init__(self, *paths: Path, lines: int = 10, follow: bool = True) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.codes: list[int] = []
        files = [{"service": path.stem, "stream": "stdout", "path": str(path)} for path in paths]
        argument = json.dumps({"files": files, "lines": lines, "follow": follow})
        self._thread = threading.Thread(target=lambda: self.codes.append(reader(theirs, argument)))
        self._thread.start()
        self._rest = b""

    def line(self) -> str:
        """The text of the next line."""
        while b"\n" not in self._rest:
            data = self.socket.recv(65536)
            assert data, "the reader ended"
            self._rest += data
        first, self._rest = self._rest.split(b"\n", 1)
        text = json.loads(first)["text"]
        assert isinstance(text, str)
        return text

    def lines(self, count: int) -> list[str]:
        return [self.line() for _ in range(count)]

    def all(self) -> list[dict[str, str]]:
        """Everything until the reader ends."""
        with self.socket.makefile("rb") as file:
            *items, last = [json.loads(line) for line in file]
        assert last == {"type": "end"}
        return items

    def end(self) -> None:
        """Hang up; the reader must end well, by itself."""
        self.socket.close()
        self._thread.join(PATIENCE)
        assert self.codes == [0]


@pytest.fixture
def read() -> Iterator[Callable[..., Reading]]:
    readings: list[Reading] = []

    def start(*paths: Path, lines: int = 10, follow: bool = True) -> Reading:
        readings.append(Reading(*paths, lines=lines, follow=follow))
        return readings[-1]

    yield start
    for reading in readings:
        reading.end()


Read = Callable[..., Reading]


def append(path: Path, data: str) -> None:
    with path.open("a") as file:
        file.write(data)


def test_the_last_lines_of_each_file_service_by_service(read: Read, tmp_path: Path) -> None:
    web, db = tmp_path / "web.log", tmp_path / "db.log"
    web.write_text("1\n2\n3\n")
    db.write_text("4\n5\nunfinished")
    found = read(web, db, tmp_path / "missing.log", lines=2, follow=False).all()
    assert found == [
        {"type": "line", "service": "web", "text": "2", "stream": "stdout"},
        {"type": "line", "service": "web", "text": "3", "stream": "stdout"},
        {"type": "line", "service": "db", "text": "5", "stream": "stdout"},
        {"type": "line", "service": "db", "text": "unfinished", "stream": "stdout"},
    ]


def test_no_lines_are_asked_for(read: Read, tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("1\n")
    assert read(tmp_path / "web.log", lines=0, follow=False).all() == []


@settings(max_examples=50, deadline=None)
@given(
    data=st.lists(st.sampled_from([b"\n", b"a", b"bc\r\n", b"\xff", b"x" * 70_000])).map(b"".join),
    lines=st.integers(0, 9),
)
def test_the_last_lines_are_those_of_all_lines(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, lines: int
) -> None:
    path = tmp_path_factory.mktemp("tail") / "web.log"
    path.write_bytes(data)
    reading = Reading(path, lines=lines, follow=False)
    text = "".join(line["text"] + "\n" for line in reading.all())
    reading.end()
    whole = data.replace(b"\r\n", b"\n").split(b"\n")
    wanted = (whole if whole[-1] else whole[:-1])[-lines:] if lines else []
    assert text.replace("\n", "") == b"".join(wanted).decode(errors="replace")


def test_a_large_file_is_not_scanned(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    with path.open("wb") as file:
        file.truncate(10 << 30)  # a hole: reading it all would take seconds
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast\n")
    assert [line["text"] for line in read(path, lines=1, follow=False).all()] == ["last"]


def test_new_lines_come_when_they_are_whole(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    append(path, "old\n")
    reading = read(path)
    assert reading.line() == "old"
    append(path, "half ")
    append(path, "a line\nand")
    assert reading.line() == "half a line"
    append(path, " more\n")
    assert reading.line() == "and more"


def test_a_file_that_does_not_exist_yet_nor_its_folder(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "new" / "web.log"
    other = tmp_path / "other.log"
    append(other, "here\n")
    reading = read(path, other)
    assert reading.line() == "here"
    path.parent.mkdir()
    append(path, "one\n")
    assert reading.line() == "one"
    append(path, "two\n")
    assert reading.line() == "two"


def test_rotation_by_rename(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    append(path, "one\n")
    reading = read(path)
    assert reading.line() == "one"
    path.rename(tmp_path / "web.log.1")
    append(tmp_path / "web.log.1", "still written\n")
    assert reading.line() == "still written"
    path.touch()  # as logrotate's `create` does, before the writer is told
    append(tmp_path / "web.log.1", "after the new one was made\n")
    assert reading.line() == "after the new one was made"
    append(tmp_path / "web.log.1", "no end")
    append(path, "new\n")
    assert reading.lines(2) == ["no end", "new"]
    append(path, "newer\n")
    assert reading.line() == "newer"


def test_many_rotations_in_a_row_lose_nothing(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.touch()
    reading = read(path)
    for number in range(50):
        append(path, f"{number}\n")
        assert reading.line() == str(number)
        path.rename(tmp_path / f"web.log.{number}")
        append(tmp_path / f"web.log.{number}", f"last of {number}\n")
        append(path, f"first after {number}\n")
        assert reading.lines(2) == [f"last of {number}", f"first after {number}"]


def test_deletion(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    append(path, "one\n")
    reading = read(path)
    assert reading.line() == "one"
    path.unlink()
    append(path, "two\n")
    assert reading.line() == "two"


def test_the_folder_is_deleted_and_comes_back(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    path.parent.mkdir()
    append(path, "one\n")
    reading = read(path)
    assert reading.line() == "one"
    path.unlink()
    path.parent.rmdir()
    path.parent.mkdir()
    append(path, "two\n")
    assert reading.line() == "two"


def test_truncation(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    append(path, "one\nunfinished business")
    reading = read(path)
    assert reading.line() == "one"
    os.truncate(path, 0)
    assert reading.line() == "unfinished business"
    append(path, "two\n")
    assert reading.line() == "two"


def test_a_fifo_is_not_read(read: Read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "web.log")
    assert read(tmp_path / "web.log", follow=False).all() == []


def test_a_receiver_that_goes_away_while_it_is_blocked(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(b"x" * 99 + b"\n")
    with path.open("ab") as file:
        for _ in range(100_000):
            file.write(b"y" * 99 + b"\n")
    reading = Reading(path, lines=1_000_000, follow=False)
    assert reading.line() == "x" * 99
    reading.end()


def test_what_is_spliced_into_a_file_is_followed(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    with path.open("wb") as file:
        reading = read(path)
        out, into = os.pipe()
        os.write(into, b"spliced\n")
        if hasattr(os, "splice"):
            os.splice(out, file.fileno(), 100)
        else:
            os.write(file.fileno(), os.read(out, 100))
        assert reading.line() == "spliced"
        os.close(out)
        os.close(into)


def test_without_notifications_changes_are_looked_for() -> None:
    changes = Changes(inotify=False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert changes.watch_folder("/") == -1
        assert changes.wait(ours.fileno(), all_told=True) == (set(), False)


def test_the_process_of_an_idle_reader_ends_with_its_receiver(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("one\n")
    ours, theirs = socket.socketpair()
    code = (
        "import signal, socket, sys; from pserv.system.logs import reader;"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL);"
        "sys.exit(reader(socket.socket(fileno=int(sys.argv[1])), sys.argv[2]))"
    )
    files = [{"service": "web", "stream": "stdout", "path": str(tmp_path / "web.log")}]
    argument = json.dumps({"files": files, "lines": 1, "follow": True})
    command = [sys.executable, "-P", "-c", code, str(theirs.fileno()), argument]
    with ours:
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        assert select.select([ours], [], [], PATIENCE)[0]
    assert process.wait(PATIENCE) == 0


def told(path: Path, after: str | None, lines: int | None = 10, **asked: object) -> list[dict[str, str]]:
    """All that a reader says of a file that it is asked to go on with, places included."""
    ours, theirs = socket.socketpair()
    file = {"service": "web", "stream": "stdout", "path": str(path), "after": after}
    argument = json.dumps({"files": [file], "lines": lines, "follow": False, "places": True, **asked})
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(reader(theirs, argument)))
    thread.start()
    with ours, ours.makefile("rb") as said:
        *items, last = [json.loads(line) for line in said]
    thread.join(PATIENCE)
    assert (last, codes) == ({"type": "end"}, [0])
    return items


def place(path: Path, offset: int, sequence: int = 1) -> str:
    status = path.stat()
    mark = crc32(path.read_bytes()[:offset][-32:])
    return f"{sequence}:{status.st_dev}:{status.st_ino}:{offset}:{mark}"


def texts(items: list[dict[str, str]]) -> list[str]:
    return [item["text"] for item in items if item["type"] == "line"]


def test_places_are_told_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\ntwo\nthr")
    assert told(path, None)[0] == {"type": "place", "service": "web", "stream": "stdout", "at": place(path, 0)}
    at = place(path, 8)
    path.write_text("one\ntwo\nthree\n")
    line = {"type": "line", "service": "web", "text": "three", "stream": "stdout", "source": "stdout"}
    assert told(path, at, lines=0)[1:] == [line]
    assert texts(told(path, place(path, 14), lines=0)) == []


def test_a_place_in_a_file_that_is_gone_means_all_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\ntwo\n")
    at = place(path, 4)
    assert texts(told(path, "0:0:0:0:0", lines=0)) == ["one", "two"]
    path.rename(tmp_path / "web.log.old")
    path.write_text("three\n")
    assert texts(told(path, at, lines=0)) == ["three"]
    path.write_text("x\n")  # cut
    assert texts(told(path, place(path, 2).replace(":2:", ":4:"), lines=0)) == ["x"]
    path.write_text("not the same at all\n")  # cut, and longer by now
    assert texts(told(path, at, lines=0)) == ["not the same at all"]


def test_a_file_that_is_not_there_has_a_place(tmp_path: Path) -> None:
    assert [item["at"] for item in told(tmp_path / "none.log", None)] == ["1:0:0:0:0"]
