"""The operation `exec`: a command under way, its output as it comes, its end as a shell tells it."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from io import FileIO

from pserv.api import operations as op
from pserv.keeper import memory
from pserv.keeper.loop import READ
from pserv.model.errors import PservError, UsageError
from pserv.rules import references, restart
from pserv.supervisor.errands import Errand
from pserv.supervisor.main import Session
from pserv.system import launches
from pserv.system.streams import Reader

PIECE = 1 << 15
"""Bytes of output in one line of the reply, at most."""


async def execute(session: Session, name: str, request: op.Execute) -> AsyncGenerator[op.Output | op.Ended, None]:
    """Run a command as this service is run, to its end or until the time is over. Raises UsageError and Refused."""
    if not request.argv:
        raise UsageError("cannot run nothing: a command is missing", f"pserv exec {name} -- COMMAND")
    supervisor = session.supervisor
    if references.needed(supervisor.specs[name]) and supervisor.records[name].values is None:
        await session.on_demand.resolving.first(name)
    launch = launches.command_launch(supervisor.given(name), request.argv, supervisor.places, name)
    deadline = None if request.timeout is None else session.tasks.time() + request.timeout
    with Command(session, launch, request.stdin.encode()) as run:
        try:
            async with aclosing(run.output(deadline)) as pieces:
                async for piece in pieces:
                    yield piece
            async with session.tasks.timeout_at(deadline):
                report = await run.errand.ended
            yield run.ended(report)
        except TimeoutError:
            yield op.Ended(124, f"not done after {request.timeout:g} s: killed")


class Command:
    """A command of `pserv exec` under way, its output in two pipes. `with` it: afterwards nothing of it is left."""

    def __init__(self, session: Session, launch: dict[str, object], stdin: bytes) -> None:
        self._tasks = session.tasks
        self._pipes: dict[str, Reader] = {}
        ends = [memory.holding(stdin)]
        try:
            os.lseek(ends[0], 0, os.SEEK_SET)
            for name in ("stdout", "stderr"):
                read_end, write_end = os.pipe()
                ends.append(write_end)
                self._pipes[name] = Reader(self._tasks, FileIO(read_end))
            self.errand: Errand = session.errands.start("exec", launch, tuple(ends))
        except BaseException:
            self._close()
            raise
        finally:
            for fd in ends:
                os.close(fd)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.errand.kill()
        self._close()

    def _close(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()

    async def output(self, deadline: float | None) -> AsyncGenerator[op.Output, None]:
        """Pieces as they come, until both pipes are closed. Raises TimeoutError."""
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._pipes}
        while self._pipes:
            async with self._tasks.timeout_at(deadline):
                name, data = await self._next()
            text = decoders[name].decode(data, final=not data)
            if text:
                yield op.Output(name, text)  # type: ignore[arg-type]

    async def _next(self) -> tuple[str, bytes]:
        """Bytes of the pipe that has some, in turn if both have; empty when it has ended, then it is closed."""
        while True:
            for name, pipe in self._pipes.items():
                data = pipe.take(PIECE)
                if data is None:
                    continue
                del self._pipes[name]
                if data:
                    self._pipes[name] = pipe  # behind the other
                else:
                    pipe.close()
                return name, data
            await self._tasks.ready(READ, *(pipe.fileno() for pipe in self._pipes.values()))

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
