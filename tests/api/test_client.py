from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pserv.api.client import Client
from pserv.api.connect import unreachable
from pserv.api.operations import Act, Done, Line, Logs, Names
from pserv.api.peer import Peer
from pserv.api.server import Limits
from pserv.model.errors import (
    ExitCode,
    NoSuchService,
    PservError,
    Refused,
    Unreachable,
    UsageError,
)
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.states import State
from pserv.model.status import DaemonStatus, Outcome, Status
from tests.threaded import PATIENCE

from .serving import VERSION, Follow, Serving

STATUS = Status(DaemonStatus(version="1", name="n", keeper_pid=1, supervisor_pid=2), ())
OUTCOME = Outcome("wéb", True, State.RUNNING, "ready", 0.25, 42)


class Recorder:
    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def status(self, request: Names, _peer: Peer) -> Status:
        self.requests.append(request)
        return STATUS

    async def start(self, request: Act, _peer: Peer) -> AsyncIterator[Done]:
        self.requests.append(request)
        yield Done(True, (OUTCOME,))


class TestCalls:
    def test_typed_and_plain(self) -> None:
        recorder = Recorder()
        with Serving(status=recorder.status) as serving, Client(serving.path) as client:
            assert client.call("status", Names(("a&b", "ü"))) == STATUS
            assert client.call_raw("status", {"names": ["a&b", "ü"]})["daemon"]["supervisor_pid"] == 2
            assert client.call("status") == STATUS
            assert client.call_raw("status")["services"] == []
        assert recorder.requests == [Names(("a&b", "ü"))] * 2 + [Names()] * 2

    def test_stream_typed_and_plain(self) -> None:
        recorder = Recorder()
        request = Act(("wéb",), timeout=1.5)
        with Serving(start=recorder.start) as serving:
            client = Client(serving.path)
            assert list(client.stream("start", request)) == [Done(True, (OUTCOME,))]
            (line,) = client.stream_raw("start", {"names": ["wéb"], "timeout": 1.5})
        assert (line["type"], line["outcomes"][0]["service"], line["outcomes"][0]["after"]) == ("done", "wéb", 0.25)
        assert recorder.requests == [request] * 2

    def test_one_connection_serves_many_calls(self) -> None:
        peers = 0
        with Serving() as serving, Client(serving.path) as client:
            for _ in range(5):
                assert client.call("version") == VERSION
                peers = max(peers, serving.server.connections)
        assert peers == 1

    def test_kept_connection_that_the_server_ended_is_replaced(self) -> None:
        with Serving(limits=Limits(connections=1)) as serving:
            client, other = Client(serving.path), Client(serving.path)
            for _ in range(3):  # each takes the place of the other's idle connection
                assert client.call("version") == VERSION
                assert other.call("version") == VERSION

    def test_fifty_clients_at_once(self) -> None:
        answers = []

        def ask(path: str) -> None:
            with Client(path) as client:
                answers.append(client.call("version"))

        with Serving() as serving:
            threads = [threading.Thread(target=ask, args=(serving.path,)) for _ in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        assert answers == [VERSION] * 50


class TestStreams:
    def test_closing_tells_the_server(self) -> None:
        follow = Follow()
        with Serving(logs=follow) as serving, Client(serving.path).stream("logs", Logs(follow=True)) as stream:
            assert next(stream) == Line("web", "first")
            stream.close()
            assert follow.ended.acquire(timeout=PATIENCE)
            assert list(stream) == []

    def test_dropping_tells_the_server(self) -> None:
        follow = Follow()
        with Serving(logs=follow) as serving:
            for line in Client(serving.path).stream_raw("logs"):
                assert line["text"] == "first"
                break
            assert follow.ended.acquire(timeout=PATIENCE)

    def test_many_lines_in_one_piece(self) -> None:
        async def logs(_request: Logs, _peer: Peer) -> AsyncIterator[Any]:
            yield [Line("web", f"{number}\n") for number in range(1000)]
            yield Line("web", "last")

        with Serving(logs=logs) as serving:
            lines = list(Client(serving.path).stream("logs"))
        assert [line.text for line in lines] == [f"{number}\n" for number in range(1000)] + ["last"]

    def test_silence_beyond_what_was_asked_for(self) -> None:
        with Serving(logs=Follow()) as serving:
            stream = Client(serving.path).stream_raw("logs", timeout=0.05)
            next(stream)
            with pytest.raises(Unreachable, match=r"the daemon said nothing for 0\.05 s"):
                next(stream)


ERRORS = [
    NoSuchService("cannot find web: no such service", "pserv list"),
    Refused("cannot start web: the daemon ends"),
    UsageError("cannot stop all: say --all", "pserv stop --all"),
    InvalidConfig((Mistake("bad", "good", "pserv.yaml", 3, 4), Mistake("worse"))),
    PservError("cannot do it: disk full", "rm"),
    Unreachable("cannot ask the keeper"),
]


class TestErrorsOfTheDaemon:
    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_are_raised_as_they_were(self, error: PservError) -> None:
        async def fail(_request: Any, _peer: Peer) -> Any:
            raise error

        async def fail_late(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            yield Line("web", "a")
            raise error

        async def fail_early(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            for _ in ():
                yield Line("web", "a")
            raise error

        with Serving(status=fail, logs=fail_late, events=fail_early) as serving, Client(serving.path) as client:
            calls: list[Callable[[], Any]] = [
                lambda: client.call("status"),
                lambda: client.call_raw("status"),
                lambda: list(client.stream("logs")),
                lambda: list(client.stream_raw("logs")),
                lambda: list(client.stream_raw("events")),
            ]
            for call in calls:
                with pytest.raises(PservError) as raised:
                    call()
                told = raised.value
                assert type(told) is type(error)
                assert (told.message, told.hint, told.exit_code) == (error.message, error.hint, error.exit_code)
                assert getattr(told, "mistakes", ()) == getattr(error, "mistakes", ())

    def test_exit_code_of_one_error_is_kept(self) -> None:
        async def fail(_request: Any, _peer: Peer) -> Any:
            error = Refused("cannot run web: it is stopped")
            error.exit_code = ExitCode.STOPPED
            raise error

        with Serving(status=fail) as serving, Client(serving.path) as client, pytest.raises(Refused) as raised:
            client.call_raw("status")
        assert raised.value.exit_code is ExitCode.STOPPED

    def test_refused_connection_is_read_though_sending_failed(self) -> None:
        huge = {"names": ["x" * 1000] * 3000}
        with Serving() as serving, pytest.raises(UsageError, match="cannot take a body of"):
            list(Client(serving.path).stream_raw("start", huge))


@contextmanager
def canned(*replies: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives one of these on each connection after it read something; and what it read."""
    read: list[bytes] = []
    with Serving() as serving, socket.socket(socket.AF_UNIX) as listening:
        path = os.path.join(serving.folder, "canned")
        listening.bind(path)
        listening.listen(8)

        def answer() -> None:
            for reply in replies:
                with listening.accept()[0] as sock:
                    read.append(sock.recv(65536))
                    sock.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        yield path, read
        thread.join(PATIENCE)


OK = b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"


class TestRepliesThatAreNone:
    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n{}", "went away in the middle"),
            (b"HTTP/1.1 200 \r\nConte", "went away in the middle"),
            (STREAM + b"5\r\n{}", "went away in the middle"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP/1.1 status line"),
            (b"HTTP/1.1 200 \r\n\r\n{}", "a bad length"),
            (b"HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n{}", "a bad length"),
            (b"HTTP/1.1 200 \r\nContent-Length: 1_0\r\n\r\n{}", "a bad length"),
            (b"HTTP/1.1 200 \r\nContent-Length: 999999999999\r\n\r\n{}", "a length beyond all reason"),
            (b"HTTP/1.1 200 \r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "a bad header"),
            (b"HTTP/1.1 200 \r\nContent-Length : 2\r\n\r\n{}", "a bad header"),
            (b"HTTP/1.1 200 \r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", "length is unclear"),
            (b"HTTP/1.1 200 \r\nTransfer-Encoding: gzip\r\n\r\n{}", "length is unclear"),
            (STREAM + b"0x2\r\n{}\r\n0\r\n\r\n", "a bad length"),
            (STREAM + b"2\r\n{}xx0\r\n\r\n", "a chunk does not end where it should"),
            (STREAM + b"1" * 5000, "too long"),
            (b"HTTP/1.1 200 \r\nX: " + b"x" * 30_000, "too long"),
            (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n{", "cannot understand what answers"),
            (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n\xff", "cannot understand what answers"),
        ],
    )
    def test_call(self, reply: bytes, words: str) -> None:
        with canned(reply) as (path, _read), pytest.raises(Unreachable, match=words) as raised:
            Client(path).call_raw("version")
        assert raised.value.hint

    @pytest.mark.parametrize(
        ("chunk", "words"),
        [
            (b"", "went away in the middle"),
            (b"3\r\n{}\n\r\n", "went away in the middle"),
            (b"2\r\n{}\r\n", "a line without an end"),
            (b"2\r\n{\n\r\n", "cannot understand"),
            (b"Z\r\n", "a bad length"),
        ],
    )
    def test_stream(self, chunk: bytes, words: str) -> None:
        with canned(STREAM + chunk) as (path, _read), pytest.raises(Unreachable, match=words):
            list(Client(path).stream_raw("logs"))

    def test_error_of_another_shape(self) -> None:
        for body in (b"<html>", b"[]", b'{"message": 1}'):
            reply = b"HTTP/1.1 502 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            with canned(reply) as (path, _read), pytest.raises(PservError, match="its error has another shape"):
                Client(path).call_raw("version")

    def test_what_may_be_asked_twice_is(self) -> None:
        with canned(b"", OK) as (path, read):
            assert Client(path).call_raw("version") == {}
        assert read[0] == read[1]
        with canned(b"", b"") as (path, _), pytest.raises(Unreachable, match="without an answer"):
            Client(path).call_raw("version")

    def test_what_acts_is_asked_once(self) -> None:
        with canned(b"") as (path, read), pytest.raises(Unreachable, match="without an answer"):
            Client(path).call_raw("signal", {"signal": 1})
        assert len(read) == 1

    def test_what_acts_never_goes_out_on_a_kept_connection(self) -> None:
        with canned(OK, OK) as (path, read), Client(path) as client:
            client.call_raw("version")
            client.call_raw("signal", {"signal": 1})
        assert [data[:4] for data in read] == [b"GET ", b"POST"]

    def test_reply_that_does_not_come(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening, Serving() as serving:
            path = os.path.join(serving.folder, "silent")
            listening.bind(path)
            listening.listen()
            with pytest.raises(Unreachable, match=r"said nothing for 0\.05 s"):
                Client(path).call_raw("version", timeout=0.05)


class TestNoDaemon:
    def unreachable(self, path: str, **options: Any) -> Unreachable:
        with pytest.raises(Unreachable) as raised:
            Client(path, **options).call_raw("version")
        assert raised.value.exit_code is ExitCode.UNREACHABLE
        with pytest.raises(Unreachable):
            Client(path, **options).stream_raw("logs")
        return raised.value

    def test_missing(self, tmp_path: Path) -> None:
        error = self.unreachable(f"{tmp_path}/s")
        assert (error.message, error.hint) == (
            f"cannot reach the daemon: none runs here, there is no {tmp_path}/s",
            "pserv up",
        )

    def test_stale(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{tmp_path}/s")
        assert "nobody listens" in self.unreachable(f"{tmp_path}/s").message

    def test_no_socket(self, tmp_path: Path) -> None:
        (tmp_path / "s").touch()
        assert "is no socket" in self.unreachable(f"{tmp_path}/s").message

    def test_too_long(self, tmp_path: Path) -> None:
        error = self.unreachable(f"{tmp_path}/{'s' * 120}")
        assert "107 is the limit" in error.message
        assert "PSERV_SOCKET" in error.hint

    def test_does_not_accept(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
            listening.bind(f"{tmp_path}/s")
            listening.listen(0)
            first.connect(f"{tmp_path}/s")
            error = self.unreachable(f"{tmp_path}/s", connect_timeout=0.05)
        assert "did not take the connection within 0.05 s" in error.message

    def test_no_permission(self, tmp_path: Path) -> None:
        error = unreachable(f"{tmp_path}/s", PermissionError(errno.EACCES, "no"), 5)
        if os.getuid() == 0:
            assert (error.message.endswith("belongs to root: no permission"), error.hint) == (True, "sudo pserv ...")
        assert error.exit_code is ExitCode.UNREACHABLE


AS_NOBODY = """
import os, sys
from pserv.api import client, connect, failures, operations
import pwd, stat
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(client.Client(sys.argv[1]).call_raw("version"))
except failures.PservError as error:
    print(type(error).__name__, int(error.exit_code), error.message, error.hint, sep="|")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
class TestForeignUser:
    def ask(self, path: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, path], capture_output=True, text=True, check=True)
        return done.stdout.strip().split("|")

    def test_is_refused_by_the_server_where_the_file_system_lets_in(self) -> None:
        with Serving() as serving:
            os.chmod(serving.folder, 0o755)
            os.chmod(serving.path, 0o666)
            kind, code, message, _hint = self.ask(serving.path)
        assert (kind, code) == ("Unreachable", "5")
        assert message == "cannot use this daemon: uid 65534 is not the daemon's user"

    def test_is_told_whose_the_socket_is(self) -> None:
        with Serving() as serving:
            os.chmod(serving.folder, 0o755)
            os.chmod(serving.path, 0o600)
            assert self.ask(serving.path)[2:] == [
                f"cannot reach the daemon: {serving.path} belongs to root: no permission",
                "sudo pserv ...",
            ]
            os.chmod(serving.folder, 0o700)
            assert self.ask(serving.path)[3] == "sudo pserv ..."


def test_common_path_imports_next_to_nothing() -> None:
    code = "import sys; old = set(sys.modules); import pserv.api.client; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if not name.startswith("pserv")}
    assert foreign <= {"__future__", "_json", "errno", "struct", "_struct", "_socket"}


def test_calls_import_nothing_more() -> None:
    code = """
import sys
from pserv.api.client import Client
old = set(sys.modules)
client = Client(sys.argv[1])
client.call_raw("version")
list(client.stream_raw("start", {"names": ["web"]}))
print(*sorted(set(sys.modules) - old))
"""
    with Serving(start=Recorder().start) as serving:
        command = [sys.executable, "-P", "-c", code, serving.path]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
