"""What the supervisor tells the keeper, carried out: transactions on a key, and what concerns the whole daemon."""

from __future__ import annotations

import os

from pserv.keeper.protocol import Message
from pserv.keeper.runs import Record, passed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.main import Keeper


class Commands:
    """Takes the messages apart; who can do what they ask for is in the keeper's parts."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def receive(self, message: Message, fds: tuple[int, ...]) -> None:
        """One message of the supervisor's. Raises KeyError, TypeError or ValueError for one of another shape."""
        keeper = self._keeper
        if keeper.upgrade.held_back(message, fds):
            return
        op = message.get("op")
        if op == "do":
            self._do(message, fds)
            return
        keeper.spawning.births.fork()
        if op == "configure" and fds:
            self._keep_document(fds[0])
            fds = fds[1:]
        for fd in fds:
            os.close(fd)
        if op == "configure" and message.get("shutdown_timeout") is not None:
            keeper.boot.shutdown_timeout = float(message["shutdown_timeout"])
        elif op == "ready":
            keeper.supervision.served = True
            self._ready(str(message.get("text") or "ready"))
        elif op == "fork":
            self._fork_reader(message)
        elif op == "upgrade":
            self._reply(message, error=keeper.upgrade.start(message))
        elif op == "yielded":
            keeper.upgrade.yielded()
        elif op == "loggers":
            self._reply(message, pids=sorted(keeper.loggers.pids()), dropped=keeper.notices.dropped)
        elif op == "journals":
            rows, journals = keeper.streams.journals(message["key"], message["run"])
            self._reply(message, journals, streams=rows)
        elif op == "finish":
            keeper.order.finish(int(message["code"]))
        elif op == "target":
            keeper.streams.retarget(message["run"], message["stream"], message["target"])
        elif op == "settings":
            keeper.streams.configure(message["logs"])
        elif op == "reopen":
            keeper.streams.reopen(lambda error: self._reply(message, error=error))
        elif "seq" in message and op != "configure":
            self._reply(message, error=f"unknown operation: {op}")

    # Transactions.

    def _do(self, message: Message, fds: tuple[int, ...]) -> None:
        keeper = self._keeper
        commands = message.get("commands") or ()
        spawns = any(command.get("do") == "spawn" for command in commands)
        if not all(command.get("do") == "spawn" for command in commands):
            keeper.spawning.births.fork()  # it may be about one of these
        refusal = keeper.records.refusal(message, len(fds))
        if refusal is None and keeper.order.finishing and spawns:
            refusal = "the daemon ends"
        if refusal is not None:
            self._refuse(message, fds, refusal)
            return
        record = keeper.records.by_key.get(message["key"]) or Record(message["key"])
        if message.get("note") is not None or spawns or any(command.get("do") == "listen" for command in commands):
            keeper.records.by_key[record.key] = record  # an acknowledgement alone is nothing to remember a key for
        if message.get("note") is not None:
            record.note = message["note"]
        keeper.reports.acknowledge(message.get("ack") or ())
        keeper.notices.acknowledged(message.get("ack") or ())
        keeper.supervision.watch()
        rest = list(fds)
        for command in commands:
            self._carry_out(self._record(record, command), command, rest)
        if "seq" in message:
            self._reply(message)

    def _record(self, record: Record, command: Message) -> Record:
        """Whose command it is: the transaction's, unless it names another key (a hook of the service)."""
        key = command.get("key", record.key)
        if key == record.key:
            return record
        other = self._keeper.records.by_key.get(key) or Record(key)
        if command["do"] == "spawn":
            self._keeper.records.by_key[key] = other
        return other

    def _refuse(self, message: Message, fds: tuple[int, ...], refusal: str) -> None:
        for fd in fds:
            os.close(fd)
        if "seq" in message:
            self._reply(message, error=refusal)
        else:
            self._keeper.reports.add("refused", str(message.get("key")), error=refusal)

    def _carry_out(self, record: Record, command: Message, fds: list[int]) -> None:
        keeper = self._keeper
        what = command["do"]
        if what == "spawn":
            count = sum(passed(command["launch"]))
            taken, fds[:count] = fds[:count], []
            keeper.spawning.spawn(record, command["run"], command["launch"], taken)
        elif what == "listen":
            keeper.records.last_run = command["run"]
            keeper.sockets.listen(record, command["run"], command["sockets"])
        elif what == "open":
            keeper.sockets.prepare(record, command["sockets"])
        elif what == "close":
            keeper.sockets.drop(record)
        elif what == "forget":
            keeper.sockets.drop(record)
            keeper.notices.storing.discard(record)
            keeper.records.by_key.pop(record.key, None)
        elif what == "discard":
            keeper.notices.storing.discard(record)
        elif record.run is None or record.run.number != command["run"]:
            return  # gone already; the report of it and this command passed each other
        elif what == "adopt":
            keeper.following.adopt(record.run, command.get("pid"))
        elif what == "signal":
            keeper.signals.send(record.run, int(command["signal"]), command.get("scope", "main"))
        else:
            keeper.endings.kill(record.run)

    # The daemon.

    def _reply(self, message: Message, fds: tuple[int, ...] = (), error: str | None = None, **facts: object) -> None:
        reply: Message = {"op": "reply", "seq": message["seq"], **facts}
        self._keeper.supervision.send(reply if error is None else {**reply, "error": error}, fds)

    def _ready(self, text: str) -> None:
        boot = self._keeper.boot
        if boot.ready_fd >= 0:
            try:
                os.write(boot.ready_fd, text.encode() + b"\n")
            except OSError:
                pass  # who waited has gone
            os.close(boot.ready_fd)
            boot.ready_fd = -1

    def _keep_document(self, fd: int) -> None:
        boot = self._keeper.boot
        if boot.document_fd >= 0:
            os.close(boot.document_fd)
        boot.document_fd = fd

    def _fork_reader(self, message: Message) -> None:
        role = message.get("role", "reader")
        if not self._keeper.roles.has(role):
            self._reply(message, error=f"unknown role: {role}")
            return
        try:
            end = self._keeper.readers.fork(role, str(message.get("argument", "")))
        except OSError as error:
            self._reply(message, error=f"cannot start a {role}: {error.strerror}")
            return
        with end:
            self._reply(message, (end.fileno(),))
