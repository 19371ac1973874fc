"""Who is at the other end of a unix socket, by the word of the kernel, and who may use the API. No HTTP here."""

from __future__ import annotations

import socket
import struct
import sys

import msgspec

ROOT = 0

# <sys/un.h> of the BSDs and macOS; Python's socket module has no names for these.
SOL_LOCAL = 0
LOCAL_PEERCRED = 1
XUCRED = "@IIh16I"
"""struct xucred: version, uid, number of groups, groups (the first is the effective one)."""


class Peer(msgspec.Struct, frozen=True):
    """A process that is connected; `pid` is 0 where the system does not tell it."""

    uid: int
    gid: int
    pid: int


UNKNOWN = Peer(-1, -1, 0)
"""Where neither the socket nor the system tells; no rule lets it in."""


class Access(msgspec.Struct, frozen=True):
    """Which users may use the API: one rule for every operation, and for what is no operation."""

    uids: frozenset[int]

    def refusal(self, peer: Peer) -> str:
        """Why this peer may not, or an empty string."""
        if peer == UNKNOWN:
            return "the system does not tell who is at the other end of the socket"
        return "" if peer.uid in self.uids else f"uid {peer.uid} is not the daemon's user"


def peer_of(sock: socket.socket) -> Peer:
    """The peer's credentials as they were when it connected, or UNKNOWN."""
    if sock.family != socket.AF_UNIX:
        return UNKNOWN
    try:
        return _credentials(sock)
    except (OSError, struct.error):
        return UNKNOWN


def _credentials(sock: socket.socket, platform: str = sys.platform) -> Peer:
    if platform == "linux":  # unix(7): struct ucred
        pid, uid, gid = struct.unpack("@iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return Peer(uid, gid, pid)
    if platform.startswith("openbsd"):  # getsockopt(2): SO_PEERCRED, struct sockpeercred
        uid, gid, pid = struct.unpack("@IIi", sock.getsockopt(socket.SOL_SOCKET, 0x1022, 12))
        return Peer(uid, gid, pid)
    if platform == "darwin" or platform.startswith(("freebsd", "dragonfly")):  # unix(4)
        data = sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, struct.calcsize(XUCRED))
        _version, uid, _count, gid, *_groups = struct.unpack(XUCRED, data[: struct.calcsize(XUCRED)])
        return Peer(uid, gid, 0)
    return UNKNOWN
