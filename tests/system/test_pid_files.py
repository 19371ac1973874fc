"""Pid files as they are found: named, empty, garbage, a link, no file at all; and every change of them is seen."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pserv.system import pid_files

PATIENCE = 20.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"77\n", {"pid": 77}),
        (b"77", {"pid": 77}),
        (b"  77 \r\n", {"pid": 77}),
        (b"77\n/var/lib/postgresql\n1790000000\n5432\n", {"pid": 77}),  # postmaster.pid
        (b"", {"why": "it is empty"}),
        (b"\n77\n", {"why": "it is empty"}),
        (b"0\n", {"why": "it names no process: '0'"}),
        (b"1\n", {"why": "it names no process: '1'"}),
        (b"-77\n", {"why": "it names no process: '-77'"}),
        (b"9999999999\n", {"why": "it names no process: '9999999999'"}),
        (b"\xc2\xb2\n", {"why": "it names no process: '²'"}),
        (
            b"\xff\x00garbage that goes on and on and on\n",
            {"why": "it names no process: '\ufffd\\x00garbage that goes '"},
        ),
    ],
)
def test_what_it_names(text: bytes, told: dict[str, Any]) -> None:
    assert pid_files.named(text) == told


def test_only_its_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with path.open("wb") as file:
        file.write(b"77\n")
        file.truncate(1 << 40)
    assert pid_files.look(str(path), set())["pid"] == 77


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert pid_files.look(str(tmp_path / "fifo"), set()) == {"why": "it is no file"}
    assert pid_files.look(str(tmp_path), set()) == {"why": "it is no file"}
    assert pid_files.look(str(tmp_path / "none"), set()) == {"why": "there is no such file yet"}
    assert pid_files.look(str(tmp_path / "fifo" / "x"), set()) == {"why": "cannot read it: Not a directory"}


def test_links_of_strangers_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("77\n")
    link = tmp_path / "link"
    link.symlink_to("real")
    assert pid_files.look(str(link), {os.geteuid()})["pid"] == 77
    assert pid_files.look(str(link), {os.geteuid() + 1}) == {"why": "it is a link that another user made"}
    (tmp_path / "loop").symlink_to("loop")
    assert "pid" not in pid_files.look(str(tmp_path / "loop"), {os.geteuid()})


class Waiter:
    """The role at work, in a thread of the test."""

    def __init__(self, path: Path, watch: pid_files.Watch | None) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(PATIENCE)
        self._lines = self._ours.makefile("rb")
        self._thread = threading.Thread(target=pid_files.tell, args=(self._theirs, str(path), set[int](), watch))
        self._thread.start()

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def until(self, wanted: dict[str, Any]) -> None:
        """Up to this; a file that is being written may be seen half."""
        while self.told() != wanted:
            pass

    def close(self) -> None:
        self._lines.close()
        self._ours.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._theirs.close()


@pytest.fixture(params=["inotify", "looks"])
def waiter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Waiter]:
    """Of a file in a folder that has to be made first."""
    watch = pid_files.inotify() if request.param == "inotify" else None
    made = Waiter(tmp_path / "run" / "old" / "old.pid", watch)
    yield made
    made.close()


def test_each_change_is_told(waiter: Waiter, tmp_path: Path) -> None:
    path = tmp_path / "run" / "old" / "old.pid"
    missing = {"why": "there is no such file yet"}
    assert waiter.told() == missing
    path.parent.mkdir(parents=True)
    path.touch()
    waiter.until({"why": "it is empty"})
    path.write_text("77\n")
    waiter.until({"pid": 77})
    (path.parent / "new").write_text("78\n")
    (path.parent / "new").rename(path)
    waiter.until({"pid": 78})
    path.unlink()
    waiter.until(missing)
    path.parent.rmdir()
    path.parent.mkdir()
    path.write_text("79\n")
    waiter.until({"pid": 79})
    (path.parent / "same").write_text("79\n")
    (path.parent / "same").rename(path)
    assert waiter.told() == {"pid": 79}
