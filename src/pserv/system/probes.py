"""One question of a probe to a service: the success in words, or a reason. When it is asked is the prober's.

Connections are made on the loop; what may hang is asked by `asking` in a fork of the keeper. Commands are in
`supervisor.exec_probe`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from pserv.keeper import quickjson
from pserv.keeper.loop import WRITE
from pserv.model import units
from pserv.model.probe import Http, Probe
from pserv.system import asking, http_exchange
from pserv.system.http_exchange import Answer, BadAnswer
from pserv.system.printed import Printed
from pserv.system.streams import Reader, send_all
from pserv.system.tasks import Tasks

LOCAL = ("127.0.0.1", "::1")
"""What `localhost` is, whatever a resolver says (RFC 6761)."""

OURS = frozenset({errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What this machine or process lacks; it says nothing of the service."""

Fork = Callable[[str], Awaitable[socket.socket]]
"""Starts the role `asker` with this argument; the socket to it. Raises PservError."""


class Failed(Exception):
    """The answer is no success; the text is the reason, for people."""


class Asker:
    """Asks the questions of one probe of one run, one after the other.

    Each raises Failed, and PservError or OSError where it could not be asked.
    """

    __slots__ = ("_fork", "_found", "_hangs", "_searched", "_tasks")

    def __init__(self, tasks: Tasks, fork: Fork) -> None:
        self._tasks = tasks
        self._fork = fork
        self._hangs: socket.socket | None = None
        """The socket of a fork that did not answer in time: it is open until that process has ended."""
        self._searched: dict[str, str] = {}
        self._found = ""

    def close(self) -> None:
        if self._hangs is not None:
            self._hangs.close()
            self._hangs = None

    async def http(self, http: Http, limit: float) -> str:
        """Raises Failed."""
        deadline = self._tasks.time() + limit
        port = http.port or (443 if http.scheme == "https" else 80)
        addresses = await self._addresses(http.host, limit)
        asked = {**msgspec.structs.asdict(http), "port": port}
        if http.scheme == "https":
            left = max(deadline - self._tasks.time(), 0.001)
            return str((await self._forked({"ask": "https", "addresses": addresses, **asked}, left, limit))["detail"])
        answer = Answer(without_body=http.method == "HEAD")
        try:
            async with self._tasks.timeout_at(deadline):
                await self._exchange(addresses, port, asking.exchanged(asked), answer)
        except TimeoutError:
            raise Failed(f"{answer.so_far} within {units.show_duration(limit)}") from None
        except BadAnswer as error:
            raise Failed(str(error)) from None
        ok, told = http_exchange.verdict(answer, http.status, http.body)
        if not ok:
            raise Failed(told)
        return told

    async def _exchange(self, addresses: Iterable[str], port: int, request: bytes, answer: Answer) -> None:
        sock = await self._connected(addresses, port)
        async with Reader(self._tasks, sock) as reader:
            try:
                await send_all(self._tasks, sock, request)
                while not answer.complete:
                    answer.feed(await reader.read())
            except OSError as error:
                raise Failed(asking.words(error)) from None

    async def tcp(self, host: str, port: int, limit: float) -> str:
        """Raises Failed."""
        deadline = self._tasks.time() + limit
        addresses = await self._addresses(host, limit)
        try:
            async with self._tasks.timeout_at(deadline):
                (await self._connected(addresses, port)).close()
        except TimeoutError:
            raise Failed(f"no connection to {asking.place(host, port)} within {units.show_duration(limit)}") from None
        return f"{asking.place(host, port)} accepts"

    async def path(self, probe: Probe, limit: float) -> str:
        """A unix socket or a file. Raises Failed."""
        if probe.unix is not None:
            asked: dict[str, Any] = {"ask": "unix", "path": probe.unix.path}
        else:
            assert probe.file is not None
            asked = {"ask": "file", "path": probe.file.path, "younger_than": probe.file.younger_than}
        return str((await self._forked(asked, limit, limit))["detail"])

    async def log(self, pattern: str, run: int, printed: Iterable[Printed], limit: float) -> str:
        """Search in what the run has printed since the last question. Raises Failed."""
        if self._found:
            return self._found
        files: list[dict[str, Any]] = []
        for output in printed:
            key = str(output.stream)
            after = self._searched.get(key, "")
            if output.start >= 0 or after:
                files.append({"key": key, "path": output.path, "start": output.start, "after": after})
        if not files:
            raise Failed("nothing was printed yet")
        answer = await self._forked(
            {"ask": "log", "pattern": pattern, "run": run, "files": files}, limit, limit, failing=True
        )
        self._searched.update(answer.get("at", {}))
        if not answer["ok"]:
            raise Failed(str(answer["detail"]))
        self._found = str(answer["detail"])
        return self._found

    # -- connections --------------------------------------------------------------------------------------------

    async def _addresses(self, host: str, limit: float) -> list[str]:
        """Numeric addresses; a name is resolved in a fork, since getaddrinfo(3) waits for the net. Raises Failed."""
        if host.lower().rstrip(".") == "localhost":
            return list(LOCAL)
        if _family(host) is not None:
            return [host]
        answer = await self._forked({"ask": "resolve", "host": host}, limit, limit)
        return [str(address) for address in answer["addresses"]]

    async def _connected(self, addresses: Iterable[str], port: int) -> socket.socket:
        """A connection to the first address that accepts one. Raises Failed."""
        reason = "no address"
        for address in addresses:
            sock = socket.socket(_family(address) or socket.AF_INET, socket.SOCK_STREAM)
            try:
                if (number := await self._connect(sock, address, port)) == 0:
                    return sock
            except BaseException:
                sock.close()
                raise
            sock.close()
            if number in OURS:
                raise OSError(number, os.strerror(number))
            text = asking.words(OSError(number, os.strerror(number)))
            told = f"{text} at {asking.place(address, port)}"
            reason = told if reason == "no address" or address not in LOCAL else reason
        raise Failed(reason)

    async def _connect(self, sock: socket.socket, address: str, port: int) -> int:
        """The errno of connect(2)."""
        sock.setblocking(False)
        number = sock.connect_ex((address, port))
        if number == errno.EINPROGRESS:
            await self._tasks.ready(WRITE, sock.fileno())
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == 0 and sock.getsockname() == sock.getpeername():
            return errno.ECONNREFUSED  # our own port was chosen as the source: TCP connected us to ourselves
        return number

    # -- forks of the keeper ------------------------------------------------------------------------------------

    async def _forked(
        self, asked: dict[str, Any], left: float, limit: float, *, failing: bool = False
    ) -> dict[str, Any]:
        """The answer of a fork within `left` of the `limit`. Raises Failed; with `failing` not for an answer."""
        if self._hangs is not None and not _ended(self._hangs):
            raise Failed("the last question still hangs in the kernel: a disk or server that does not answer")
        self.close()
        sock = await self._fork(quickjson.dumps({**asked, "limit": left}))
        reader = Reader(self._tasks, sock)
        try:
            async with self._tasks.timeout(left):
                line = await reader.readline()
        except TimeoutError:
            self._hangs, line = sock, b""
        except BaseException:
            sock.close()
            raise
        else:
            sock.close()
        if not line:
            raise Failed(f"no answer within {units.show_duration(limit)}")
        answer: dict[str, Any] = quickjson.loads(line.decode())
        if not answer["ok"] and not failing:
            raise Failed(str(answer["detail"]))
        return answer


def _family(host: str) -> socket.AddressFamily | None:
    """Of a numeric address; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


def _ended(sock: socket.socket) -> bool:
    """Whether the process at the other end has ended; what it may still have said is not wanted any more."""
    try:
        while sock.recv(1 << 12):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
