"""A probe that is a command: run through the keeper as the service would be, nothing of it left afterwards."""

from __future__ import annotations

import errno
import os
from io import FileIO

from pserv.keeper.protocol import Message
from pserv.model import units
from pserv.model.errors import PservError
from pserv.model.spec import ServiceSpec
from pserv.rules import restart
from pserv.supervisor.errands import Errand, Errands
from pserv.system import launches
from pserv.system.launches import Places
from pserv.system.output import Output
from pserv.system.probes import Failed
from pserv.system.streams import Reader
from pserv.system.tasks import Tasks

KEPT = 300
"""Characters of the last output that are told."""
LACKING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What a fork that this machine has no room for fails with; it says nothing of the service."""

KILLED = 2.0
"""Seconds that a command has to end after SIGKILL; one that takes longer hangs in the kernel."""
MOST_PRINTED = 1 << 20
"""Bytes of output after which a probe is killed."""


class ExecProbe:
    """The commands of one probe of one run, one after the other."""

    __slots__ = ("_errands", "_last", "_tasks")

    def __init__(self, tasks: Tasks, errands: Errands) -> None:
        self._tasks = tasks
        self._errands = errands
        self._last: Errand | None = None

    async def run(self, spec: ServiceSpec, places: Places, argv: tuple[str, ...], limit: float, name: str) -> str:
        """Run it to its end for service `name`, at most `limit` seconds; what it said.

        Raises Failed, and PservError or OSError where it was not even begun.
        """
        if self._last is not None and not self._last.ended.done():
            raise Failed("the last command still hangs in the kernel: SIGKILL did not end it")
        out, theirs = os.pipe()
        with open(os.devnull, "rb") as nothing:
            async with Reader(self._tasks, FileIO(out)) as reader:
                try:
                    launch = launches.command_launch(spec, argv, places, name)
                    errand = self._last = self._errands.start("probe", launch, (nothing.fileno(), theirs, theirs))
                finally:
                    os.close(theirs)
                output = Output(self._tasks, reader, kept=KEPT, limit=MOST_PRINTED, on_much=errand.kill)
                try:
                    async with self._tasks.timeout(limit):
                        report = await errand.ended
                    return _told(report, output)
                except TimeoutError:
                    errand.kill()
                    await self._tasks.wait(errand.ended, KILLED)
                    said, told = output.line(), f"not done after {units.show_duration(limit)}: killed"
                    raise Failed(f"{told}; {said}" if said else told) from None
                finally:
                    output.close()
                    errand.kill()


def _told(report: Message, output: Output) -> str:
    """What it said. Raises as `run`."""
    if report["kind"] == "refused":
        raise PservError(str(report.get("error", "refused")))
    if report["kind"] == "spawn-failed":
        number = int(report["errno"])
        if number in LACKING:
            raise OSError(number, os.strerror(number))
        told = restart.describe_step(str(report["step"]), number, str(report.get("detail", "")), os.strerror(number))
        raise Failed(told if number != errno.ENOENT else f"{told}: is it in the service's PATH?")
    said = output.line()
    if output.too_much:
        raise Failed(f"killed: it printed more than {units.show_size(MOST_PRINTED)}")
    if report.get("signal"):
        how = f"killed by SIG{units.show_signal(int(report['signal']))}"
    else:
        how = "SIGKILL did not end it" if report.get("code") is None else f"exit code {report['code']}"
    told = f"{how}: {said}" if said else how
    if report.get("code") != 0:
        raise Failed(told)
    return told
