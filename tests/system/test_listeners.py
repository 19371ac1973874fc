"""Whom a port or a path belongs to, told from /proc."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pserv.system import listeners


def told() -> str:
    return f"pid {os.getpid()} ("


def test_each_kind_of_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as tcp6,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(path)
        for kind, sock in (("tcp", tcp), ("tcp", tcp6), ("udp", udp)):
            assert listeners.holder(f"{kind} 127.0.0.1:{sock.getsockname()[1]}").startswith(told())
        assert listeners.holder(f"unix {path}").startswith(told())


def test_a_connection_is_no_listener(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners.holder(f"tcp 127.0.0.1:{client.getsockname()[1]}") == ""
    assert listeners.holder(f"unix {tmp_path}/none") == ""
    assert listeners.holder("what is this") == ""
