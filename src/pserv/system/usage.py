"""CPU and memory of whole process trees, by one pass over the process table. Asked only when somebody looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(msgspec.Struct, frozen=True):
    """Seconds of CPU used so far by the processes that live, resident bytes, number of processes."""

    cpu: float
    memory: int
    processes: int


class _Row(msgspec.Struct):
    parent: int
    session: int
    cpu: float
    memory: int


def of_trees(roots: Iterable[int]) -> dict[int, Usage]:
    """Usage of each root process with all its descendants, and with those that are left in its session."""
    wanted = set(roots)
    table = _linux() if sys.platform == "linux" else _portable()
    owner: dict[int, int] = {}
    totals: dict[int, list[float]] = {root: [0.0, 0, 0] for root in wanted if root in table}
    for pid, row in table.items():
        root = _root(pid, table, wanted, owner)
        if root:
            total = totals[root]
            total[0] += row.cpu
            total[1] += row.memory
            total[2] += 1
    return {root: Usage(cpu, int(memory), int(count)) for root, (cpu, memory, count) in totals.items()}


def _root(pid: int, table: dict[int, _Row], wanted: set[int], owner: dict[int, int]) -> int:
    path = []
    found = 0
    while pid > 1 and pid in table:
        if pid in wanted:
            found = pid
            break
        if pid in owner:
            found = owner[pid]
            break
        path.append(pid)
        row = table[pid]
        if row.session in wanted and row.session in table:
            found = row.session
            break
        pid = row.parent
        if len(path) > 1000:
            break  # a parent loop: the table changed while it was read
    for member in path:
        owner[member] = found
    return found


def _linux() -> dict[int, _Row]:
    """proc_pid_stat(5): fields after the name in brackets, which may itself hold brackets and blanks."""
    table: dict[int, _Row] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{name}/stat", os.O_RDONLY)
        except OSError:
            continue
        try:
            data = os.read(fd, 1024)
        except OSError:
            continue
        finally:
            os.close(fd)
        fields = data[data.rfind(b")") + 2 :].split()
        if len(fields) < 22 or fields[0] in b"ZX":
            continue
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        table[int(name)] = _Row(int(fields[1]), int(fields[3]), cpu, int(fields[21]) * _PAGE)
    return table


def _portable() -> dict[int, _Row]:
    import psutil

    table: dict[int, _Row] = {}
    for process in psutil.process_iter(["pid", "ppid", "cpu_times", "memory_info"]):
        facts = process.info
        if facts["cpu_times"] is None or facts["memory_info"] is None:
            continue
        cpu = facts["cpu_times"].user + facts["cpu_times"].system
        try:
            session = os.getsid(facts["pid"])
        except OSError:
            session = 0
        table[facts["pid"]] = _Row(facts["ppid"] or 0, session, cpu, facts["memory_info"].rss)
    return table
