"""Who has a port or path that a service wants to listen on, for the reason of a failed start. Changes nothing."""

from __future__ import annotations

import os
import time

_PATIENCE = 0.1
"""Seconds of our own processor time for looking at all descriptors; what is not found by then is not told."""
_LISTENS = "0A"
_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}


def holder(address: str) -> str:
    """ "pid 812 (nginx)" for an address as the keeper tells it, "tcp 127.0.0.1:80"; "" where it cannot be told."""
    kind, _, where = address.partition(" ")
    try:
        inodes = _of_path(where) if kind == "unix" else _of_port(kind, int(where.rpartition(":")[2]))
        return _process(inodes) if inodes else ""
    except (OSError, ValueError):
        return ""


def _of_port(kind: str, port: int) -> set[str]:
    """Inodes of the sockets that are bound to the port (proc_net_tcp of the kernel's documentation)."""
    found = set()
    for table in _TABLES.get(kind, ()):
        with open(f"/proc/net/{table}", encoding="ascii") as rows:
            next(rows, "")
            for row in rows:
                fields = row.split()
                local = fields[1].rpartition(":")[2]
                if int(local, 16) == port and (kind == "udp" or fields[3] == _LISTENS):
                    found.add(fields[9])
    return found


def _of_path(path: str) -> set[str]:
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as rows:
        split = (row.split() for row in rows)
        return {fields[6] for fields in split if len(fields) > 7 and fields[7] == path}


def _process(inodes: set[str]) -> str:
    """The first process with one of these sockets open; root sees all, others their own."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    latest = time.thread_time() + _PATIENCE
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        if time.thread_time() > latest:
            return ""
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in wanted:
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        return f"pid {pid} ({file.read().strip()})"
        except OSError:
            continue
    return ""
