"""The housekeeping of rotated logs, in a process of its own: what is too old or too much goes, the rest is compressed.

Nobody waits for it: it has the lowest priority, it may be killed at any moment, and the next one goes on where it was.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from pserv.keeper import quickjson
from pserv.logger import retention
from pserv.logger.rotated import Rotated, family, place
from pserv.logger.rotation import Rules
from pserv.system import packing
from pserv.system.packing import CannotPack

Row = dict[str, Any]


def tidy(sock: socket.socket, argument: str) -> int:
    """A role for a fork of the keeper; the exit code.

    `argument` is JSON `{"logs": [{"path", "rotate": as in a LOG, "compress"?: "gzip"|"zstd"}], "together": [{"paths",
    "most": bytes that these logs may have in sum, "active": those that each active file is counted with at least}]}`.
    The answer is `{"trouble": {path: text}, "next": seconds until something is too old, or null}`.
    """
    asked = quickjson.loads(argument)
    _give_way()
    sock.setblocking(True)
    trouble: dict[str, str] = {}
    for log in asked["logs"]:
        text = _tidied(log)
        if text:
            trouble[log["path"]] = text
    for group in asked["together"]:
        trouble |= _shorten(group["paths"], group["most"], group["active"])
    answer = {"trouble": trouble, "next": _next(asked["logs"])}
    try:
        sock.sendall(quickjson.dumps(answer).encode(), getattr(socket, "MSG_NOSIGNAL", 0))
    except OSError:
        return 1  # nobody waits any more
    return 0


def _give_way() -> None:
    """To everybody: on Linux an idle process has the idle class of I/O, too (ioprio_set(2))."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError:
            pass  # a container that may not


def _tidied(log: Row) -> str:
    """Bring one log in order; what could not be done."""
    rules, how = Rules.of(log["rotate"]), log.get("compress")
    folder, base = place(log["path"])
    try:
        if rules is not None:
            found = family(log["path"])
            gone = retention.surplus(found, rules, time.time(), retention.size_in(folder, os))
            retention.remove(folder, gone, os)
        if how:
            packing.leftovers(folder, base)
            for one in family(log["path"]):
                if not one.packing:
                    packing.pack(folder, one.name, how)
    except FileNotFoundError:
        return ""  # the folder: nothing was ever logged there
    except OSError as error:
        return f"cannot tidy up rotated files of {log['path']}: {error.strerror}"
    except CannotPack as error:
        return f"cannot compress rotated files of {log['path']}: {error}"
    return ""


def _shorten(paths: list[str], most: int, active: int) -> dict[str, str]:
    """Remove the oldest rotated files, whosever they are, until all are no larger together; what could not be done."""
    files: list[tuple[Rotated, str, str]] = []
    for path in paths:
        try:
            files += [(one, place(path)[0], path) for one in family(path)]
            most -= max(active, os.stat(path).st_size)
        except OSError:
            continue
    sized = [(one, folder, path, retention.size_in(folder, os)(one)) for one, folder, path in files]
    surplus = sum(size for *_, size in sized) - most
    trouble: dict[str, str] = {}
    for one, folder, path, size in sorted(sized, key=lambda row: (row[0].last, row[0].number)):
        if surplus <= 0:
            break
        try:
            retention.remove(folder, [one], os)
            surplus -= size
        except OSError as error:
            trouble[path] = f"cannot remove rotated files of {path}: {error.strerror}"
    return trouble


def _next(logs: list[Row]) -> float | None:
    """Seconds until the first rotated file is too old."""
    now, times = time.time(), []
    for log in logs:
        rules = Rules.of(log["rotate"])
        if rules is not None and rules.max_age:
            try:
                times += [one.last + rules.max_age - now for one in family(log["path"])]
            except OSError:
                continue
    return max(0.0, min(times)) if times else None
