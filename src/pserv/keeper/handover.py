"""The keeper's whole state as JSON in a memfd, for its successor in the same process. What leads to it is elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import sys

from pserv.keeper import memory, quickjson, runs
from pserv.keeper.cgroup import Cgroups
from pserv.keeper.host import Original
from pserv.keeper.inbox import Inbox
from pserv.keeper.protocol import Message
from pserv.keeper.runs import End, Record, Run
from pserv.keeper.worker import Stream, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pserv.keeper.main import Keeper

CHECK = -1
"""In place of the descriptor: load all code and exit with 0."""

_PLAIN = ("at", "drained", "folder", "gone", "key", "killing", "lines", "number", "pid", "printed", "reaped", "state",
          "status", "told")  # fmt: skip
_ONCE = ("complete", "kept", "meanwhile", "version")
"""Of what a keeper was started with: the successor has its own, or no use for it."""
_BOOT_FDS = ("lock_fd", "document_fd", "lease_fd", "ready_fd")


def execute(keeper: Keeper, argv: list[str]) -> Exception:
    """Replace the program of this process; pid, children and descriptors stay. Returns only when it could not.

    Signals stay blocked across the exec until the successor listens, so none is lost and none ends it.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        state, fds = describe(keeper)
        held = memory.holding(quickjson.dumps(state).encode(), "pserv-keeper")
        for fd in (*fds, held):
            os.set_inheritable(fd, True)
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            os.execvpe(argv[0], [*argv, str(held)], keeper.original.environment)
        finally:
            for fd in fds:
                os.set_inheritable(fd, False)
            os.close(held)
    except Exception as error:  # whatever it is: a keeper that goes on is better than none
        return error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def describe(keeper: Keeper) -> tuple[Message, list[int]]:
    """The state and every descriptor that it names."""
    boot, records, streams = keeper.boot, keeper.records, keeper.streams
    live = records.runs()
    fds = [fd for fd in (getattr(boot, name) for name in _BOOT_FDS) if fd >= 0] + boot.sockets
    fds += [stream.fd for stream in streams.streams.values()] + [run.status for run in live if run.status >= 0]
    for worker in keeper.loggers.workers.values():
        fds += [*worker.hold, worker.journal]
    fds += [_number(inbox) for inbox in keeper.notices.common.values()]
    fds += [fd for record in records.by_key.values() for _, fd in record.stored]
    listening, open_fds = keeper.sockets.described()
    fds += open_fds
    for run in live:
        fds += [fd for fd in (run.pidfd, run.inbox.ready, _number(run.inbox)) if fd >= 0]
    root = keeper.spawning.cgroups
    return {
        "boot": {name: getattr(boot, name) for name in boot.__slots__ if name not in _ONCE},
        "original": {name: getattr(keeper.original, name) for name in Original.__slots__},
        "facts": keeper.facts,
        "capabilities": keeper.capabilities,
        "cgroups": root.root if root is not None else None,
        "records": [
            {
                "key": one.key, "note": one.note, "last_run": one.last_run, "run": _run(one.run), "stored": one.stored,
                "sockets": one.sockets, "listens": one.listens,
            }
            for one in records.by_key.values()
        ],
        "sockets": listening,
        "common": [[other, inbox.address, _number(inbox)] for other, inbox in keeper.notices.common.items()],
        "last_run": records.last_run,
        "reports": list(keeper.reports.kept.values()),
        "last_report": keeper.reports.last,
        "streams": [{**one.described(), "fd": one.fd, "dropped": one.dropped} for one in streams.streams.values()],
        "last_stream": streams.last_stream,
        "workers": [
            {"number": one.number, "hold": one.hold, "journal": one.journal, "streams": list(one.streams)}
            for one in keeper.loggers.workers.values()
        ],
        "end": keeper.order.described(),
        "deaths": keeper.supervision.deaths,
    }, fds  # fmt: skip


def _run(run: Run | None) -> Message | None:
    if run is None:
        return None
    return {
        **{name: getattr(run, name) for name in _PLAIN},
        "failure": run.failure,
        "end": run.end.facts() if run.end is not None else None,
        "noted": sorted(run.noted) if run.noted is not None else None,
        "strays": sorted(run.strays),
        "streams": [stream.id for stream in run.streams],
        "pidfd": run.pidfd,
        "inbox": [run.inbox.address, _number(run.inbox), run.inbox.ready],
    }


