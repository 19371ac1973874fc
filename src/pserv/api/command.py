"""A command of `pserv exec` under way: its output as it comes, its end as a shell tells it."""

from __future__ import annotations

import asyncio
import codecs
import errno
import os
from collections.abc import AsyncIterator

from pserv.api import operations as op
from pserv.model.errors import PservError
from pserv.rules import restart
from pserv.supervisor.errands import Errand
from pserv.supervisor.main import Session
from pserv.system import memory


class Command:
    """A command of `pserv exec` under way, its output in two pipes."""

    def __init__(self, session: Session, launch: dict[str, object], stdin: bytes) -> None:
        source = memory.holding(stdin)
        os.lseek(source, 0, os.SEEK_SET)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self.errand: Errand = session.errands.start("exec", launch, (source, out_end, err_end))
        for fd in (source, out_end, err_end):
            os.close(fd)
        self._pipes = {"stdout": out, "stderr": err}
        self._queue: asyncio.Queue[op.Output | None] = asyncio.Queue(16)
        self._readers: list[asyncio.Task[None]] = []

    async def output(self) -> AsyncIterator[op.Output]:
        """Pieces as they come, until both pipes are closed."""
        self._readers = [asyncio.create_task(self._pump(name, fd)) for name, fd in self._pipes.items()]
        self._pipes = {}
        left = len(self._readers)
        while left:
            piece = await self._queue.get()
            if piece is None:
                left -= 1
            else:
                yield piece

    async def _pump(self, name: str, fd: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 16, loop=loop)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(fd, "rb", buffering=0)
        )
        try:
            while data := await reader.read(1 << 15):
                text = decoder.decode(data)
                if text:
                    await self._queue.put(op.Output(name, text))  # type: ignore[arg-type]
        finally:
            transport.close()
        await self._queue.put(None)

    def ended(self, report: dict[str, object]) -> op.Ended:
        """The exit code as a shell tells it."""
        if report["kind"] == "spawn-failed":
            step, number, detail = str(report["step"]), int(str(report["errno"])), str(report.get("detail", ""))
            told = restart.describe_step(step, number, detail, os.strerror(number))
            return op.Ended(127 if number == errno.ENOENT else 126, told)
        if report.get("signal"):
            return op.Ended(128 + int(str(report["signal"])), f"killed by signal {report['signal']}")
        if "code" not in report:
            raise PservError(f"cannot run the command: {report.get('error', 'refused')}")
        return op.Ended(int(str(report["code"])))

    def close(self) -> None:
        """Nothing of it is left, whoever went away first."""
        self.errand.kill()
        for reader in self._readers:
            reader.cancel()
        for fd in self._pipes.values():
            os.close(fd)
