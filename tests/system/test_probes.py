"""One question of each kind to servers and files of every sort: a success, or a reason that a person understands."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pserv.keeper.loop import READ
from pserv.model.errors import PservError
from pserv.model.probe import File, Http, Probe, Unix
from pserv.system.printed import Printed
from pserv.system.probes import Asker, Failed
from pserv.system.streams import send_all
from pserv.system.tasks import Tasks
from tests.system.archives import START, hint, rotate

ASKER = """
import socket, sys
from pserv.system.asking import asker
asker(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
"""

Serve = Callable[[Tasks, socket.socket], Awaitable[None]]
"""What a pretend server does with one connection."""


def fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


async def no_fork(argument: str) -> socket.socket:
    raise PservError(f"cannot fork for {argument}")


class Forks:
    """Askers as processes of their own, as the keeper would fork them."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.arguments: list[str] = []

    async def fork(self, argument: str) -> socket.socket:
        self.arguments.append(argument)
        ours, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-c", ASKER, str(theirs.fileno()), argument]
            self.processes.append(subprocess.Popen(argv, pass_fds=[theirs.fileno()]))
        return ours


@pytest.fixture
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    for process in forks.processes:
        process.kill()
        process.wait()


@contextmanager
def listening(*, backlog: int = 8) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)
        yield sock, sock.getsockname()[1]


def asked(serve: Serve, limit: float = 20.0, **options: Any) -> str:
    """What an http probe says of a server that does this. Raises Failed."""
    tasks = Tasks(fail)

    async def main(sock: socket.socket, port: int) -> str:
        sock.setblocking(False)

        async def server() -> None:
            await tasks.ready(READ, sock.fileno())
            connection, _ = sock.accept()
            with connection:
                connection.setblocking(False)
                try:
                    await serve(tasks, connection)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the probe has seen enough

        tasks.spawn(server())
        return await Asker(tasks, no_fork).http(Http(port=port, **options), limit)

    with listening() as (sock, port):
        return tasks.run(main(sock, port))


def saying(data: bytes) -> Serve:
    async def serve(tasks: Tasks, connection: socket.socket) -> None:
        await tasks.ready(READ, connection.fileno())
        connection.recv(1 << 16)
        await send_all(tasks, connection, data)

    return serve


async def silent(tasks: Tasks, connection: socket.socket) -> None:
    await tasks.sleep(3600)


