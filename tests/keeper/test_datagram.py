"""Datagrams of the notify protocol as they come: real sockets, whatever is sent through them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.keeper import datagram
from pserv.keeper.datagram import Datagram


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The socket that listens, and one that is connected to it."""
    path = str(tmp_path / "notify")
    with datagram.listen(path) as ours, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.connect(path)
        yield ours, theirs


def came(ours: socket.socket) -> Datagram:
    found = datagram.receive(ours)
    assert found is not None
    found.close()
    return found


def test_nothing_waits(ends: tuple[socket.socket, socket.socket]) -> None:
    assert datagram.receive(ends[0]) is None


def test_variables_and_sender(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.send(b"READY=1\nSTATUS=a=b\nSTATUS=later\nno variable\n=nameless\n")
    one = came(ours)
    assert (one.problem, one.pid, one.uid) == ("", os.getpid(), os.getuid())
    assert one.variables == {"READY": "1", "STATUS": "a=b"}
    assert one.text == "READY=1\nSTATUS=a=b\nSTATUS=later\nno variable\n=nameless\n"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"READY=1\0", ""),
        (b"X=" + b"y" * (datagram.MOST - 2), ""),
        (b"X=" + b"y" * (datagram.MOST - 1), "longer than 4096 bytes"),
        (b"READY=1\n" + b"x" * 65_536, "longer than 4096 bytes"),
        (b"STATUS=\xff\xfe", "no UTF-8"),
        (b"READY=1\n\0STATUS=x", "no variables"),
        (b"", "no variables"),
        (b"READY", "no variables"),
        (b"\n\n", "no variables"),
    ],
)
def test_what_is_not_to_be_used(ends: tuple[socket.socket, socket.socket], data: bytes, problem: str) -> None:
    ours, theirs = ends
    theirs.send(data)
    assert came(ours).problem == problem
    assert datagram.receive(ours) is None


def test_without_credentials_it_is_not_used(tmp_path: Path) -> None:
    """A socket that was never told to ask for them, as one made elsewhere might be."""
    path = str(tmp_path / "other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            theirs.sendto(b"READY=1", path)
        assert came(ours).problem == "no credentials"


def test_descriptors_come_closed_on_exec_and_are_closed(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    socket.send_fds(theirs, [b"FDSTORE=1"], [writing] * 253)
    os.close(writing)
    one = datagram.receive(ours)
    assert one is not None
    assert len(one.fds) == 253
    assert not any(os.get_inheritable(fd) for fd in one.fds)
    assert stat.S_ISFIFO(os.fstat(one.fds[0]).st_mode)
    one.close()
    assert one.fds == []
    assert os.read(reading, 1) == b""  # no end is held any more
    os.close(reading)


def test_an_abstract_name_is_no_file(tmp_path: Path) -> None:
    name = f"@pserv-test/{os.getpid()}"
    with datagram.listen(name) as ours, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.sendto(b"READY=1", "\0" + name[1:])
        assert came(ours).variables == {"READY": "1"}
    assert os.listdir(tmp_path) == []