def _number(inbox: Inbox) -> int:
    return -1 if inbox.socket is None else inbox.socket.fileno()


def read(fd: int) -> Message:
    """The state that the predecessor left in a memfd; closes it."""
    with open(fd, "rb") as file:
        file.seek(0)
        state = quickjson.loads(file.read().decode())
    assert isinstance(state, dict)
    return state


def restore(keeper: Keeper, state: Message) -> None:
    """Take all over; nothing runs and nothing is watched before the keeper's loop does."""
    keeper.facts |= {name: state["facts"][name] for name in ("started", "leftovers")}
    keeper.capabilities |= state["capabilities"]
    if state["cgroups"] is not None:
        keeper.spawning.cgroups = Cgroups(state["cgroups"])
    by_id: dict[int, Stream] = {}
    for row in state["streams"]:
        terminal = bool(row.get("terminal"))
        stream = Stream(row["id"], row["key"], row["run"], row["name"], row["target"], terminal, row["fd"])
        stream.pid, (lines, size) = row.get("pid", -1), row.get("dropped", (0, 0))
        stream.dropped = (lines, size)
        by_id[stream.id] = stream
        os.set_inheritable(stream.fd, False)
    keeper.streams.restore(by_id, state["last_stream"])
    keeper.loggers.restore([_worker(row, by_id) for row in state["workers"]])
    for row in state["records"]:
        record = Record(row["key"])
        record.note, record.last_run = row["note"], row["last_run"]
        record.stored = [(name, fd) for name, fd in row.get("stored", ())]
        for _, fd in record.stored:
            os.set_inheritable(fd, False)
        record.sockets = [(name, same) for name, same in row.get("sockets", ())]
        record.listens = row.get("listens", 0)
        if row["run"] is not None:
            record.run = _restored(row["run"], by_id)
            if not record.run.gone:
                keeper.records.leaders[record.run.pid] = record.run
        keeper.records.by_key[record.key] = record
    keeper.sockets.restore(state.get("sockets", ()))
    keeper.notices.restore({other: _inbox(address, fd, -1) for other, address, fd in state.get("common", ())})
    keeper.records.last_run = state["last_run"]
    keeper.reports.restore(state["reports"], state["last_report"])
    keeper.supervision.deaths = state["deaths"]
    keeper.order.restore(state["end"])


def _worker(row: Message, streams: dict[int, Stream]) -> Worker:
    worker = Worker(row["number"], (row["hold"][0], row["hold"][1]), row["journal"])
    for number in row["streams"]:
        if number in streams:
            worker.streams[number] = streams[number]
            streams[number].worker = worker
    return worker


def _inbox(address: str, fd: int, ready: int) -> Inbox:
    for held in (fd, ready):
        if held >= 0:
            os.set_inheritable(held, False)
    return Inbox(address, socket.socket(fileno=fd) if fd >= 0 else None, ready)


def _restored(row: dict[str, Any], streams: dict[int, Stream]) -> Run:
    own = [streams[number] for number in row["streams"] if number in streams]
    run = Run(row["key"], row["number"], row["pid"], row["folder"], row["status"], own, row["at"])
    for name in _PLAIN:
        setattr(run, name, row[name])
    run.told = run.drained  # a report that waited for the logger is begun anew
    run.failure = tuple(row["failure"]) if row["failure"] is not None else None
    run.noted = {(pid, start) for pid, start in row["noted"]} if row["noted"] is not None else None
    run.strays = frozenset(row["strays"])
    run.inbox, run.pidfd = _inbox(*row.get("inbox", ("", -1, -1))), row.get("pidfd", -1)
    if run.pidfd >= 0:
        os.set_inheritable(run.pidfd, False)
    if row["end"] is not None:
        run.end = End(row["end"]["code"], row["end"]["signal"], row["end"]["core"], row["end"]["at"])
        for name in End.__slots__:
            setattr(run.end, name, row["end"][name])
        run.state = runs.EXITED
    return run
