"""Sockets as targets, and what lines for syslog look like."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.logger import outlets
from pserv.logger.facts import Facts
from pserv.logger.formats import Format
from pserv.logger.settings import Settings


@pytest.fixture
def syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)  # a path that fits an address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("log")
        yield sock


def test_datagrams_are_lines_and_a_full_queue_is_no_wait(syslog: socket.socket) -> None:
    fd, write = outlets.open_socket("log")
    assert write(b"one\ntwo\n") == 4
    assert write(b"two") == 3
    assert [syslog.recv(100), syslog.recv(100)] == [b"one", b"two"]
    syslog.setblocking(False)
    with pytest.raises(BlockingIOError):
        fill(write)
    os.close(fd)


def fill(write: outlets.Write) -> None:
    for _ in range(10_000):
        write(b"x\n")


def test_a_line_that_is_too_long_for_a_datagram_is_cut(syslog: socket.socket) -> None:
    fd, write = outlets.open_socket("log")
    assert write(b"x" * 500_000 + b"\n") == 500_001
    assert syslog.recv(1 << 20) == b"x" * 8192
    os.close(fd)


def test_a_stream_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        listening.listen()
        fd, write = outlets.open_socket("sock")
        assert write(b"one\ntwo\n") == 8
        taken, _ = listening.accept()
        with taken:
            assert taken.recv(100) == b"one\ntwo\n"
        os.close(fd)


def test_nobody_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        outlets.open_socket("log")


def test_lines_for_syslog() -> None:
    format = Format(Settings({}), Facts(1, "stdout", 42, "web", True))
    first, second = b"".join(format.write(b"one\ntwo\n", 0)).decode().splitlines()
    assert first.startswith("<30>")
    assert first[4:7].isalpha()
    assert first[7:20].translate(str.maketrans("123456789", "0" * 9)).strip("0: ") == ""
    assert (first[20:], second[20:]) == ("web[42]: one", "web[42]: two")
    unborn = Format(Settings({}), Facts(1, "stdout", 0, "web", True))
    assert b"".join(unborn.write(b"x\n", 0)).endswith(b" web: x\n")


def test_lines_with_a_name() -> None:
    format = Format(Settings({}), Facts(1, "stdout", 42, "web | "))
    assert b"".join(format.write(b"one\n\ntwo\n", 0)) == b"web | one\nweb | \nweb | two\n"
    assert b"".join(format.write(b"no end", 0)) == b"web | no end\n"
    stamped = Format(Settings({"timestamps": True}), Facts(1, "stdout", 42, "web | "))
    assert b"".join(stamped.write(b"one\n", 0)) == b"web | 1970-01-01T00:00:00.000000Z one\n"
