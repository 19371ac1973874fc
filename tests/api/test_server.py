from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from pserv.api.operations import OPERATIONS, Act, Done, Line, Logs, Names, Wait
from pserv.api.peer import Access, Peer
from pserv.api.server import Limits, Server
from pserv.model.errors import NoSuchService, PservError, Refused, UsageError
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.system.futures import Event
from pserv.system.tasks import Tasks
from tests.threaded import PATIENCE

from .serving import (
    VERSION,
    Follow,
    Serving,
    error_of,
    everything,
    get,
    post,
    read_reply,
    refuse,
    status_of,
    take,
    version,
)

CLOSE = "Connection: close"


@pytest.fixture
def serving() -> Iterator[Serving]:
    with Serving() as running:
        yield running


def lines_of(reply: bytes) -> list[Any]:
    """The objects of a chunked NDJSON reply."""
    items, rest = [], reply.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        items += [json.loads(line) for line in rest[: int(size, 16)].splitlines()]
        rest = rest[int(size, 16) + 2 :]
    return items


BAD: list[tuple[bytes, int, str]] = [
    (get("/v1/statsu", CLOSE), 404, "did you mean /v1/status"),
    (get("/", CLOSE), 404, "there is no such path"),
    (get("/v1/status/__class__", CLOSE), 404, "no such path"),
    (get("/v1/../v1/status", CLOSE), 404, "no such path"),
    (get("/v1/start", CLOSE), 405, "use POST"),
    (post("/v1/status", b"{}", CLOSE), 405, "use GET"),
    (get("/v1/status?nmaes=a", CLOSE), 400, "unknown field `nmaes`"),
    (get("/v1/logs?lines=many", CLOSE), 400, "$.lines"),
    (get("/v1/logs?lines=1&lines=2", CLOSE), 400, "`lines` is given 2 times"),
    (get("/v1/status?names=%zz", CLOSE), 400, "bad escape %zz"),
    (get("/v1/status?names=%ff", CLOSE), 400, "utf-8"),
    (post("/v1/start?names=a", b"{}", CLOSE), 400, "no query parameters"),
    (post("/v1/start", b"{", CLOSE), 400, "truncated"),
    (post("/v1/start", b"\xff", CLOSE), 400, "JSON is malformed"),
    (post("/v1/start", b"[]", CLOSE), 400, "Expected `object`"),
    (post("/v1/start", b'{"names": "web"}', CLOSE), 400, "$.names"),
    (post("/v1/start", b'{"wait": 1}', CLOSE), 400, "$.wait"),
    (post("/v1/start", b'{"names": %s' % (b"[" * 100_000), CLOSE), 400, "$.names"),
    (post("/v1/signal", b"{}", CLOSE), 400, "takes: signal, names, all, group"),
    (b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 400, "no body"),
    (b"DELETE /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "use GET"),
    (b"CONNECT /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "use GET"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "cannot read this as HTTP/1.1"),
    (b"GET /v1/status\r\n\r\n", 400, "cannot read this as HTTP/1.1"),
    (b"GET /v1/status HTTP/1.1\r\n\r\n", 400, "Host"),
    (get("/v1/status", "Transfer-Encoding: gzip"), 501, "Transfer-Encoding"),
    (get("/v1/status", "X: " + "x" * 50_000), 431, "too long"),
    (post("/v1/start", b"", "Content-Length: 7"), 400, "Content-Length"),
    (b"POST /v1/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", 413, "at most 1048576"),
]


class TestRequests:
    def test_connection_is_kept_and_carries_one_request_after_the_other(self, serving: Serving) -> None:
        with serving.connect() as sock:
            for _ in range(3):
                sock.sendall(get("/v1/version"))
                assert read_reply(sock) == (200, {"pserv": "1", "python": "3", "protocol": 1, "keeper": "1"})
            assert serving.server.connections == 1

    def test_pipelined_requests_are_answered_in_order(self, serving: Serving) -> None:
        requests = [get("/v1/version"), get("/v1/nothing"), post("/v1/signal", b'{"signal": 1}'), get("/v1/version")]
        with serving.connect() as sock:
            sock.sendall(b"".join(requests))
            assert [read_reply(sock)[0] for _ in requests] == [200, 404, 409, 200]

    def test_more_pipelined_than_fits_ahead(self) -> None:
        with Serving(limits=Limits(ahead=100)) as serving, serving.connect() as sock:
            count = 2000
            sender = threading.Thread(target=sock.sendall, args=(get("/v1/version") * count,))
            sender.start()
            assert [read_reply(sock)[0] for _ in range(count)] == [200] * count
            sender.join(PATIENCE)

    def test_a_request_may_come_byte_by_byte(self, serving: Serving) -> None:
        with serving.connect() as sock:
            for byte in post("/v1/signal", b'{"signal": 15, "names": ["web"]}'):
                sock.sendall(bytes([byte]))
            assert read_reply(sock)[0] == 409

    @pytest.mark.parametrize(
        ("name", "request_bytes", "expected"),
        [
            ("status", get("/v1/status"), Names()),
            ("status", get("/v1/status?names=a&names=%40b+c%C3%A9"), Names(("a", "@b cé"))),
            ("logs", get("/v1/logs?follow=true&lines=5&stream=stderr"), Logs(lines=5, follow=True, stream="stderr")),
            ("logs", get("/v1/logs?follow=false&names=web:1"), Logs(names=("web:1",))),
            ("start", post("/v1/start", b'{"names": ["a"], "timeout": 1.5}'), Act(("a",), timeout=1.5)),
            ("wait", post("/v1/wait", b'{"for": "stopped"}'), Wait(until="stopped")),
            ("stop", post("/v1/stop", b""), Act()),
        ],
    )
    def test_request_reaches_the_operation_typed(self, name: str, request_bytes: bytes, expected: Any) -> None:
        seen: list[Any] = []

        async def reply(request: Any, peer: Peer) -> Done:
            seen.append(request)
            return Done(True)

        async def stream(request: Any, peer: Peer) -> AsyncIterator[Done]:
            seen.append(request)
            yield Done(True)

        is_stream = next(row.stream for row in OPERATIONS if row.name == name)
        answer: dict[str, Any] = {name: stream if is_stream else reply}
        with Serving(**answer) as serving, serving.connect() as sock:
            sock.sendall(request_bytes)
            take(sock, 1)
        assert seen == [expected]

    @pytest.mark.parametrize(("request_bytes", "status", "words"), BAD, ids=[words for _, _, words in BAD])
    def test_bad_request_is_told_what_is_wrong(
        self, serving: Serving, request_bytes: bytes, status: int, words: str
    ) -> None:
        reply = serving.ask(request_bytes)
        body = error_of(reply)
        assert status_of(reply) == status
        assert words in f"{body['message']}; {body['hint']}"
        assert (body["exit_code"], serving.bugs) == (2, [])

    def test_chunked_body_is_limited_too(self, serving: Serving) -> None:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        head = b"POST /v1/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert status_of(serving.ask(head + chunk * 17)) == 413

    def test_largest_body_is_taken(self, serving: Serving) -> None:
        body = b'{"signal": 1}'.ljust(1 << 20)
        assert status_of(serving.ask(post("/v1/signal", body, CLOSE))) == 409

    def test_head_of_a_get_is_refused_without_a_body(self, serving: Serving) -> None:
        reply = serving.ask(b"HEAD /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (status_of(reply), reply[-4:]) == (405, b"\r\n\r\n")

    def test_old_clients_get_a_reply_and_the_end(self, serving: Serving) -> None:
        assert serving.ask(b"GET /v1/version HTTP/1.0\r\n\r\n").endswith(b'"keeper":"1"}')

    def test_client_that_waits_for_100_is_told_to_go_on(self, serving: Serving) -> None:
        with serving.connect() as sock:
            sock.sendall(b"POST /v1/signal HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n")
            assert take(sock, 17) == b"HTTP/1.1 100 \r\n\r\n"
            sock.sendall(b'{"signal":1}')
            assert read_reply(sock)[0] == 409


class TestStreams:
    def test_each_line_is_sent_when_it_is_there(self) -> None:
        follow = Follow()
        with Serving(logs=follow) as serving, serving.connect() as sock:
            sock.sendall(get("/v1/logs"))
            data = b""
            while b"first" not in data:
                data += take(sock, 1)
            assert data.startswith(b"HTTP/1.1 200 ")
            assert b"application/x-ndjson" in data

    def test_lines_and_lists_of_lines(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Any]:
            yield Line("web", "a")
            yield [Line("web", "b"), Line("web", "c")]

        with Serving(logs=logs) as serving:
            reply = serving.ask(get("/v1/logs", CLOSE))
        assert [line["text"] for line in lines_of(reply)] == ["a", "b", "c"]
        assert reply.endswith(b"0\r\n\r\n")

    def test_lines_that_are_json_already(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Any]:
            yield b'{"text":"a"}\n{"text":"b"}\n'

        with Serving(logs=logs) as serving:
            assert [line["text"] for line in lines_of(serving.ask(get("/v1/logs", CLOSE)))] == ["a", "b"]

    def test_events_for_who_accepts_them(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Any]:
            yield b'{"text":"a"}\n{"text":"b"}\n'
            yield Line("web", "c")
            raise Refused("no more")

        with Serving(logs=logs) as serving:
            reply = serving.ask(get("/v1/logs", "Accept: text/event-stream, */*\r\n" + CLOSE))
        head, _, body = reply.partition(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert b'data: {"text":"a"}\n\ndata: {"text":"b"}\n\n\r\n' in body
        events = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
        assert [json.loads(event).get("text") for event in events] == ["a", "b", "c", None]
        assert json.loads(events[-1])["message"] == "no more"

    def test_empty_stream(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            for _ in ():
                yield Line("web", "never")

        with Serving(logs=logs) as serving, serving.connect() as sock:
            sock.sendall(get("/v1/logs") + get("/v1/version"))
            assert everything_until(sock, b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
            assert read_reply(sock)[0] == 200

    def test_old_clients_get_lines_until_the_end(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            yield Line("web", "a")

        with Serving(logs=logs) as serving:
            reply = serving.ask(b"GET /v1/logs HTTP/1.0\r\n\r\n")
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["text"] == "a"

    def test_connection_is_kept_after_a_stream(self) -> None:
        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            yield Line("web", "a")

        with Serving(logs=logs) as serving, serving.connect() as sock:
            sock.sendall(get("/v1/logs"))
            everything_until(sock, b"0\r\n\r\n")
            sock.sendall(get("/v1/version"))
            assert read_reply(sock)[0] == 200


def everything_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += take(sock, 1)
    return data


ERRORS: list[tuple[PservError, int, str]] = [
    (NoSuchService("cannot find web: no such service", "pserv list"), 404, "no-such-service"),
    (Refused("cannot start web: the daemon ends"), 409, "refused"),
    (UsageError("cannot stop all: say --all", "pserv stop --all"), 400, "usage"),
    (InvalidConfig((Mistake("bad", "good", "pserv.yaml", 3, 4), Mistake("worse"))), 422, "invalid-config"),
    (PservError("cannot do it: disk full"), 500, "failed"),
]


class TestErrors:
    @pytest.mark.parametrize(("error", "status", "kind"), ERRORS)
    def test_error_of_the_model_has_its_status_and_body(self, error: PservError, status: int, kind: str) -> None:
        async def fail(_request: Any, _peer: Peer) -> Any:
            raise error

        async def fail_late(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            yield Line("web", "a")
            raise error

        async def fail_early(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            for _ in ():
                yield Line("web", "a")
            raise error

        with Serving(status=fail, logs=fail_late, events=fail_early) as serving:
            reply = serving.ask(get("/v1/status", CLOSE))
            early = serving.ask(get("/v1/events", CLOSE))
            late = lines_of(serving.ask(get("/v1/logs", CLOSE)))
        body = error_of(reply)
        assert (status_of(reply), status_of(early)) == (status, status)
        assert body == error_of(early) == late[-1]
        assert [line["type"] for line in late] == ["line", "error"]
        assert (body["message"], body["hint"], body["kind"]) == (error.message, error.hint, kind)
        assert body["exit_code"] == error.exit_code
        assert len(body["mistakes"]) == (2 if kind == "invalid-config" else 0)
        assert serving.bugs == []

    def test_bug_is_reported_and_nothing_of_it_is_told(self) -> None:
        async def bug(_request: Any, _peer: Peer) -> Any:
            raise RuntimeError("secret")

        async def late_bug(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            yield Line("web", "a")
            raise RuntimeError("secret")

        async def no_json(_request: Any, _peer: Peer) -> Any:
            return object()

        with Serving(status=bug, config=no_json, logs=late_bug) as serving, serving.connect() as sock:
            for path in ("/v1/status", "/v1/config", "/v1/version"):
                sock.sendall(get(path))
            replies = [read_reply(sock) for _ in range(3)]
            sock.sendall(get("/v1/logs", CLOSE))
            late = lines_of(everything(sock))
        assert [status for status, _body in replies] == [500, 500, 200]
        assert late[-1] == replies[0][1] == replies[1][1]
        assert "secret" not in str(late)
        assert [type(bug) for bug in serving.bugs] == [RuntimeError, TypeError, RuntimeError]
        assert serving.bugs[0].__traceback__ is not None

    def test_every_operation_needs_exactly_one_callable(self) -> None:
        table = {row.name: version for row in OPERATIONS}
        with pytest.raises(ValueError, match="without a callable: \\['status'\\]"):
            Server(Tasks(print), {name: answer for name, answer in table.items() if name != "status"}, on_bug=print)
        with pytest.raises(ValueError, match="without an operation: \\['system'\\]"):
            Server(Tasks(print), {**table, "system": version}, on_bug=print)


class TestAccess:
    def test_every_route_goes_through_the_one_check(self) -> None:
        requests = [get(row.path) if row.method == "GET" else post(row.path) for row in OPERATIONS]
        requests += [get("/"), get("/metrics"), get("/v1/nothing"), post("/v1/status"), post("/v1/start", b"{")]
        with Serving(access=Access(frozenset({4_000_000}))) as serving:
            replies = [serving.ask(data) for data in requests]
        assert {status_of(reply) for reply in replies} == {403}
        assert {error_of(reply)["exit_code"] for reply in replies} == {5}
        assert "is not the daemon's user" in error_of(replies[0])["message"]


class TestLimits:
    def test_request_that_does_not_become_whole_in_time_is_ended(self) -> None:
        with Serving(limits=Limits(receive=0.05)) as serving:
            assert status_of(serving.ask(b"GET /v1/st")) == 408
            assert status_of(serving.ask(post("/v1/start", b"{}")[:-1])) == 408
            assert serving.ask(b"GET /v1/version HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")

    def test_slow_loris_does_not_move_the_deadline(self) -> None:
        with Serving(limits=Limits(receive=0.1)) as serving, serving.connect() as sock:
            sock.sendall(b"GET /v1/status HTTP/1.1\r\nX: ")
            sock.settimeout(0.01)  # the pace of the loris
            reply = b""
            for _ in range(1000):
                try:
                    reply = sock.recv(4096)
                    break
                except TimeoutError:
                    sock.sendall(b"x")
            assert status_of(reply) == 408

    def test_idle_connection_has_no_timer(self, serving: Serving) -> None:
        with serving.connect() as sock, serving.connect() as other:
            request = get("/v1/version")
            for cut in (request[:5], request[5:10], request[10:-1]):
                sock.sendall(cut)
                other.sendall(request)  # its reply shows that the loop has read the other one's part
                read_reply(other)
            assert len(serving.loop.tasks.timers) == 1
            sock.sendall(request[-1:])
            assert read_reply(sock)[0] == 200
            assert serving.loop.do(lambda: len(serving.loop.tasks.timers)) == 0
        assert serving.server.limits.receive == 30

    def test_one_too_many_is_told_so_and_the_others_stay(self) -> None:
        follow = Follow()
        with Serving(logs=follow) as serving:
            clients = [serving.connect() for _ in range(64)]
            for sock in clients:
                sock.sendall(get("/v1/logs"))
                assert take(sock, 13) == b"HTTP/1.1 200 "
            reply = serving.ask(get("/v1/version"))
            assert (status_of(reply), error_of(reply)["exit_code"]) == (503, 5)
            assert serving.server.connections == 64
            clients.pop().close()
            assert follow.ended.acquire(timeout=PATIENCE)
            assert status_of(serving.ask(get("/v1/version", CLOSE))) == 200
            for sock in clients:
                sock.close()

    def test_idle_connection_gives_way(self) -> None:
        with Serving(limits=Limits(connections=2), logs=Follow()) as serving:
            idle, busy = serving.connect(), serving.connect()
            idle.sendall(get("/v1/version"))
            read_reply(idle)
            busy.sendall(get("/v1/logs"))
            take(busy, 1)
            with idle, busy, serving.connect() as new:
                new.sendall(get("/v1/version"))
                assert read_reply(new)[0] == 200
                assert everything(idle) == b""

    def test_connection_that_never_asked_gives_way_only_when_old(self) -> None:
        with Serving(limits=Limits(connections=1, receive=0.0)) as serving, serving.connect() as silent:
            assert status_of(serving.ask(get("/v1/version", CLOSE))) == 200
            assert everything(silent) == b""
        with Serving(limits=Limits(connections=1)) as serving, serving.connect() as silent:
            assert status_of(serving.ask(get("/v1/version", CLOSE))) == 503
            silent.sendall(get("/v1/version"))
            assert read_reply(silent)[0] == 200


class Flood:
    """Lines of 1000 bytes without end."""

    def __init__(self) -> None:
        self.lines = 0
        self.ended = threading.Event()

    async def __call__(self, _request: Any, _peer: Peer) -> AsyncIterator[Line]:
        try:
            while True:
                self.lines += 1
                yield Line("web", "x" * 1000)
        finally:
            self.ended.set()


class TestClientsThatMisbehave:
    def test_client_that_does_not_read_suspends_its_stream_alone(self) -> None:
        flood = Flood()
        with Serving(logs=flood) as serving, serving.connect() as stuck, serving.connect() as other:
            stuck.sendall(get("/v1/logs"))
            take(stuck, 1)
            counts = []
            for _ in range(2):
                for _ in range(50):  # each takes the loop a round: a stream that is not suspended adds lines in it
                    other.sendall(get("/v1/version"))
                    assert read_reply(other)[0] == 200
                counts.append(flood.lines)
            assert counts[0] == counts[1]
            assert counts[0] * 1000 < 600_000  # the kernel's buffer and ours
            take(stuck, 300_000)
            stuck.close()
            assert flood.ended.wait(PATIENCE)
            assert flood.lines > counts[1]

    def test_client_that_sends_on_and_on_is_not_read_meanwhile(self) -> None:
        with Serving(logs=Follow()) as serving, serving.connect() as hostile, serving.connect() as other:
            hostile.sendall(get("/v1/logs"))
            hostile.setblocking(False)
            sent = blocked = 0
            while blocked < 10 and sent < 4_000_000:
                try:
                    sent += hostile.send(get("/v1/version") * 1000)
                except BlockingIOError:
                    blocked += 1
                    other.sendall(get("/v1/version"))  # the loop has its chance to read more
                    read_reply(other)
            assert sent < 1_000_000

    def test_client_that_reads_a_flood_does_not_starve_others(self) -> None:
        flood = Flood()
        with Serving(logs=flood) as serving, serving.connect() as greedy, serving.connect() as other:
            greedy.sendall(get("/v1/logs"))
            reader = threading.Thread(target=everything, args=(greedy,))
            reader.start()
            for _ in range(20):
                before = flood.lines
                other.sendall(get("/v1/version"))
                assert read_reply(other)[0] == 200
                assert flood.lines - before < 2000
            greedy.shutdown(socket.SHUT_RDWR)
            reader.join(PATIENCE)

    def test_client_that_takes_nothing_is_dropped(self) -> None:
        flood = Flood()
        with Serving(logs=flood, limits=Limits(stall=0.05)) as serving, serving.connect() as stuck:
            stuck.sendall(get("/v1/logs"))
            assert flood.ended.wait(PATIENCE)
            everything(stuck)

    def test_client_that_takes_nothing_of_a_closed_connection_is_dropped(self) -> None:
        async def config(_request: Any, _peer: Peer) -> Any:
            return {"name": "x" * 270_000}

        with Serving(config=config, limits=Limits(stall=0.05, connections=1)) as serving, serving.connect() as stuck:
            stuck.sendall(get("/v1/config", CLOSE))
            take(stuck, 1)
            serving.run(all_gone(serving))

    @pytest.mark.parametrize("abrupt", [False, True])
    def test_client_that_dies_ends_its_stream(self, abrupt: bool) -> None:
        follow = Follow()
        with Serving(logs=follow) as serving:
            with serving.connect() as sock:
                sock.sendall(get("/v1/logs"))
                if not abrupt:
                    everything_until(sock, b"}\n\r\n")
                assert follow.begun.acquire(timeout=PATIENCE)
            assert follow.ended.acquire(timeout=PATIENCE)
            serving.run(all_gone(serving))
            assert serving.bugs == []

    def test_client_that_dies_cancels_its_call(self) -> None:
        begun, cancelled = threading.Event(), threading.Event()

        async def status(_request: Any, _peer: Peer) -> Any:
            begun.set()
            try:
                await Event().wait()
            finally:
                cancelled.set()

        with Serving(status=status) as serving:
            with serving.connect() as sock:
                sock.sendall(get("/v1/status"))
                assert begun.wait(PATIENCE)
            assert cancelled.wait(PATIENCE)

    def test_client_that_only_stops_sending_gets_its_replies(self) -> None:
        proceed = Event()

        async def status(_request: Any, _peer: Peer) -> Any:
            await proceed.wait()
            return VERSION

        async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
            await proceed.wait()
            yield Line("web", "a")

        with Serving(status=status, logs=logs) as serving, serving.connect() as sock:
            sock.sendall(get("/v1/status") + get("/v1/logs"))
            sock.shutdown(socket.SHUT_WR)
            serving.ask(get("/v1/version", CLOSE))  # by now the end was seen
            serving.loop.call(proceed.set)
            assert read_reply(sock)[0] == 200
            assert [line["text"] for line in lines_of(everything(sock))] == ["a"]

    def test_fifty_clients_half_of_which_are_killed(self) -> None:
        go = Event()
        begun, ended = threading.Semaphore(0), threading.Semaphore(0)

        async def logs(request: Logs, _peer: Peer) -> AsyncIterator[Line]:
            try:
                begun.release()
                yield Line(request.names[0], "first")
                await go.wait()
                for number in range(300):
                    yield Line(request.names[0], f"{number:0900}")
            finally:
                ended.release()

        with Serving(logs=logs) as serving:
            clients = [serving.connect() for _ in range(50)]
            for number, sock in enumerate(clients):
                sock.sendall(get(f"/v1/logs?names={number}", CLOSE))
            for _ in clients:
                assert begun.acquire(timeout=PATIENCE)
            for sock in clients[::2]:
                sock.close()
            for _ in clients[::2]:
                assert ended.acquire(timeout=PATIENCE)
            assert status_of(serving.ask(get("/v1/version", CLOSE))) == 200
            serving.loop.call(go.set)
            for number, sock in list(enumerate(clients))[1::2]:
                lines = lines_of(everything(sock))
                assert [int(line["text"]) for line in lines[1:]] == list(range(300))
                assert {line["service"] for line in lines} == {str(number)}
                sock.close()
            serving.run(all_gone(serving))
            assert serving.bugs == []


async def all_gone(serving: Serving) -> None:
    while serving.server.connections:
        await serving.loop.tasks.sleep(0)


class TestClosing:
    def test_streams_end_with_an_error_and_idle_ones_with_nothing(self) -> None:
        follow = Follow()
        with Serving(logs=follow, status=refuse) as serving:
            with serving.connect() as idle, serving.connect() as busy:
                idle.sendall(get("/v1/status"))
                read_reply(idle)
                busy.sendall(get("/v1/logs"))
                assert follow.begun.acquire(timeout=PATIENCE)
                take(busy, 1)
                serving.run(serving.server.close(grace=0.01))
                last = lines_of(everything(busy))[-1]
                assert (last["type"], last["kind"], last["exit_code"]) == ("error", "unreachable", 5)
                assert everything(idle) == b""
            assert follow.ended.acquire(timeout=PATIENCE)
            with pytest.raises(ConnectionRefusedError):
                serving.connect()

    def test_requests_under_way_have_time_to_end(self) -> None:
        proceed = Event()
        begun = threading.Event()

        async def status(_request: Any, _peer: Peer) -> Any:
            begun.set()
            await proceed.wait()
            return VERSION

        async def close(server: Server) -> None:
            proceed.set()
            await server.close(grace=PATIENCE)

        with Serving(status=status) as serving, serving.connect() as sock:
            sock.sendall(get("/v1/status"))
            assert begun.wait(PATIENCE)
            serving.run(close(serving.server))
            assert read_reply(sock)[0] == 200
            assert everything(sock) == b""


def test_imports_nothing_heavy() -> None:
    code = "import sys; import pserv.api.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "asyncio",
        "logging",
        "subprocess",
        "_ssl",
        "hashlib",
        "_hashlib",
        "hmac",
        "yaml",
        "json",
        "http.client",
        "urllib.request",
        "difflib",
        "email",
    }
    assert not heavy & set(done.stdout.split())
