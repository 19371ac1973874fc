"""The keeper: parent of every process, holder of what must outlive a supervisor. Its parts are put together here."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Iterable, Mapping

from pserv.keeper import cgroup, handover, host, leftovers
from pserv.keeper.adopting import Adopting
from pserv.keeper.boot import Boot
from pserv.keeper.commands import Commands
from pserv.keeper.endings import Endings
from pserv.keeper.following import Following
from pserv.keeper.link import Trace
from pserv.keeper.loop import READ, Loop
from pserv.keeper.membership import Membership
from pserv.keeper.notices import Notices
from pserv.keeper.order import Order
from pserv.keeper.protocol import PROTOCOL, Message
from pserv.keeper.readers import Readers
from pserv.keeper.reports import Reports
from pserv.keeper.roles import Role, Roles
from pserv.keeper.runs import Records, Run
from pserv.keeper.signals import Signals
from pserv.keeper.sockets import Sockets
from pserv.keeper.spawning import Spawning
from pserv.keeper.streams import LOG_KEY, Streams
from pserv.keeper.supervision import Supervision
from pserv.keeper.upgrade import Upgrade

__all__ = ("Boot", "resume", "run")


class Keeper:
    """One daemon's keeper; `run` returns its exit code."""

    def __init__(self, boot: Boot, roles: Mapping[str, Role], original: host.Original, trace: Trace | None) -> None:
        self.boot = boot
        self.original = original
        self.trace = trace
        self.loop = Loop(self._signals, self._turn_ended)
        self.roles = Roles(roles, original, boot.kept)
        self.records = Records()
        self.commands = Commands(self)
        self.supervision = Supervision(
            self.loop, self.roles, self.commands.receive, self.table, self._supervisor_died, boot.ack_timeout, trace
        )
        self.reports = Reports(self._deliver)
        self.supervision.reports = self.reports
        self.streams = Streams(self.loop, self.roles, self.reports, trace)
        self.loggers = self.streams.loggers
        self.adopting = Adopting(self.loop, self.records, self._main_ended)
        self.notices = Notices(self.loop, self.records, self.reports, boot.run_dir, boot.cookie, self.adopting.adopt)
        self.sockets = Sockets(self.loop, self.records, self.reports)
        self.spawning = Spawning(
            self.loop, self.records, self.reports, self.streams, self.notices, self.sockets, original, boot.cookie
        )
        self.membership = Membership(self.records, self.roles, boot.cookie)
        self.signals = Signals(self.membership)
        self.endings = Endings(
            self.loop, self.records, self.reports, self.streams, self.spawning, self.notices, self.adopting, self.roles,
            self.membership, self.signals, boot.drain_timeout,
        )  # fmt: skip
        self.following = Following(
            self.reports, self.notices.member, self.membership, self.adopting.take, self.endings.revive
        )
        self.order = Order(self)
        self.upgrade = Upgrade(self)
        self.readers = Readers(self.roles)
        self.facts: Message = {"keeper_pid": os.getpid(), "started": time.monotonic(), "leftovers": 0}
        self.capabilities: Message = {"proc": os.path.exists("/proc/self/stat"), "pidfd": hasattr(os, "pidfd_open")}

    def load(self) -> None:
        """Wait for what the boot still lacks, while the first supervisor loads its code. Raises what that raises.

        No signal is caught yet: a configuration on a dead mount is no reason to be deaf to TERM. Nothing is ended
        before the configuration is known to be right.
        """
        # So that no collection in a child writes to the pages it shares. To look first for the 30 KB that imports leave
        # in circles would take longer than to fork.
        gc.freeze()
        gc.enable()  # the boot runs without
        if self.boot.complete is not None:
            self.supervision.begin()
            try:
                self.boot.complete()
            except BaseException:
                self.supervision.abandon()
                raise

    def prepare(self, use_cgroups: bool) -> None:
        """Everything that comes before the first run, the end of an earlier keeper's leftovers included."""
        root = cgroup.find(self.boot.cookie)
        self.notices.addresses.clean()
        self.facts["leftovers"] = leftovers.end(self.boot.cookie, root)
        self.spawning.cgroups = cgroup.open_root(root) if use_cgroups and root is not None else None
        subreaper = host.become_subreaper() or os.getpid() == 1
        self.capabilities |= {
            "cgroup": self.spawning.cgroups is not None, "subreaper": subreaper, "root": os.geteuid() == 0,
        }  # fmt: skip

    def run(self) -> int:
        """The loop, from the first supervisor to the last process."""
        self.loop.listen()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # blocked since before the exec, when there was one
        if self.boot.lease_fd >= 0:
            os.set_blocking(self.boot.lease_fd, False)
            self.loop.watch(self.boot.lease_fd, READ, self._lease_ended)
        gc.freeze()
        self.supervision.start()  # it has to think before it wants anything: time for the logger
        if self.roles.has("logger"):
            self.loggers.start()
            self._open_log()
        meanwhile, self.boot.meanwhile = self.boot.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        self.endings.resume()
        while self.order.exit_code is None:
            self.loop.turn()
        self._close()
        return self.order.exit_code

    def _open_log(self) -> None:
        """What we and our own processes print goes to the file by way of the logger, so that no disk holds us up."""
        if not self.boot.log:
            return
        read_end, write_end = os.pipe()
        own = self.streams.add(LOG_KEY, 0, "stderr", {"kind": "file", "path": self.boot.log}, False, read_end)
        self.streams.born([own], os.getpid())
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        os.close(write_end)
        self.boot.log = ""  # open from now on, also for a program that takes over

    def _close(self) -> None:
        for path in self.boot.paths:
            try:
                os.unlink(path)
            except OSError:
                pass
        self.notices.addresses.clean()
        self.sockets.close()
        if self.spawning.cgroups is not None:
            self.spawning.cgroups.close()
        self.loop.close()

    def _signals(self, came: set[int]) -> None:
        if signal.SIGCHLD in came:
            self.endings.child_ended()
        if signal.SIGHUP in came:
            self.reports.add("order", what="reload", count=1, signal=int(signal.SIGHUP))
        if signal.SIGUSR1 in came:
            self.streams.reopen(_nothing)
        for signum in (signal.SIGTERM, signal.SIGINT):
            if signum in came:
                self.order.ordered(int(signum))

    def _turn_ended(self) -> None:
        self.endings.turn_ended()
        self.upgrade.turn_ended()
        self.order.turn_ended()

    def _main_ended(self, run: Run, code: int | None, signum: int | None, core: bool) -> None:
        self.endings.adopted_ended(run, code, signum, core)

    def _lease_ended(self, events: int) -> None:
        try:
            if os.read(self.boot.lease_fd, 256):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.loop.unwatch(self.boot.lease_fd)
        self.order.ordered(0)

    # What the supervisor is told.

    def _supervisor_died(self) -> None:
        self.upgrade.fail("the old supervisor died")
        self.readers.kill_all()

    def _deliver(self, report: Message) -> None:
        self.supervision.send(report)
        self.upgrade.told(report)

    def table(self) -> tuple[Message, tuple[int, ...]]:
        boot = self.boot
        document, lock = boot.document_fd >= 0, boot.lock_fd >= 0
        fds = (*boot.sockets, *([boot.document_fd] if document else []), *([boot.lock_fd] if lock else []))
        return {
            "op": "table",
            "protocol": PROTOCOL,
            "version": boot.version,
            "boot": {
                **boot.extra, **self.facts, "name": boot.name, "run_dir": boot.run_dir, "state_dir": boot.state_dir,
                "sockets": boot.paths, "shutdown_timeout": boot.shutdown_timeout, "cookie": boot.cookie,
            },
            "document": document,
            "lock": lock,
            "records": self.records.described(),
            "reports": list(self.reports.kept.values()),
            "end": self.order.described(),
            "deaths": self.supervision.deaths,
            "safe": self.supervision.safe,
            "last_run": self.records.last_run,
            "capabilities": self.capabilities,
        }, fds  # fmt: skip


def _nothing(error: str | None) -> None:
    """Who sends a signal gets no answer."""


def run(boot: Boot, roles: Mapping[str, Role], trace: Trace | None = None, use_cgroups: bool = True) -> int:
    """Be the keeper until the end was ordered and is done; the exit code. `trace` hears of every message, for tests."""
    keeper = Keeper(boot, roles, host.prepare(), trace)
    keeper.load()
    keeper.prepare(use_cgroups)
    return keeper.run()


def resume(
    fd: int, roles: Mapping[str, Role], version: str, kept: Iterable[int] = (), trace: Trace | None = None
) -> int:
    """Be the keeper in place of an older program of the same process, which left its state in `fd`.

    With -1 only see that all is loaded: 0.
    """
    if fd == handover.CHECK:
        return 0
    state = handover.read(fd)
    host.prepare()
    original = host.Original(**state["original"])
    keeper = Keeper(Boot(version, **state["boot"], kept=kept), roles, original, trace)
    handover.restore(keeper, state)
    keeper.reports.add("upgrade", ok=True, text="a new keeper has taken over")
    return keeper.run()
