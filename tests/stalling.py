"""A file system in memory that stalls on demand: FUSE, spoken over /dev/fuse without a library. Needs root and Linux.

Run as a program (`python stalling.py MOUNTPOINT`) it serves; `StallingFolder` starts and commands it from a test.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import stat
import struct
import subprocess
import sys
from pathlib import Path

CALLS = {
    "lookup": 1,
    "getattr": 3,
    "setattr": 4,
    "unlink": 10,
    "rename": 12,
    "open": 14,
    "read": 15,
    "write": 16,
    "statfs": 17,
    "release": 18,
    "fsync": 20,
    "flush": 25,
    "create": 35,
    "rename2": 45,
}
"""What can be stalled, and its number (linux/fuse.h)."""

_FORGET, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _ACCESS, _INTERRUPT, _DESTROY, _BATCH_FORGET = (
    *(2, 26, 27, 28, 29),
    *(34, 36, 38, 42),
)
_ROOT = 1
_MAX_WRITE = 1 << 17
_DETACH_AND_FORCE = 0x3


def missing() -> str:
    """Why there can be no such file system here; empty if there can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    return "" if os.path.exists("/dev/fuse") else "no /dev/fuse"


class StallingFolder:
    """A mounted folder. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()

    def stall(self, *calls: str) -> None:
        """From now on these calls hang, all others work; with none, all go on."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(calls).encode() + b"\n")
        self._server.stdin.flush()
        while self._answer() != "set":
            pass

    def wait_until_one_hangs(self) -> str:
        """The call that came and was not answered."""
        while not (answer := self._answer()).startswith("hangs "):
            pass
        return answer.removeprefix("hangs ")

    def _answer(self) -> str:
        assert self._server.stdout is not None
        line = self._server.stdout.readline().decode().strip()
        assert line, "the file system ended"
        return line

    def __enter__(self) -> StallingFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe is not None:
                pipe.close()
        ctypes.CDLL(None).umount2(os.fsencode(self.path), _DETACH_AND_FORCE)


class _Refused(Exception):
    """A call fails with this errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Server:
    """One folder of files, each a bytearray."""

    def __init__(self, mountpoint: str) -> None:
        self._fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._fuse},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"stalling", os.fsencode(mountpoint), b"fuse", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        self._names: dict[bytes, int] = {}
        self._files: dict[int, bytearray] = {}
        self._modes: dict[int, int] = {}
        self._stalled: set[int] = set()
        self._hanging: list[bytes] = []

    def run(self) -> None:
        """Serve until the other side of our input is closed."""
        self._say("mounted")
        while True:
            ready, _, _ = select.select([self._fuse, sys.stdin], [], [])
            if self._fuse in ready:
                self._take(os.read(self._fuse, _MAX_WRITE + (1 << 16)))
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                self._stalled = {CALLS[name] for name in json.loads(line)}
                self._say("set")
                hanging, self._hanging = self._hanging, []
                for request in hanging:
                    self._take(request)

    def _say(self, text: str) -> None:
        print(text, flush=True)

    def _take(self, request: bytes) -> None:
        _, call, unique, node = struct.unpack_from("<IIQQ", request)
        if call in self._stalled:
            self._hanging.append(request)
            self._say("hangs " + next(name for name, number in CALLS.items() if number == call))
            return
        if call in (_FORGET, _BATCH_FORGET, _INTERRUPT):
            return
        try:
            body, failed = self._answer(call, node, request[40:]), 0
        except _Refused as refused:
            body, failed = b"", -refused.number
        try:
            os.write(self._fuse, struct.pack("<IiQ", 16 + len(body), failed, unique) + body)
        except FileNotFoundError:
            pass  # whoever asked was killed

    def _answer(self, call: int, node: int, body: bytes) -> bytes:
        if call == _INIT:
            fields = struct.pack("<IIIIHHIIHH", 7, 31, 65536, 0, 16, 12, _MAX_WRITE, 1, 0, 0)
            return fields.ljust(64, b"\0")
        if call == CALLS["lookup"]:
            return self._entry(self._find(body))
        if call == CALLS["create"]:
            return self._entry(self._create(body)) + struct.pack("<QII", 0, 0, 0)
        if call in (CALLS["getattr"], CALLS["setattr"]):
            if call == CALLS["setattr"] and struct.unpack_from("<I", body)[0] & 8:
                self._cut(node, struct.unpack_from("<Q", body, 16)[0])
            return struct.pack("<QII", 0, 0, 0) + self._attributes(node)
        if call in (CALLS["open"], _OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if call == CALLS["read"]:
            offset, size = struct.unpack_from("<QI", body, 8)
            return bytes(self._files[node][offset : offset + size])
        if call == CALLS["write"]:
            offset, size = struct.unpack_from("<QI", body, 8)
            self._cut(node, max(offset, len(self._files[node])))
            self._files[node][offset : offset + size] = body[40 : 40 + size]
            return struct.pack("<II", size, 0)
        if call == CALLS["unlink"]:
            self._names.pop(body.rstrip(b"\0"), None)
            return b""
        if call == CALLS["statfs"]:
            return struct.pack("<QQQQQIIII", 1 << 20, 1 << 20, 1 << 20, 1000, 1000, 4096, 255, 4096, 0).ljust(80, b"\0")
        if call in (CALLS["release"], CALLS["fsync"], CALLS["flush"], _READDIR, _RELEASEDIR, _ACCESS, _DESTROY):
            return b""
        raise _Refused(errno.ENOSYS)

    def _find(self, body: bytes) -> int:
        name = body.rstrip(b"\0")
        if name not in self._names:
            raise _Refused(errno.ENOENT)
        return self._names[name]

    def _create(self, body: bytes) -> int:
        name = body[16:].rstrip(b"\0")
        node = self._names[name] = len(self._files) + _ROOT + 1
        self._files[node] = bytearray()
        self._modes[node] = struct.unpack_from("<I", body, 4)[0] & 0o7777
        return node

    def _cut(self, node: int, size: int) -> None:
        data = self._files[node]
        del data[size:]
        data.extend(bytes(size - len(data)))

    def _entry(self, node: int) -> bytes:
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        folder = node == _ROOT
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | self._modes[node]
        size = 0 if folder else len(self._files[node])
        links = 1 if folder or node in self._names.values() else 0
        return struct.pack("<6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


if __name__ == "__main__":
    _Server(sys.argv[1]).run()
