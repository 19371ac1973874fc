"""Answers of servers in any pieces: the same verdict; of strangers: a reason, bounded, and never another exception."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.system import http_exchange
from pserv.system.http_exchange import MAX_BODY, MAX_HEAD, MOST, Answer, BadAnswer


def answered(data: bytes, cuts: list[int] | None = None, *, without_body: bool = False) -> Answer:
    """The answer of these bytes in pieces, then the end of the connection. Raises BadAnswer."""
    answer = Answer(without_body=without_body)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or ()), len(data)]
    for start, end in pairwise(edges):
        if end > start and answer.feed(data[start:end]):
            return answer
    answer.feed(b"")
    return answer


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    (b"HTTP/1.0 404 Not Found\nServer: x\n\ngone", 404, b"gone"),
    (b"HTTP/1.1 200\r\n\r\n", 200, b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n", 204, b""),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;a=b\r\n wo\r\n0\r\nX: y\r\n\r\n",
        200,
        b"hi wo",
    ),
]


@pytest.mark.parametrize(("data", "status", "body"), ANSWERS)
@given(cuts=st.lists(st.integers(0, 1000), max_size=12))
def test_in_any_pieces(cuts: list[int], data: bytes, status: int, body: bytes) -> None:
    answer = answered(data, cuts)
    assert (answer.status, bytes(answer.body), answer.complete) == (status, body, True)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda end: b"HTTP/1.1 200 OK\r\n" + end)))
def test_garbage_is_a_reason_or_an_answer(data: bytes) -> None:
    try:
        told = answered(data).phrase
    except BadAnswer as bad:
        told = str(bad)
    assert told.isascii()
    assert "\n" not in told


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "the connection was closed within the headers"),
        (b"+PONG\r\n", "the answer is no HTTP: '+PONG\\r\\n'"),
        (b"HTTP/1.1 OK\r\n\r\n", "the answer is no HTTP: 'HTTP/1.1 OK'"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000, "the answer has headers of more than 16 KiB"),
        (b"HTTP/1.1 100 Go\r\n\r\n" * 2000, "the answer has headers of more than 16 KiB"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "the answer has a chunk without a size: xyz"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
            "the answer has a chunk without a size: 11111111111111111111",
        ),
    ],
)
def test_reasons(data: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        answered(data)
    assert str(bad.value) == reason


@pytest.mark.parametrize("head", [b"", b"Content-Length: 1000000000\r\n"])
def test_a_body_without_end_is_taken_in_part(head: bytes) -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    count = 0
    while not answer.feed(b"x" * 1000):
        count += 1
    assert len(answer.body) == MAX_BODY
    assert count <= MAX_BODY // 1000


def test_chunks_of_one_byte_end_too() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    taken = 0
    while not answer.feed(b"1\r\nx\r\n" * 100):
        taken += 600
    assert taken <= MOST


def test_headers_in_single_bytes_are_bounded() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\n")
    for _ in range(MAX_HEAD - 17):
        answer.feed(b"a")
    with pytest.raises(BadAnswer):
        answer.feed(b"a")


def test_an_answer_to_head_has_no_body() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", without_body=True).complete


@pytest.mark.parametrize(
    ("status", "wanted", "fits"),
    [
        *((status, (), well) for status, well in ((199, False), (200, True), (399, True), (400, False))),
        *((status, ("204", "300-302"), status in (204, 300, 301, 302)) for status in (200, 204, 299, 300, 302, 303)),
    ],
)
def test_which_status_is_well(status: int, wanted: tuple[str, ...], fits: bool) -> None:
    assert http_exchange.fits(status, wanted) is fits


def test_verdicts_in_words() -> None:
    answer = answered(b"HTTP/1.1 200 OK\r\n\r\nall is well")
    assert http_exchange.verdict(answer, (), "is well") == (True, "http 200 OK")
    assert http_exchange.verdict(answer, (), "is ill") == (False, "http 200 OK, without is ill in its body")
    assert http_exchange.verdict(answer, ("204",), None) == (False, "http 200 OK")


def test_a_request() -> None:
    assert http_exchange.request("GET", "/health", "web:8080", {"host": "other", "X-A": "b"}) == (
        b"GET /health HTTP/1.1\r\nUser-Agent: pserv-probe\r\nAccept: */*\r\nConnection: close\r\n"
        b"host: other\r\nX-A: b\r\n\r\n"
    )
