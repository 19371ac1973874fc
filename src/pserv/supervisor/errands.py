"""Short-lived processes of the daemon's own, run through the keeper: the loader, commands of `pserv exec`."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import FileIO

from pserv.keeper import memory
from pserv.keeper.protocol import Message
from pserv.model.errors import PservError
from pserv.system.futures import Future
from pserv.system.processes import Keeper
from pserv.system.streams import Reader
from pserv.system.tasks import Tasks

MAX_OUTPUT = 64 << 20
"""Bytes of standard output that an errand may return."""


class Errand:
    """One process under way: its key and run, and the report of its end."""

    __slots__ = ("_keeper", "ended", "key", "run")

    def __init__(self, keeper: Keeper, key: str, run: int, ended: Future[Message]) -> None:
        self._keeper = keeper
        self.key = key
        self.run = run
        self.ended = ended

    def kill(self) -> None:
        """SIGKILL to all of it; `ended` follows."""
        if not self.ended.done():
            self._keeper.do(self.key, commands=({"do": "kill", "run": self.run},))

    def signal(self, number: int) -> None:
        """To all of it."""
        if not self.ended.done():
            command = {"do": "signal", "run": self.run, "signal": number, "scope": "all"}
            self._keeper.do(self.key, commands=(command,))


class Errands:
    """Starts them, hears of their ends, and leaves no record of them with the keeper."""

    def __init__(self, tasks: Tasks, keeper: Keeper, next_run: Callable[[], int]) -> None:
        self._tasks = tasks
        self._keeper = keeper
        self._next_run = next_run
        self._open: dict[str, Errand] = {}

    def start(self, kind: str, launch: Message, fds: tuple[int, ...]) -> Errand:
        """Spawn; the three descriptors are duplicated and become its stdin, stdout and stderr."""
        run = self._next_run()
        key = f"@{kind}/{run}"
        errand = Errand(self._keeper, key, run, Future())
        self._open[key] = errand
        self._keeper.do(key, commands=({"do": "spawn", "run": run, "launch": launch},), fds=fds)
        return errand

    def resume(self, key: str, run: int) -> Errand:
        """Take over one that an earlier supervisor had started, of whose end nobody has heard."""
        errand = self._open[key] = Errand(self._keeper, key, run, Future())
        return errand

    def abandon(self, key: str, row: Message) -> None:
        """End what an earlier supervisor had started: nobody waits for its answer."""
        run = row.get("run")
        self._keeper.do(key, commands=({"do": "kill", "run": run["run"]},) if run else ({"do": "forget"},))

    def report(self, message: Message) -> None:
        """A report of the keeper about a key that begins with `@`."""
        key, kind, ack = str(message["key"]), message["kind"], (int(message["id"]),)
        errand = self._open.get(key)
        over = kind in ("spawn-failed", "gone", "refused") or (kind == "exited" and message.get("gone", True))
        if errand is not None and kind in ("exited", "spawn-failed", "refused") and not errand.ended.done():
            errand.ended.set_result(message)
        commands: tuple[Message, ...] = ()
        if over:
            commands = ({"do": "forget"},)
            self._open.pop(key, None)
        elif kind == "exited":
            commands = ({"do": "kill", "run": message["run"]},)
        self._keeper.do(key, ack=ack, commands=commands)

    async def collect(self, kind: str, launch: Message, data: bytes, timeout: float) -> tuple[bytes, Message]:
        """Run one to its end, `data` as its stdin: what it printed to stdout, and the report of its end.

        Raises PservError when it takes longer than `timeout` seconds or prints more than `MAX_OUTPUT`.
        """
        stdin = memory.holding(data)
        os.lseek(stdin, 0, os.SEEK_SET)
        out, theirs = os.pipe()
        null = os.open(os.devnull, os.O_WRONLY)
        async with Reader(self._tasks, FileIO(out)) as reader:
            try:
                errand = self.start(kind, launch, (stdin, theirs, null))
            finally:
                for fd in (stdin, theirs, null):
                    os.close(fd)
            try:
                async with self._tasks.timeout(timeout):
                    return await read_all(reader), await errand.ended
            except TimeoutError:
                raise PservError(f"cannot run the {kind}: no answer within {timeout:g} s") from None
            finally:
                errand.kill()


async def read_all(reader: Reader) -> bytes:
    """All bytes until the end. Raises PservError when they are too many."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await reader.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_OUTPUT:
            raise PservError(f"cannot take the answer: more than {MAX_OUTPUT} bytes")
    return b"".join(chunks)
