"""Drives a real keeper: the test is its supervisor, and its logger where a test wants to be."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pserv.keeper import cgroup, leftovers
from pserv.keeper.channel import Channel
from pserv.keeper.protocol import Message

PATIENCE = 20.0
"""Seconds until a test that waits for what never comes fails; nothing here depends on its length."""

FILE = Path(__file__)


class Peer:
    """One role of the keeper, played by the test: its channel, and the process that stands for it."""

    def __init__(self, kind: str, pid: int, control: socket.socket, channel: socket.socket) -> None:
        self.kind = kind
        self.pid = pid
        self.control = control
        self.channel = Channel(channel)
        self._arrived: list[tuple[Message, tuple[int, ...]]] = []

    def next(self, wanted: Callable[[Message], bool]) -> tuple[Message, tuple[int, ...]]:
        """The first message that is wanted, however many others came before it; they stay for later."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for index, (message, fds) in enumerate(self._arrived):
                if wanted(message):
                    del self._arrived[index]
                    return message, fds
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.channel], [], [], max(left, 0))
            if not ready:
                raise TimeoutError(f"still waiting; came: {self._arrived}")
            messages, alive = self.channel.receive()
            self._arrived += messages
            if not alive and not messages:
                raise ConnectionError(f"the keeper hung up; came: {self._arrived}")

    def op(self, op: str) -> tuple[Message, tuple[int, ...]]:
        return self.next(lambda message: message["op"] == op)

    def seen(self, kind: str) -> list[Message]:
        """Reports of the kind that have come and that nobody took."""
        return [message for message, _ in self._arrived if message.get("kind") == kind]

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        self.channel.send(message, fds)
        while self.channel.waiting:
            select.select([], [self.channel], [], PATIENCE)
            self.channel.flush()

    def exit(self, code: int) -> None:
        """The process ends by itself."""
        self.control.send(str(code).encode())

    def close(self) -> None:
        self.control.close()
        self.channel.close()


class Supervisor(Peer):
    """The test as supervisor."""

    table: Message
    descriptors: tuple[int, ...]

    def do(self, key: str, *commands: Message, fds: tuple[int, ...] = (), **fields: Any) -> None:
        self.send({"op": "do", "key": key, "commands": list(commands), **fields}, fds)

    def ask(self, message: Message, fds: tuple[int, ...] = ()) -> tuple[Message, tuple[int, ...]]:
        self.send({**message, "seq": 7}, fds)
        return self.next(lambda reply: reply["op"] == "reply" and reply["seq"] == 7)

    def report(self, kind: str, run: int | None = None, ack: bool = True) -> Message:
        """The next report of the kind (and run), acknowledged unless told otherwise."""

        def wanted(message: Message) -> bool:
            return message["op"] == "report" and message["kind"] == kind and run in (None, message["run"])

        message, _ = self.next(wanted)
        if ack:
            self.do(message["key"] or "@daemon", ack=[message["id"]])
        return message

    def spawn(self, key: str, run: int, *argv: str, fds: tuple[int, ...] = (), **launch: Any) -> None:
        self.do(key, {"do": "spawn", "run": run, "launch": launching(*argv, **launch)}, fds=fds)

    def up(self, key: str, run: int, *argv: str, **launch: Any) -> int:
        """Spawn and wait until execve was reached; the pid."""
        self.spawn(key, run, *argv, **launch)
        return int(self.report("spawned", run)["pid"])

    def kill(self, key: str, run: int) -> None:
        self.do(key, {"do": "kill", "run": run})

    def signal(self, key: str, run: int, signum: int, scope: str = "main") -> None:
        self.do(key, {"do": "signal", "run": run, "signal": int(signum), "scope": scope})


def launching(*argv: str, **launch: Any) -> Message:
    """A LAUNCH of a shell script (one word) or a command, its output thrown away unless told otherwise."""
    words = ["/bin/sh", "-c", argv[0]] if len(argv) == 1 else list(argv)
    null = {"kind": "null"}
    return {"argv": words, "env": {}, "inherit": True, "cwd": "/", "stdout": null, "stderr": null, **launch}


class Daemon:
    """One keeper in a process of its own, in a folder of the test's."""

    def __init__(
        self, folder: Path, *, logger: str = "plain", cgroups: bool = False, wrapper: tuple[str, ...] = (),
        environment: dict[str, str] | None = None, pass_fds: tuple[int, ...] = (), **boot: Any,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cookie = os.urandom(6).hex()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = str(folder / f"control-{self.cookie}")
        self._listener.bind(path)
        self._listener.listen(16)
        self._listener.settimeout(PATIENCE)
        os.chmod(path, 0o777)
        places = {"run_dir": str(folder), "state_dir": str(folder)}
        boot = {"version": "0", "name": "test", "cookie": self.cookie, **places, **boot}
        settings = {"boot": boot, "cgroups": cgroups}
        self.cookie = boot["cookie"]
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "tests.keeper.daemon_main", json.dumps(settings)],
            env={**os.environ, **(environment or {}), "PSERV_TEST_CONTROL": path, "PSERV_TEST_LOGGER": logger},
            cwd=FILE.parents[2], stdin=subprocess.DEVNULL, pass_fds=pass_fds,
        )  # fmt: skip
        self._peers: list[Peer] = []
        self._came: list[Peer] = []

    def _accept(self, kind: str) -> Peer:
        """The next process of the kind; others that came before it wait."""
        while True:
            for peer in self._came:
                if peer.kind == kind:
                    self._came.remove(peer)
                    return peer
            self._came.append(self._connected())

    def _connected(self) -> Peer:
        control, _ = self._listener.accept()
        data, fds, _, _ = socket.recv_fds(control, 256, 1)
        kind, pid = json.loads(data)
        peer = (Supervisor if kind == "supervisor" else Peer)(kind, pid, control, socket.socket(fileno=fds[0]))
        self._peers.append(peer)
        return peer

    def supervisor(self) -> Supervisor:
        """The supervisor that comes next, with its table."""
        peer = self._accept("supervisor")
        assert isinstance(peer, Supervisor)
        peer.table, peer.descriptors = peer.op("table")
        return peer

    def logger(self) -> Peer:
        """The worker of the logger that comes next."""
        return self._accept("logger")

    def others(self) -> bool:
        """Whether any other process of the keeper's has come."""
        return bool(self._came or select.select([self._listener], [], [], 0)[0])

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def finish(self, supervisor: Supervisor, code: int = 0) -> int:
        """The ordinary end."""
        supervisor.send({"op": "finish", "code": code})
        supervisor.exit(0)
        return self.wait()

    def close(self) -> None:
        """Whatever the test came to, leave nothing running."""
        self.process.kill()
        self.process.wait()
        for peer in self._peers:
            try:
                os.kill(peer.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            peer.close()
        self._listener.close()
        leftovers.end(self.cookie, cgroup.find(self.cookie))


def ended(pid: int) -> bool:
    """Wait until the process (anybody's child) has ended; False when it lives on."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], PATIENCE)[0])
    finally:
        os.close(fd)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
