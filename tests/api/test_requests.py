"""What is taken for a request: the same however it is cut, and never otherwise than h11 takes it."""

from __future__ import annotations

from itertools import pairwise, product

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.api import requests
from pserv.api.failures import Rejection
from pserv.api.requests import Requests

HEAD, BODY = 400, 300
"""Limits of these tests, in bytes."""

Seen = list[tuple[str, bytes, bytes, bool]]
"""Method, target, body, and whether the connection may go on."""


def read(data: bytes, cuts: list[int]) -> tuple[Seen, int]:
    """All requests, and the status of what ends them; 0 when they only stop."""
    reader, seen = Requests(HEAD, BODY), Seen()
    head = None
    for piece in pieces(data, cuts):
        reader.feed(piece)
        try:
            while (head := head or reader.head()) is not None:
                body = reader.body()
                if body is None:
                    break
                seen.append((head.method, head.target, body, head.keep))
                if not head.keep:
                    return seen, 0
                head = None
        except Rejection as rejection:
            return seen, rejection.status
    return seen, 0


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


def read_by_h11(data: bytes) -> Seen:
    """What h11 makes of the same, until it refuses something or has no more."""
    connection, seen = h11.Connection(h11.SERVER), Seen()
    connection.receive_data(data)
    head, body = h11.Request(method="GET", target="/", headers=[("Host", "x")]), b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=400, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                keep = connection.our_state is h11.DONE
                seen.append((head.method.decode(), head.target, body, keep))
                if not keep:
                    return seen
                connection.start_next_cycle()
            else:
                return seen
    except h11.RemoteProtocolError:
        return seen


FIELDS = [
    b"Host: x", b"Content-Length: 5", b"content-length:3\t", b"Content-Length: 05", b"Content-Length: -1",
    b"Content-Length: 3, 3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: CHUNKED ", b"Transfer-Encoding: gzip",
    b"Connection: close", b"Connection: keep-alive, Close", b"connection: x", b"Expect: 100-continue", b"X: y",
    b"X : y", b" folded", b"X", b": y", b"X: \0", b"X: \x7f", b"X: \xff", b"Host: x\rX: y", b"X: y\nHost: x",
]  # fmt: skip
BODIES = [
    b"", b"abc", b"hello", b"3\r\nabc\r\n0\r\n\r\n", b"3;a=b \r\nabc\r\n0\r\nX: y\r\n\r\n", b"0\r\n\r\n",
    b"3\r\nabcXY0\r\n\r\n", b"-1\r\n", b"0x1\r\na\r\n0\r\n\r\n", b"1_1\r\n", b"fffffffffffffffff\r\n", b"00\r\n\r\n",
]  # fmt: skip
LINES = [
    b"GET / HTTP/1.1", b"POST /v1/start?a=%20 HTTP/1.1", b"GET / HTTP/1.0", b"GET / HTTP/1.2", b"GET / HTTP/2.0",
    b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"G@T / HTTP/1.1", b"GET /\x7f HTTP/1.1", b"HEAD * HTTP/1.1",
    b"\x16\x03\x01",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_nothing_is_taken_that_h11_refuses(line: bytes) -> None:
    """And nothing otherwise; what h11 alone takes is a choice of ours, and refused at once."""
    for field, body, end in product(FIELDS, BODIES, (b"\r\n", b"\n")):
        data = end.join([line, b"Host: x", field, b"", b""]) + body
        seen, status = read(data, [])
        theirs = read_by_h11(data)
        assert seen == theirs[: len(seen)], data
        assert status or len(theirs) == len(seen), f"more is awaited after {data!r}"


@st.composite
def requests_of_all_kinds(draw: st.DrawFn) -> bytes:
    """A few in a row, with something in between."""
    data = b""
    for _ in range(draw(st.integers(1, 3))):
        fields = draw(st.lists(st.sampled_from(FIELDS), max_size=2))
        data += b"\r\n".join([draw(st.sampled_from(LINES)), b"Host: x", *fields, b"", b""])
        data += draw(st.sampled_from(BODIES))
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.sampled_from([b"", b"", b"\n", b"\r", b" ", b"\0", b"\x80"])) + data[at:]


@settings(deadline=None)
@given(requests_of_all_kinds() | st.binary(max_size=60), st.lists(st.integers(0, 2000), max_size=8))
def test_it_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    seen, status = read(data, [])
    assert read(data, cuts) == (seen, status)
    assert read(data, list(range(len(data)))) == (seen, status)
    assert seen == read_by_h11(data)[: len(seen)]


@pytest.mark.parametrize("field", ["Host: x", "X: y", "Connection: keep-alive", "Expect: 100-continue"])
@pytest.mark.parametrize(
    ("framing", "body", "taken"),
    [
        ("X: y", b"", b""),
        ("Content-Length: 5", b"hello", b"hello"),
        ("Transfer-Encoding: chunked", b"2\r\nab\r\n3;x\r\ncde\r\n0\r\nX: y\r\n\r\n", b"abcde"),
    ],
)
def test_ordinary_requests_are_taken(field: str, framing: str, body: bytes, taken: bytes) -> None:
    host = "" if field.startswith("Host") else "Host: x\r\n"
    data = f"POST /v1/start HTTP/1.1\r\n{host}{field}\r\n{framing}\r\n\r\n".encode() + body
    assert read(data * 3, []) == ([("POST", b"/v1/start", taken, True)] * 3, 0)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"x" * (HEAD + 1), 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * HEAD, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * HEAD + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 301\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n12d\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 301, 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 300, 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 100, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\n", 400),
        (b"\x16\x03\x01", 400),
    ],
)
def test_nothing_is_awaited_without_end(data: bytes, status: int) -> None:
    assert read(data, list(range(len(data)))) == ([], status)


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans(), st.booleans(), st.integers(400, 599))
def test_h11_reads_what_is_written(parts: list[bytes], chunked: bool, close: bool, status: int) -> None:
    if chunked:
        data = requests.stream_head("text/plain", close=close, chunked=True)
        data += b"".join(map(requests.chunk, parts)) + requests.LAST_CHUNK
    else:
        data = requests.reply(status, "text/plain", b"".join(parts), close=close)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    reply, body = client.next_event(), b""
    assert isinstance(reply, h11.Response)
    assert reply.status_code == (200 if chunked else status)
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == b"".join(parts)
    assert client.our_state is (h11.MUST_CLOSE if close else h11.DONE)
