"""A keeper in a process of its own, whose supervisor and logger hand their channels to the test (or write files)."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from typing import Any

from pserv.keeper.channel import Channel
from pserv.keeper.main import Boot, resume, run

CONTROL = os.environ.get("PSERV_TEST_CONTROL", "")


def remote(kind: str, channel: socket.socket) -> int:
    """Give the channel to the test and do as it says: an exit code, or live until it hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.connect(CONTROL)
        socket.send_fds(control, [json.dumps([kind, os.getpid()]).encode()], [channel.fileno()])
        channel.close()
        try:
            told = control.recv(16)
        except ConnectionResetError:
            told = b""
        return int(told) if told else 0


def supervisor(channel: socket.socket, argument: str) -> int:
    return remote("supervisor", channel)


def remote_logger(channel: socket.socket, argument: str) -> int:
    return remote("logger", channel)


def reader(channel: socket.socket, argument: str) -> int:
    channel.sendall(f"{os.getpid()} {argument}".encode())
    channel.recv(1)
    return 0


class PlainLogger:
    """Reads all pipes, appends to the files named, remembers the last lines. No hold pipe."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel = Channel(sock)
        self.streams: dict[int, tuple[int, dict[str, Any]]] = {}
        self.seen: dict[int, bytes] = {}
        self.finishing = False

    def run(self) -> int:
        while not (self.finishing and not self.streams):
            wanted = {fd: number for number, (fd, _) in self.streams.items()}
            ready, _, _ = select.select([self.channel.fileno(), *wanted], [], [], 0 if self.finishing else None)
            for one in ready:
                if wanted.get(one) in self.streams:
                    self.read(wanted[one])
                elif not self.hear():
                    return 0
            if self.finishing and not ready:
                return 0
        return 0

    def hear(self) -> bool:
        messages, alive = self.channel.receive()
        for message, fds in messages:
            if message["op"] == "stream":
                os.set_blocking(fds[0], False)
                self.streams[message["id"]] = (fds[0], message["target"])
                self.seen.setdefault(message["id"], b"")
            elif message["op"] == "drain":
                self.drain(message)
            elif message["op"] == "finish":
                self.finishing = True
            elif message["op"] == "release":
                self.channel.send({"op": "released"})
                return False
        return alive

    def drain(self, message: dict[str, Any]) -> None:
        lines: list[str] = []
        printed = 0
        for number in message["ids"]:
            while number in self.streams and self.read(number):
                pass
            seen = self.seen.pop(number, b"")
            lines += seen.decode(errors="replace").splitlines()[-20:]
            printed += len(seen)
        self.channel.send({"op": "drained", "run": message["run"], "lines": lines, "printed": printed})

    def read(self, number: int) -> bool:
        fd, target = self.streams[number]
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            os.close(fd)
            del self.streams[number]
            self.channel.send({"op": "closed", "id": number})
            return False
        self.seen[number] = self.seen.get(number, b"") + data
        with open(target["path"], "ab") as file:
            file.write(data)
        return True


def plain_logger(channel: socket.socket, argument: str) -> int:
    return PlainLogger(channel).run()


def main() -> int:
    """argv[1] is JSON: `boot` for Boot, `cgroups` false hides them; or a role, to be with the descriptor argv[2]."""
    roles = {"supervisor": supervisor, "reader": reader}
    logger = os.environ.get("PSERV_TEST_LOGGER", "plain")
    if logger != "none":
        roles["logger"] = plain_logger if logger == "plain" else remote_logger
    if sys.argv[1] == "keeper":
        return resume(int(sys.argv[2]), roles, "test")
    if sys.argv[1] in roles:
        return roles[sys.argv[1]](socket.socket(fileno=int(sys.argv[2])), "")
    settings = json.loads(sys.argv[1])
    return run(Boot(**settings["boot"]), roles, use_cgroups=settings["cgroups"])


if __name__ == "__main__":
    sys.exit(main())
