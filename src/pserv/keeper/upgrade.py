"""Handing over to another version, services untouched: a supervisor on trial, the logger, or the keeper itself."""

from __future__ import annotations

import os
import signal
import time

from pserv.keeper import handover
from pserv.keeper.link import Link
from pserv.keeper.protocol import Message
from pserv.keeper.roles import described
from pserv.keeper.worker import how

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.main import Keeper

_YIELD_PATIENCE = 0.5
"""Seconds for the old supervisor to say that it has said all."""
_TRIAL_PATIENCE = 10.0
_CLEAR_PATIENCE = 3.0
"""Seconds for supervisor and logger to end before the keeper exchanges its own program."""


class Upgrade:
    """One attempt at a time: `stage` is "" when none is made.

    supervisor: "yielding" (the old one says its last, the new one loads), "trial" (the new one has the table; what
    both say is kept back), then its place is taken or given back. keeper: "check" (the new program is asked whether it
    loads), "clearing" (supervisor and logger end), then execve.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._argv: list[str] = []
        self._pid = 0
        self._link: Link | None = None
        self._held: list[tuple[Message, tuple[int, ...]]] = []
        self._held_by_old: list[tuple[Message, tuple[int, ...]]] = []
        self._last_told = 0
        self.stage = ""

    def start(self, message: Message) -> str | None:
        """Begin; why not, when it cannot be begun. How it went is a report."""
        argv = message.get("argv")
        if self.stage or self._keeper.order.finishing:
            return "cannot upgrade: an upgrade is under way" if self.stage else "cannot upgrade: the daemon ends"
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            return "cannot upgrade: argv is no list of words"
        self._argv = argv
        try:
            if message.get("keeper"):
                self._check()
            else:
                self._try()
        except OSError as error:
            self.stage = ""
            return f"cannot upgrade: {error.strerror}"
        return None

    def _at(self, stage: str, seconds: float) -> None:
        self.stage = stage
        self._keeper.loop.at("upgrade", time.monotonic() + seconds, self._late)

    def _late(self) -> None:
        if self.stage == "yielding":
            self.yielded()
        elif self.stage == "clearing":
            self._exec()
        elif self.stage == "check":
            os.kill(self._pid, signal.SIGKILL)
        else:
            self.fail(f"the new supervisor was not ready within {_TRIAL_PATIENCE:g} s")

    # A new supervisor.

    def _try(self) -> None:
        keeper = self._keeper
        self._pid, sock = keeper.roles.execute([*self._argv, "supervisor"], self._trial_ended)
        self._link = Link("successor", sock, keeper.loop, self._from_new, self._lost, keeper.trace)
        keeper.supervision.send({"op": "yield"})
        self._at("yielding", _YIELD_PATIENCE)

    def yielded(self) -> None:
        """The old supervisor has said all, or had its time: from now on the new one is told what happens."""
        keeper = self._keeper
        if self.stage == "clearing":
            keeper.supervision.kill()
        if self.stage != "yielding" or self._link is None:
            return
        self._at("trial", _TRIAL_PATIENCE)
        keeper.supervision.paused = True
        keeper.supervision.watch()
        self._last_told = keeper.reports.last
        message, fds = keeper.table()
        self._send(message, fds)

    def _send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        if self._link is not None:
            try:
                self._link.send(message, fds)
            except OSError as error:
                self.fail(f"cannot tell the new supervisor: {error.strerror}")

    def told(self, message: Message) -> None:
        """A report that arose during the trial."""
        if self.stage == "trial":
            self._send(message)

    def held_back(self, message: Message, fds: tuple[int, ...]) -> bool:
        """Whether what the old supervisor says has to wait for the outcome."""
        if self.stage == "trial":
            self._held_by_old.append((message, fds))
        return self.stage == "trial"

    def _from_new(self, message: Message, fds: tuple[int, ...]) -> None:
        if not self.stage:
            self._keeper.commands.receive(message, fds)
        elif message.get("op") == "ready":
            self._succeed()
        else:
            self._held.append((message, fds))

    def _lost(self) -> None:
        if self._link is None:  # it is the supervisor by now
            self._keeper.supervision.kill()
        else:
            self.fail("the new supervisor hung up")

    def _trial_ended(self, status: int) -> None:
        self._pid = 0
        self.fail(f"the new supervisor ended: {how(described(status))}")

    def _succeed(self) -> None:
        keeper, link, pid = self._keeper, self._link, self._pid
        assert link is not None
        held = self._held
        _close(self._held_by_old)
        self._reset()
        keeper.supervision.hand_over(pid, link, [*self._argv, "supervisor"])
        for message, fds in held:
            keeper.commands.receive(message, fds)
        keeper.reports.add("upgrade", ok=True, text="a new supervisor has taken over")
        if keeper.roles.has("logger"):
            keeper.loggers.exchange([*self._argv, "logger"])

    def fail(self, text: str) -> None:
        """Back to how it was: the old supervisor goes on, and gets what it missed."""
        if self.stage not in ("yielding", "trial"):
            return
        keeper, link, pid, on_trial = self._keeper, self._link, self._pid, self.stage == "trial"
        held = self._held_by_old
        _close(self._held)
        self._reset()
        if pid:
            keeper.roles.own[pid] = _nothing
            os.kill(pid, signal.SIGKILL)
        if link is not None:
            link.close()
        keeper.supervision.paused = False
        keeper.supervision.send({"op": "resume"})
        if on_trial:
            for number, report in keeper.reports.kept.items():
                if number > self._last_told:
                    keeper.supervision.send(report)
            for message, fds in held:
                keeper.commands.receive(message, fds)
        keeper.reports.add("upgrade", ok=False, text=text)
        keeper.supervision.watch()

    def _reset(self) -> None:
        self.stage = ""
        self._keeper.loop.cancel("upgrade")
        self._link, self._pid = None, 0
        self._held, self._held_by_old = [], []

    # The keeper itself.

    def _check(self) -> None:
        """A program that cannot even be loaded must not become the parent of all: it is asked first, in a child."""
        self._pid = self._keeper.roles.check([*self._argv, "keeper", str(handover.CHECK)], self._checked)
        self._at("check", _TRIAL_PATIENCE)

    def _checked(self, status: int) -> None:
        self._pid = 0
        if status != 0:
            self._reset()
            self._keeper.reports.add(
                "upgrade", ok=False, text=f"the new keeper does not load: {how(described(status))}"
            )
            return
        self._at("clearing", _CLEAR_PATIENCE)
        self._keeper.supervision.send({"op": "yield"})
        self._keeper.readers.kill_all()
        self._keeper.supervision.ending = True
        self._keeper.loop.at("yielded", time.monotonic() + _YIELD_PATIENCE, self._keeper.supervision.kill)
        self._keeper.loggers.release_all()

    def turn_ended(self) -> None:
        """When supervisor and logger have ended, nothing stands in the way."""
        if self.stage == "clearing" and not self._keeper.supervision.pid and not self._keeper.loggers.pids():
            self._exec()

    def _exec(self) -> None:
        keeper = self._keeper
        keeper.supervision.kill()
        keeper.loggers.kill_all()
        error = handover.execute(keeper, [*self._argv, "keeper"])
        self._reset()  # still here: the program could not be executed
        keeper.supervision.ending = False
        keeper.reports.add("upgrade", ok=False, text=f"cannot hand over to {self._argv[0]}: {error}")
        keeper.loggers.resume_all()
        keeper.supervision.start()


def _close(held: list[tuple[Message, tuple[int, ...]]]) -> None:
    for _, fds in held:
        for fd in fds:
            os.close(fd)


def _nothing(status: int) -> None:
    """A process that nobody waits for any more is reaped."""
