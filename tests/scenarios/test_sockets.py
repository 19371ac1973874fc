"""Listening sockets and real services: held while nothing runs, handed on, lazy; nobody who connects is refused."""

from __future__ import annotations

import json
import os
import socket
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import PATIENCE, Daemon, python

_ARGV = python("""
import os, socket, sys
assert os.environ["LISTEN_PID"] == str(os.getpid())
names = os.environ["LISTEN_FDNAMES"].split(":")
socks = {name: socket.socket(fileno=3 + number) for number, name in enumerate(names)}
while True:
    peer, _ = socks["http"].accept()
    with peer:
        asked = peer.recv(100).decode()
        peer.sendall(f"{os.getpid()} {':'.join(names)}".encode())
    if asked == "end":
        sys.exit(0)
    if asked == "crash":
        sys.exit(1)
""")
SERVER = json.dumps(_ARGV)
"""Serves one connection after the other; what it is sent ends it."""


def ask(port: int, what: str = "who") -> list[str]:
    """What the service answers: its pid, and the names of its sockets."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(what.encode())
        return sock.makefile().read().split()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def closed(daemon: Daemon, port: int) -> bool:
    """Nobody listens once the keeper has answered, which it does when it has done what it was told before."""
    daemon.daemon()
    return not listens(port)


def declare(*services: str) -> str:
    return "\n".join(["services:", *(f"  {line}" for line in services)])


def waits(row: ServiceStatus) -> bool:
    return row.state.value == "waiting" and "waits for a connection" in row.reason


def test_open_from_the_first_start_until_it_is_stopped(tmp_path: Path, port: int) -> None:
    """Over restarts, a crash, a dead supervisor and a reload that changes another socket; closed by a stop."""
    web = f"web: {{command: {SERVER}, sockets: {{http: '127.0.0.1:{port}'%s}}, restart: always}}"
    with Daemon(tmp_path, declare(web % "")) as daemon:
        daemon.up()
        first = daemon.pid("web")
        assert ask(port) == [str(first), "http"]
        assert f"http: tcp 127.0.0.1:{port}" in daemon.pserv("status", "web", check=0).stdout
        assert ask(port, "crash")[0] == str(first)
        second = ask(port)[0]
        assert second != str(first)
        daemon.kill_supervisor()
        daemon.pserv("restart", "web", check=0)
        third = ask(port)[0]
        assert third != second
        daemon.write(declare(web % ", admin: './admin.sock'"))
        done = daemon.pserv("reload", check=0)
        assert "sockets" in done.stdout
        assert ask(port)[1] == "http:admin"
        assert (tmp_path / "admin.sock").is_socket()
        daemon.write(declare(web % ""))
        daemon.pserv("reload", check=0)
        assert ask(port)[1] == "http"
        assert not (tmp_path / "admin.sock").exists()
        daemon.pserv("stop", "web", check=0)
        assert closed(daemon, port)


STOPS_SLOWLY = """
import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with socket.socket(fileno=3) as sock:
    peer, _ = sock.accept()
    with peer:
        peer.sendall(b"late")
    signal.sigwait([signal.SIGTERM])
open(sys.argv[1], "w").close()
open(sys.argv[1]).close()
"""


def test_clients_queue_from_the_start_and_are_refused_from_the_stop(tmp_path: Path, port: int) -> None:
    """Open while it waits for what it needs, and while hooks run; a stop keeps nobody waiting who is not served."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        declared = {
            "db": {"command": "sleep 1000", "ready": f"file:{tmp_path}/go"},
            "web": {
                "command": [*python(STOPS_SLOWLY), str(gate)],
                "sockets": f"127.0.0.1:{port}",
                "depends_on": ["db"],
                "hooks": {"pre_start": {"shell": f"cat {gate}"}},
            },
            "other": {"command": "sleep 1000", "sockets": f"127.0.0.1:{taken}", "depends_on": ["db"]},
        }
        with Daemon(tmp_path, json.dumps({"services": declared})) as daemon:
            daemon.up("--no-wait")
            daemon.until_state("web", "waiting")
            waiting = socket.create_connection(("127.0.0.1", port), PATIENCE)
            told = f"cannot listen on tcp 127.0.0.1:{taken} yet: Address already in use: pid "
            daemon.until("other", lambda row: any(told in each.reason for each in daemon.story("other").history))
            (tmp_path / "go").touch()
            gate.open("w").close()
            assert waiting.makefile().read() == "late"
            waiting.close()
            stops = daemon.start("stop", "web")
            gate.open().close()  # it has closed its own
            assert daemon.status()["web"].state.value == "stopping"
            assert closed(daemon, port)
            gate.open("w").close()
            assert stops.wait(PATIENCE) == 0
            stops.communicate()
        assert not listens(port)


