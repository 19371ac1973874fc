"""Random bytes and mangled requests never hurt the server: a later request is still answered, and no bug was met."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pserv.api.operations import OPERATIONS, Line
from pserv.api.peer import Peer
from tests.rounds import EXAMPLES
from tests.threaded import PATIENCE

from .serving import Serving, get, post, read_reply

REQUESTS = [get(row.path) if row.method == "GET" else post(row.path, b'{"names": ["a"]}') for row in OPERATIONS]
FRAGMENTS = [
    b"\r\n\r\n",
    b"\r\n",
    b" ",
    b"\0",
    b"%",
    b"?names=",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"HTTP/1.0",
    b"CONNECT",
    b"ffffffffff\r\n",
    b'{"names":',
]


async def logs(_request: Any, _peer: Peer) -> AsyncIterator[Line]:
    for _ in range(3):
        yield Line("web", "x")


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with Serving(logs=logs, events=logs) as running:
        yield running


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Some requests in a row, cut and filled at random places."""
    data = b"".join(draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 20)))
        data = data[:at] + draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=5)) + data[until:]
    return data


@settings(max_examples=2 * EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | mangled(), half=st.booleans(), cut=st.integers(0, 300))
def test_any_bytes(serving: Serving, data: bytes, half: bool, cut: int) -> None:
    with serving.connect() as hostile, serving.connect() as honest:
        try:
            hostile.sendall(data[:cut])
            hostile.sendall(data[cut:])
            if half:
                hostile.shutdown(1)
        except OSError:
            pass
        if half:
            hostile.settimeout(PATIENCE)
            try:
                while hostile.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        honest.sendall(get("/v1/version"))
        assert read_reply(honest)[0] == 200
    assert serving.bugs == []
