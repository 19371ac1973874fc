"""A log followed while it is rotated as the logger does it, compressed, taken back and truncated; each line once."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest

from pserv.logger.index import path_of
from pserv.system.logs import reader
from tests.system.archives import START, ask, json_line, rotate

PATIENCE = 20.0


class Following:
    """A reader that follows one log, and what it says."""

    def __init__(self, path: Path, after: str | None = None, **asked: Any) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        file = {"service": "web", "stream": "stdout", "path": str(path), "after": after}
        argument = json.dumps({"files": [file], "lines": None, "follow": True, "places": True, **asked})
        self._thread = threading.Thread(target=reader, args=(theirs, argument))
        self._thread.start()
        self._rest = b""
        self.place = ""
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._thread.join(PATIENCE)

    def line(self) -> str:
        """The text of the next line."""
        while True:
            item = self._item()
            if item["type"] == "line":
                return str(item["text"])

    def lines(self, count: int) -> list[str]:
        return [self.line() for _ in range(count)]

    def until_place(self, offset: int) -> str:
        """Wait until it is so far; the place."""
        while not self.place or int(self.place.split(":")[3]) != offset:
            self._item()
        return self.place

    def _item(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            data = self.socket.recv(65536)
            assert data, "the reader ended"
            self._rest += data
        first, self._rest = self._rest.split(b"\n", 1)
        item: dict[str, Any] = json.loads(first)
        if item["type"] == "place":
            self.place = item["at"]
        elif item["type"] == "note":
            self.notes.append(item["text"])
        return item


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


def append(path: Path, data: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def test_rotated_many_times_before_it_looks_again(path: Path) -> None:
    append(path, "0\n")
    with Following(path) as following:
        assert following.line() == "0"
        # All of this happens at once as far as the reader can tell: it is only woken when the path is there again.
        for number in range(1, 8):
            append(path, f"{number}\n")
            rotate(path, number, START + number, START + number, ".gz" if number % 2 else "")
        append(path, "8\n")
        assert following.lines(8) == [str(number) for number in range(1, 9)]
        append(path, "9\n")
        assert following.line() == "9"
        assert not following.notes


def test_a_file_that_is_compressed_while_it_is_read_on(path: Path) -> None:
    append(path, "one\n")
    with Following(path) as following:
        assert following.line() == "one"
        append(path, "two\n")
        rotate(path, 1, START, START, ".gz")
        append(path, "three\n")
        assert following.lines(2) == ["two", "three"]


def test_what_retention_removed_first_is_told(path: Path) -> None:
    append(path, "0\n")
    with Following(path) as following:
        assert following.line() == "0"
        rotate(path, 1, START, START, ".gz")
        staged = path.with_name("elsewhere")
        staged.write_text("4\n")
        rotate(staged, 4, START, START).rename(path.with_name("web.log.00000004.20261123T050000Z-20261123T050000Z"))
        append(path, "5\n")
        assert following.lines(2) == ["4", "5"]
        assert following.notes == [f"web: 2 files were removed before anybody had read it ({path})"]


def test_a_place_is_found_again_after_rotation_and_compression(path: Path) -> None:
    append(path, "one\ntwo\n")
    with Following(path) as following:
        assert following.lines(2) == ["one", "two"]
        at = following.until_place(8)
    append(path, "three\n")
    rotate(path, 1, START, START, ".gz")
    append(path, "four\n")
    rotate(path, 2, START, START)
    append(path, "five\n")
    with Following(path, at) as following:
        assert following.lines(3) == ["three", "four", "five"]


def test_who_goes_on_is_told_the_place_in_its_own_words(path: Path) -> None:
    """What was given since is counted from it, so after a rotation it must not look like another one."""
    append(path, "one\ntwo\n")
    with Following(path) as following:
        at = following.until_place(8)
    rotate(path, 1, START, START, ".gz")
    append(path, "three\n")
    with Following(path, at) as following:
        assert following.until_place(8) == at
        assert following.line() == "three"


def test_each_place_on_the_way_is_one_to_go_on_from(path: Path) -> None:
    for number in range(1, 4):
        append(path, f"{number}a\n{number}b\n")
        rotate(path, number, START, START, ".gz" if number == 2 else "")
    append(path, "4a\n4b\n")
    every = [f"{number}{letter}" for number in range(1, 5) for letter in "ab"]
    places = [item["at"] for item in ask(path, places=True) if item["type"] == "place"]
    with Following(path, places[0]) as following:
        assert following.lines(8) == every
        append(path, "5a\n")
        assert following.line() == "5a"


def test_a_batch_that_is_taken_back_and_written_again_comes_once(path: Path) -> None:
    lines = [json_line(f"{number}", START + number) for number in range(10)]
    append(path, b"".join(lines[:4]))
    size = path.stat().st_size
    with Following(path) as following:
        assert following.lines(4) == ["0", "1", "2", "3"]
        append(path, lines[4] + lines[5])
        assert following.lines(2) == ["4", "5"]
        os.truncate(path, size)  # a logger that died in the middle of a batch: its successor begins it again
        append(path, lines[4])
        append(path, b"".join(lines[5:]))
        assert following.lines(4) == ["6", "7", "8", "9"]


def test_what_was_taken_back_for_good_is_not_waited_for(path: Path) -> None:
    append(path, "x" * 40 + "\n" + "y" * 400 + "\n")
    with Following(path) as following:
        following.lines(2)
        os.truncate(path, 41)
        following.socket.settimeout(0.05)
        for number in range(400):  # fewer bytes than were there, and yet they come after a second
            if number < 40:
                append(path, f"{number}\n")
            try:
                assert following.line().isdigit()
                return
            except TimeoutError:
                continue
    raise AssertionError("nothing came")


@pytest.mark.parametrize("size", [3, 14, 15, 200_000])
def test_truncated_by_somebody_and_grown_again(path: Path, size: int) -> None:
    append(path, "one\ntwo\nthree\n")
    with Following(path) as following:
        assert following.lines(3) == ["one", "two", "three"]
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(b"x" * (size - 1) + b"\n")
        append(path, "and\n")
        texts = [following.line()]
        while texts[-1] != "and":
            texts.append(following.line())
        assert "".join(texts) == "x" * (size - 1) + "and"


def test_only_what_is_wanted_comes(path: Path) -> None:
    append(path, json_line("a 1", START, level="info") + json_line("b 2", START, level="error"))
    with Following(path, level="error", grep="b") as following:
        assert following.line() == "b 2"
        append(
            path, json_line("a 3", START, level="error") + json_line("b 4", START) + json_line("b 5", START, level=50)
        )
        assert following.line() == "b 5"


def test_a_line_comes_within_twenty_milliseconds(path: Path) -> None:
    """The median of many: a busy machine may be late now and then."""
    append(path, "first\n")
    waits = []
    with Following(path) as following:
        following.line()
        for number in range(41):
            begun = time.monotonic()
            append(path, f"{number}\n")
            assert following.line() == str(number)
            waits.append(time.monotonic() - begun)
    assert sorted(waits)[20] < 0.02


def test_hints_beside_it_are_no_news(path: Path) -> None:
    append(path, "one\n")
    with Following(path) as following:
        assert following.line() == "one"
        append(Path(path_of(str(path))), "1 0 1.0 1\n")
        append(path, "two\n")
        assert following.line() == "two"
