from __future__ import annotations

import socket
import threading

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.api.replies import Closed, ProtocolError, Reply


def written(pieces: list[bytes], chunked: bool) -> bytes:
    """A reply as h11 writes it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    connection.next_event()
    headers = [] if chunked else [("Content-Length", str(sum(map(len, pieces))))]
    events: list[h11.Event] = [h11.Response(status_code=200, headers=headers)]
    events += [h11.Data(data=piece) for piece in pieces]
    return b"".join(connection.send(event) or b"" for event in [*events, h11.EndOfMessage()])


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.booleans(), st.lists(st.integers(1, 50)))
def test_reads_what_the_server_writes_however_it_is_cut(pieces: list[bytes], chunked: bool, cuts: list[int]) -> None:
    data = written(pieces, chunked)
    ours, theirs = socket.socketpair()

    def send() -> None:
        rest = data
        for cut in cuts:
            theirs.sendall(rest[:cut])
            rest = rest[cut:]
        theirs.sendall(rest)

    with ours, theirs:
        sender = threading.Thread(target=send)
        sender.start()
        reply = Reply(ours)
        assert (reply.status, reply.chunked) == (200, chunked)
        if chunked:
            assert [reply.piece() for _ in pieces] == pieces
            assert reply.piece() == reply.piece() == b""
        else:
            assert reply.body() == b"".join(pieces)
        assert reply.reusable()
        sender.join()


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_end_in_a_known_error(data: bytes, plausible: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall((b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n" if plausible else b"") + data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            Reply(ours).body()
        except (Closed, ProtocolError):
            pass


def test_end_before_and_after_the_first_byte() -> None:
    for sent, early in ((b"", True), (b"HTTP", False)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(sent)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(Closed) as raised:
                Reply(ours)
            assert raised.value.early is early


@pytest.mark.parametrize(
    ("extra", "rest", "reusable"), [(b"", b"", True), (b"Connection: close\r\n", b"", False), (b"", b"HTTP", False)]
)
def test_when_the_connection_may_be_used_again(extra: bytes, rest: bytes, reusable: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n" + extra + b"Content-Length: 2\r\n\r\n{}" + rest)
        reply = Reply(ours)
        assert reply.body() == b"{}"
        assert reply.reusable() is reusable
