from __future__ import annotations

import os
import socket

import pytest

from pserv.api.peer import UNKNOWN, Access, Peer, peer_of


def test_peer_is_the_process_that_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.geteuid(), os.getegid(), os.getpid())


def test_tcp_has_no_peer() -> None:
    with socket.socket(socket.AF_INET) as sock:
        assert peer_of(sock) == UNKNOWN


@pytest.mark.parametrize(
    ("peer", "allowed"), [(Peer(0, 0, 1), True), (Peer(7, 0, 1), True), (Peer(8, 0, 1), False), (UNKNOWN, False)]
)
def test_access(peer: Peer, allowed: bool) -> None:
    assert (Access(frozenset({0, 7})).refusal(peer) == "") is allowed


def test_who_is_unknown_is_out_whatever_the_rule() -> None:
    assert Access(frozenset({UNKNOWN.uid})).refusal(UNKNOWN)
