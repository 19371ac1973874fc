"""Servers that are silent, drip, flood, lie or hang up, and a resolver that hangs, all asked by one daemon.

Each is told in words, restarted and stopped while it is asked, and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, ended, forks

OK = b"HTTP/1.1 200 OK\r\n"

EXPECTED = {
    "silent": "no answer within 300 ms",
    "dripping": "(only a part of an|no) answer within 300 ms",
    "stopping": "(the answer did not end|only a part of an answer|no answer) within 300 ms",
    "flooding-head": "the answer has headers of more than 16 KiB",
    "closing": "the connection was closed without an answer",
    "resetting": "the connection was closed without an answer",
    "ill": "http 500 Internal Server Error",
    "garbage": "the answer is no HTTP",
    "elsewhere": "http 302 Found",
    "refused": "connection refused at 127.0.0.1",
}
"""What is told of each server; with a machine that is slow, less may have come within the 300 ms."""
HANGS = "no answer within 300 ms"
"""What is told of a name that the resolver does not answer for."""


class Server(socketserver.ThreadingTCPServer):
    """Answers by the path that is asked for."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.over = threading.Event()


class Answers(socketserver.BaseRequestHandler):
    server: Server
    request: socket.socket

    def handle(self) -> None:
        try:
            words = self.request.recv(1 << 16).split(b" ", 2)
            if len(words) == 3:
                self.answer(words[1].decode().strip("/"))
        except ConnectionError:
            pass  # the probe has seen enough

    def answer(self, how: str) -> None:
        say = self.request.sendall
        match how:
            case "silent":
                self.server.over.wait()
            case "dripping":
                for byte in OK * 1000:
                    say(bytes([byte]))
                    if self.server.over.wait(0.02):
                        return
            case "flooding-head":
                say(OK)
                for _ in range(10_000):
                    say(b"X: " + b"x" * 100_000)
            case "flooding":
                say(OK + b"Content-Length: 1000000000\r\n\r\n")
                for _ in range(1000):
                    say(b"x" * 1_000_000)
            case "stopping":
                say(OK + b"Content-Length: 10\r\n\r\nhalf")
                self.server.over.wait()
            case "resetting":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
            case "ill":
                say(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
            case "garbage":
                say(b"\x00\xff" * 500)
            case "elsewhere":
                say(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def hanging_resolver(tmp_path: Path) -> Iterator[Sequence[str]]:
    """Words before a command line: names are resolved by a server that never answers. None where that cannot be."""
    address = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind((address, 53))
        except OSError:
            yield ()
            return
        if os.geteuid() != 0 or shutil.which("unshare") is None or not Path("/etc/resolv.conf").is_file():
            yield ()
            return
        conf = tmp_path / "resolv.conf"
        conf.write_text(f"nameserver {address}\n")
        script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        yield ["unshare", "--mount", "/bin/sh", "-c", script, "sh", str(conf)]


def declared(server: Server, refused: int, *, hanging: bool) -> dict[str, object]:
    """A service for each server, nobody listens at port `refused`; all run until they are stopped."""

    def asking(path: str, **other: object) -> object:
        http = {"port": server.server_address[1], "path": f"/{path}", "status": ["200"], **other}
        timeout = "300ms" if "host" in other or "within" in EXPECTED.get(path, "") else "20s"
        health = {"http": http, "timeout": timeout, "interval": "100ms", "failures": 1, "on_failure": "alert"}
        return {
            "command": "sleep 10000",
            "autostart": False,
            "tags": "asked",
            "ready": "file:/dev/null",
            "health": health,
        }

    services = {name: asking(name) for name in EXPECTED}
    services["refused"] = asking("", port=refused)
    services["flooding"] = asking("flooding")
    if hanging:
        services["nameless"] = asking("", host="db.example")
    return services


def test_bad_answers(tmp_path: Path, server: Server, port: int, hanging_resolver: Sequence[str]) -> None:
    expected = {**EXPECTED, "nameless": HANGS} if hanging_resolver else EXPECTED
    services = declared(server, port, hanging=bool(hanging_resolver))
    with Daemon(tmp_path, json.dumps({"services": services}), wrapper=hanging_resolver) as daemon:
        daemon.up()
        about = daemon.daemon()
        before = len(os.listdir(f"/proc/{about.supervisor_pid}/fd"))
        daemon.pserv("start", "@asked", check=0)
        first = daemon.status()
        for name, reason in expected.items():
            row = daemon.until(name, lambda row: row.health == "unhealthy")
            assert re.match(f"unhealthy: {reason}", row.reason), name
            assert row.pid == first[name].pid
        assert daemon.until("flooding", lambda row: row.health == "healthy").pid == first["flooding"].pid

        daemon.pserv("restart", "@asked", check=0)
        second = daemon.status()
        for name in services:
            assert second[name].pid not in (None, first[name].pid), name
            assert second[name].restarts == 0, name
        for name, reason in expected.items():
            row = daemon.until(name, lambda row: row.health == "unhealthy")
            assert re.match(f"unhealthy: {reason}", row.reason), name
            assert {result.run for result in daemon.story(name).service.probes["health"]} <= {
                int((each.run_id or "").rpartition("/")[2]) for each in (first[name], second[name])
            }

        daemon.pserv("stop", "@asked", check=0)
        assert len(os.listdir(f"/proc/{about.supervisor_pid}/fd")) < before + 4, "a client may be about to go"
        assert daemon.daemon().supervisor_pid == about.supervisor_pid
        for pid in set(forks(about.keeper_pid)) - {about.supervisor_pid, daemon.daemon().logger_pid}:
            until_ended(pid)  # such as who waits for the resolver: its alarm clock ends it


def until_ended(pid: int) -> None:
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended(watch)
    finally:
        os.close(watch)
