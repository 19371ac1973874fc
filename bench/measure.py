"""What Linux tells of running processes: who descends from whom, memory, descriptors, CPU, context switches."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT = 1 << 63
"""Bit of a pagemap entry: the page is in memory; the low 55 bits are then its frame number (root only, else 0)."""
FRAME = (1 << 55) - 1


class Memory(NamedTuple):
    """Bytes over a set of processes. PSS and RSS are sums of the kernel's figures.

    PSS depends on who else runs the same interpreter: each page is divided among all that map it. `occupied` does
    not: the distinct physical pages that the set maps, however many others map them too; None without the right to see.
    """

    pss: int
    rss: int
    occupied: int | None


def descendants(root: int) -> set[int]:
    """The process and everything below it; empty when it is gone."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    todo = [root] if os.path.exists(f"/proc/{root}") else []
    while todo:
        pid = todo.pop()
        found.add(pid)
        todo.extend(children.get(pid, ()))
    return found


def _parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid: int) -> bool:
    """False, too, for a process that ended and was not yet waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def memory(pids: Iterable[int]) -> Memory:
    """Raises FileNotFoundError when one of them is gone: a sum without it would be a lie."""
    pids = list(pids)
    pss = rss = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            text = file.read()
        pss += _kibibytes(text, "Pss")
        rss += _kibibytes(text, "Rss")
    return Memory(pss, rss, _occupied(pids))


def _kibibytes(text: str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _occupied(pids: Iterable[int]) -> int | None:
    frames: set[int] = set()
    for pid in pids:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            ranges = [line.split(" ", 2)[0].split("-") for line in file if "[vsyscall]" not in line]
        pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
        try:
            for low, high in ranges:
                first, last = int(low, 16) // PAGE, int(high, 16) // PAGE
                entries = array("Q", os.pread(pagemap, 8 * (last - first), 8 * first))
                frames.update(entry & FRAME for entry in entries if entry & PRESENT)
        finally:
            os.close(pagemap)
    frames.discard(0)
    return len(frames) * PAGE or None


def descriptors(pids: Iterable[int]) -> int:
    """Open descriptors over all of them."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time used so far by all their threads, in user and kernel mode."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def context_switches(pids: Iterable[int]) -> int:
    """Switches so far of all their threads, voluntary or not: 0 between two calls means that nothing woke up."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as file:
                total += sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", file.read()))
    return total