async def dripping(tasks: Tasks, connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nA: " + b"x" * 10_000:
        await send_all(tasks, connection, bytes([byte]))
        await tasks.sleep(0.01)


async def unending(tasks: Tasks, connection: socket.socket) -> None:
    await send_all(tasks, connection, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        await send_all(tasks, connection, b"x" * 1_000_000)


async def stopping_within(tasks: Tasks, connection: socket.socket) -> None:
    await send_all(tasks, connection, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await tasks.sleep(3600)


class TestHttp:
    def test_success(self) -> None:
        assert asked(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) == "http 204 No Content"

    def test_a_body_of_a_gigabyte_is_not_waited_for(self) -> None:
        assert asked(unending) == "http 200 OK"

    @pytest.mark.parametrize(
        ("serve", "limit", "reason"),
        [
            (saying(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"), 20.0, "http 500 Internal Server Error"),
            (saying(b"\x00\x01\x02\x03"), 20.0, r"the answer is no HTTP: '\x00\x01\x02\x03'"),
            (saying(b""), 20.0, "the connection was closed without an answer"),
            (silent, 0.1, "no answer within 100 ms"),
            (dripping, 0.2, "only a part of an answer within 200 ms"),
            (stopping_within, 0.1, "the answer did not end within 100 ms"),
        ],
    )
    def test_reasons(self, serve: Serve, limit: float, reason: str) -> None:
        with pytest.raises(Failed) as failed:
            asked(serve, limit)
        assert str(failed.value) == reason

    def test_a_redirect_is_an_answer_and_not_followed(self) -> None:
        moved = saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
        assert asked(moved) == "http 302 Found"
        with pytest.raises(Failed, match=r"^http 302 Found$"):
            asked(moved, status=("200-299",))

    def test_the_request_is_as_declared(self) -> None:
        heard = b""

        async def serve(tasks: Tasks, connection: socket.socket) -> None:
            nonlocal heard
            await tasks.ready(READ, connection.fileno())
            heard = connection.recv(1 << 16)
            await send_all(tasks, connection, b"HTTP/1.1 200 OK\r\n\r\nyes")

        asked(serve, method="POST", path="/a?b", headers={"X-Token": "t"}, body="yes", host="localhost")
        assert re.fullmatch(rb"POST /a\?b HTTP/1.1\r\nHost: localhost:[0-9]+\r\n(.+\r\n)+X-Token: t\r\n\r\n", heard)


def ask(question: Callable[[Asker], Awaitable[str]], fork: Any = no_fork) -> str:
    """Raises Failed."""
    tasks = Tasks(fail)

    async def main() -> str:
        asker = Asker(tasks, fork)
        try:
            return await question(asker)
        finally:
            asker.close()

    return tasks.run(main())


class TestConnections:
    def test_tcp(self) -> None:
        with listening() as (_, port):
            assert ask(lambda asker: asker.tcp("127.0.0.1", port, 20)) == f"127.0.0.1:{port} accepts"
            assert ask(lambda asker: asker.tcp("localhost", port, 20)) == f"localhost:{port} accepts"

    def test_refused(self) -> None:
        with listening() as (_, port):
            pass
        with pytest.raises(Failed, match=f"^connection refused at 127.0.0.1:{port}$"):
            ask(lambda asker: asker.tcp("localhost", port, 20))

    def test_a_full_queue(self) -> None:
        with (
            listening(backlog=0) as (_, port),
            socket.create_connection(("127.0.0.1", port)),
            pytest.raises(Failed, match=f"^no connection to 127.0.0.1:{port} within 100 ms$"),
        ):
            ask(lambda asker: asker.tcp("127.0.0.1", port, 0.1))

    def test_a_name_without_address(self, forks: Forks) -> None:
        with pytest.raises(Failed, match=r"^cannot resolve no\.such\.invalid: |^no answer within"):
            ask(lambda asker: asker.tcp("no.such.invalid", 80, 20), forks.fork)

    def test_a_resolver_that_hangs(self) -> None:
        """The fork does not answer: the probe goes on, and asks no second one while the first lives."""
        pairs: list[tuple[socket.socket, socket.socket]] = []

        async def fork(argument: str) -> socket.socket:
            pairs.append(socket.socketpair())
            return pairs[-1][0]

        tasks = Tasks(fail)

        async def main() -> list[str]:
            asker, reasons = Asker(tasks, fork), []
            for limit in (0.05, 20.0, 0.05):
                try:
                    await asker.tcp("db.example", 80, limit)
                except Failed as failed:
                    reasons.append(str(failed))
                if len(reasons) == 2:
                    pairs[0][1].close()
            asker.close()
            return reasons

        hangs = "the last question still hangs in the kernel: a disk or server that does not answer"
        assert tasks.run(main()) == ["no answer within 50 ms", hangs, "no answer within 50 ms"]
        assert len(pairs) == 2
        pairs[1][1].close()

    def test_https(self, forks: Forks, tmp_path: Path) -> None:
        """Its own certificate is refused, and taken with `verify: false`."""
        key, cert = tmp_path / "key", tmp_path / "cert"
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
            capture_output=True, check=False,
        )  # fmt: skip
        if made.returncode:
            pytest.skip("openssl makes no certificate here")
        server = (
            "import http.server, ssl, sys; context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
            f"context.load_cert_chain({str(cert)!r}, {str(key)!r}); "
            "http = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler); "
            "http.socket = context.wrap_socket(http.socket, server_side=True); "
            "print(http.server_port, flush=True); http.serve_forever()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path
        ) as process:
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline())
                http = Http(port=port, host="localhost", scheme="https")
                with pytest.raises(Failed, match=r"^the certificate is not accepted: self.signed certificate$"):
                    ask(lambda asker: asker.http(http, 20), forks.fork)
                trusting = Http(port=port, host="localhost", scheme="https", verify=False)
                assert ask(lambda asker: asker.http(trusting, 20), forks.fork) == "http 200 OK"
            finally:
                process.kill()


class TestPaths:
    def test_files(self, forks: Forks, tmp_path: Path) -> None:
        path = tmp_path / "here"
        with pytest.raises(Failed, match=f"^there is no {path}$"):
            ask(lambda asker: asker.path(Probe(file=File(str(path))), 20), forks.fork)
        path.touch()
        assert ask(lambda asker: asker.path(Probe(file=File(str(path), 60)), 20), forks.fork).startswith(f"{path} was")
        os.utime(path, (0, 0))
        with pytest.raises(Failed, match=r"was written [0-9.]+ s ago$"):
            ask(lambda asker: asker.path(Probe(file=File(str(path), 60)), 20), forks.fork)

    def test_unix_sockets(self, forks: Forks, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        probe = Probe(unix=Unix(path))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
            with pytest.raises(Failed, match=f"^connection refused at {path}$"):
                ask(lambda asker: asker.path(probe, 20), forks.fork)
            sock.listen()
            assert ask(lambda asker: asker.path(probe, 20), forks.fork) == f"{path} accepts"


class TestLogs:
    def test_lines_of_this_run_only(self, forks: Forks, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_text("listening\nbegun\nlisten")
        tasks = Tasks(fail)

        async def main() -> list[str]:
            asker, told = Asker(tasks, forks.fork), []
            for start, more in ((-1, ""), (10, "ing\nlistening"), (10, " on 80\n"), (10, "")):
                with path.open("a") as file:
                    file.write(more)
                try:
                    told.append(await asker.log("^listening on", 7, [Printed(3, str(path), start)], 20))
                except Failed as failed:
                    told.append(str(failed))
            asker.close()
            return told

        nothing, found = "no line matches '^listening on' yet", "printed 'listening on 80'"
        assert tasks.run(main()) == ["nothing was printed yet", nothing, found, found]
        files = [json.loads(argument)["files"][0] for argument in forks.arguments]
        assert [file["start"] for file in files] == [10, 10]
        assert [file["after"].split(":")[3:4] for file in files] == [[], ["26"]]

    def test_a_rotation_between_two_questions(self, forks: Forks, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        path.write_text("begun\n")
        tasks = Tasks(fail)

        async def main() -> str:
            asker = Asker(tasks, forks.fork)
            with pytest.raises(Failed):
                await asker.log("^listening on", 7, [Printed(3, str(path), 0)], 20)
            with path.open("a") as file:
                file.write("listening on 80\n")
            rotate(path, 1, START, START, ".gz")
            path.write_text("a first request\n")
            told = await asker.log("^listening on", 7, [Printed(3, str(path), 0)], 20)
            asker.close()
            return told

        assert tasks.run(main()) == "printed 'listening on 80'"

    def test_a_rotation_before_the_first_question(self, forks: Forks, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        path.write_text("listening on 1\nlistening on 80\n")
        hint(path, (1, 0, START, 6), (1, 15, START + 1, 7))
        rotate(path, 1, START, START)
        path.write_text("a first request\n")
        told = ask(lambda asker: asker.log("^listening on", 7, [Printed(3, str(path), 0)], 20), forks.fork)
        assert told == "printed 'listening on 80'"

    def test_an_expression_that_takes_for_ever(self, forks: Forks, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_text("a" * 60 + "!\n")
        with pytest.raises(Failed, match=r"^no answer within 500 ms$"):
            ask(lambda asker: asker.log("(a+)+$", 7, [Printed(3, str(path), 0)], 0.5), forks.fork)
        assert forks.processes[0].wait() == -14  # its alarm clock ended it


def test_what_the_keeper_refuses_says_nothing_of_the_service() -> None:
    with pytest.raises(PservError, match=r"^cannot fork for"):
        ask(lambda asker: asker.path(Probe(file=File("/x")), 20))


def test_a_question_given_up_leaves_no_descriptor() -> None:
    tasks = Tasks(fail)

    async def main() -> None:
        with listening() as (_, port):
            before = os.listdir("/proc/self/fd")
            task = tasks.spawn(Asker(tasks, no_fork).http(Http(port=port), 20))
            for _ in range(5):
                await tasks.sleep(0)
            assert len(os.listdir("/proc/self/fd")) == len(before) + 1
            task.cancel()
            await tasks.wait(task, 20)
            assert os.listdir("/proc/self/fd") == before

    tasks.run(main())