def test_a_failed_start_says_who_has_the_port(tmp_path: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        web = f"web: {{command: {SERVER}, sockets: '127.0.0.1:{taken}', max_retries: 0}}"
        with Daemon(tmp_path, declare(web)) as daemon:
            daemon.up(check=1)
            reason = daemon.status()["web"].reason
            told = f"cannot listen on tcp 127.0.0.1:{taken}: Address already in use: pid {os.getpid()} ("
            assert told in reason


def test_lazy(tmp_path: Path, port: int) -> None:
    """Waits, is started by the first connection, serves it, and waits again; a dependent need not wait for it."""
    web = f"web: {{command: {SERVER}, sockets: {{http: '127.0.0.1:{port}'}}, lazy: true}}"
    front = "front: {command: sleep 1000, depends_on: [web]}"
    with Daemon(tmp_path, declare(web, front)) as daemon:
        up = daemon.up()
        assert "web: waiting" in up.stdout
        row = daemon.status()["web"]
        assert waits(row), row.reason
        assert f"waits for a connection on tcp 127.0.0.1:{port}" in row.reason
        assert daemon.status()["front"].state.value == "running"
        assert "the first connection starts it" in daemon.pserv("why", "web", check=0).stdout
        daemon.kill_supervisor()
        pid = int(ask(port)[0])
        row = daemon.until_state("web", "running")
        assert row.pid == pid
        assert f"connection on http (tcp 127.0.0.1:{port})" in row.reason
        ask(port, "end")
        daemon.until("web", waits)
        second = int(ask(port)[0])
        assert second != pid
        daemon.pserv("restart", "web", check=0)
        assert daemon.pid("web") != second
        ask(port, "end")
        daemon.until("web", waits)
        daemon.pserv("restart", "web", check=0)
        assert daemon.status()["web"].state.value == "running"
        daemon.pserv("stop", "web", check=0)
        assert closed(daemon, port)
        daemon.pserv("start", "web", check=0)
        assert waits(daemon.status()["web"])


def test_one_that_never_accepts_is_given_up(tmp_path: Path, port: int) -> None:
    web = (
        f"web: {{command: 'true', sockets: {{http: '127.0.0.1:{port}'}}, lazy: true, max_retries: 1, "
        "backoff: {initial: 100ms}}"
    )
    with Daemon(tmp_path, declare(web)) as daemon:
        daemon.up()
        with socket.create_connection(("127.0.0.1", port), PATIENCE):
            row = daemon.until_state("web", "failed")
        assert "gave up: started 22 times in a row by a connection and ended at once" in row.reason
        assert closed(daemon, port)


def test_instances_share_it_or_have_their_own(tmp_path: Path, port: int) -> None:
    web = f"web: {{command: {SERVER}, instances: 2, sockets: {{http: '127.0.0.1:{port}'}}}}"
    own = f"own: {{command: {SERVER}, instances: 2, sockets: {{http: './own.${{pserv.instance}}.sock'}}}}"
    with Daemon(tmp_path, declare(web, own)) as daemon:
        daemon.up()
        pids = {daemon.pid("web:1"), daemon.pid("web:2")}
        assert int(ask(port)[0]) in pids
        daemon.pserv("stop", "web:1", check=0)
        assert int(ask(port)[0]) == daemon.pid("web:2")
        assert sorted(path.name for path in tmp_path.glob("own.*")) == ["own.1.sock", "own.2.sock"]
        daemon.pserv("down", check=0)
        assert not listens(port)
        assert not list(tmp_path.glob("own.*"))


def test_a_service_that_takes_over_a_socket_by_reload_loses_no_connection(tmp_path: Path, port: int) -> None:
    sockets = f"sockets: {{http: '127.0.0.1:{port}'}}"
    with Daemon(tmp_path, declare(f"old: {{command: sleep 1000, {sockets}}}")) as daemon:
        daemon.up()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as waiting:
            waiting.sendall(b"who")
            daemon.write(declare(f"new: {{command: {SERVER}, {sockets}}}"))
            daemon.pserv("reload", check=0)
            assert waiting.makefile().read().split()[0] == str(daemon.pid("new"))


def test_systemds_own_client_finds_them(tmp_path: Path, port: int) -> None:
    """libsystemd itself, where it is installed: LISTEN_PID, LISTEN_FDNAMES, and what kind of sockets they are."""
    library = find_library("systemd")
    if library is None:
        pytest.skip("libsystemd is not installed")
    code = f"""
import ctypes, socket
lib = ctypes.CDLL({library!r})
names = ctypes.POINTER(ctypes.c_char_p)()
count = lib.sd_listen_fds_with_names(1, ctypes.byref(names))
kinds = [lib.sd_is_socket_inet(3 + n, 0, socket.SOCK_STREAM, 1, 0) for n in range(count)]
print("found", [names[n].decode() for n in range(count)], kinds, flush=True)
"""
    argv = json.dumps([sys.executable, "-c", code])
    web = f"web: {{command: {argv}, sockets: {{http: '127.0.0.1:{port}', b: './b.sock'}}}}"
    with Daemon(tmp_path, declare(web)) as daemon:
        daemon.up(check=None)
        assert daemon.until_line("web", "found") == "found ['http', 'b'] [1, 0]"
