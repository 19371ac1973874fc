"""Who belongs to a run: a look at /proc; signals that cannot hit another process. When to look is not decided here."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator

from pserv.keeper import kernel, mark
from pserv.keeper.host import COOKIE_VARIABLE

HAS_PROC = os.path.exists("/proc/self/stat")
_LISTINGS = 8
_COOKIE = COOKIE_VARIABLE.encode() + b"="


class Process:
    """One line of the process table. `start` is in clock ticks since boot: with the pid it names one process only."""

    __slots__ = ("group", "name", "parent", "pid", "session", "start", "state", "ticks")

    def __init__(self, pid: int, stat: bytes) -> None:
        # The name stands in brackets and may hold blanks and brackets itself; the fields are those of proc(5).
        opening, closing = stat.index(b"("), stat.rindex(b")")
        fields = stat[closing + 2 :].split()
        self.pid = pid
        self.name = stat[opening + 1 : closing].decode(errors="replace")
        self.state = fields[0].decode()
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.ticks = (int(fields[11]) + int(fields[13]), int(fields[12]) + int(fields[14]))
        """User and system time, those of reaped children included."""
        self.start = int(fields[19])

    @property
    def ended(self) -> bool:
        return self.state in ("Z", "X", "x")

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name}), state {self.state}"


class Sought:
    """What is known of one run: its leader, who was seen to descend from it, the inodes of its pipes."""

    __slots__ = ("leader", "noted", "pipes", "run")

    def __init__(self, run: int, leader: int, noted: set[tuple[int, int]], pipes: Iterable[int]) -> None:
        self.run = run
        self.leader = leader
        self.noted = noted
        self.pipes = tuple(pipes)


class Census:
    """The process table at one moment, made once for all who ask in the same turn of the loop."""

    def __init__(self, known: Iterable[int] = (), listed: Callable[[], Iterable[int]] | None = None) -> None:
        """`known`: children of ours that need no look: live leaders of runs nobody asks about, our own processes.
        `listed`: for tests, as `everyone` takes it.
        """
        skip = set(known)
        self.processes: dict[int, Process] = {}
        self._read(everyone(listed, skip))
        # Whose parent ended between the two reads is somebody else's child now.
        there = {0, *skip, *self.processes}
        self._read([one.pid for one in self.processes.values() if one.parent not in there])
        self.children: dict[int, list[Process]] = {}
        for process in self.processes.values():
            self.children.setdefault(process.parent, []).append(process)

    def _read(self, pids: Iterable[int]) -> None:
        for pid in pids:
            process = read(pid)
            if process is not None:
                self.processes[pid] = process
            else:
                self.processes.pop(pid, None)

    def zombies(self, parent: int) -> list[int]:
        """Children that wait to be reaped."""
        return [child.pid for child in self.children.get(parent, ()) if child.state == "Z"]

    def adopted(self, keeper: int, leaders: Iterable[int]) -> list[Process]:
        """Living children of the keeper that it did not start itself."""
        own = set(leaders)
        return [child for child in self.children.get(keeper, ()) if child.pid not in own and not child.ended]

    def members(
        self, keeper: int, cookie: str, sought: list[Sought], leaders: Iterable[int]
    ) -> dict[int, list[Process]]:
        """The living processes of each run asked for, leaders included.

        A process belongs by its session or group, by having been noted, by descent; and who came to the keeper when its
        parent died, by the sign of the run (`run_of`) or by holding an end of its pipes.
        """
        by_leader = {one.leader: one.run for one in sought}
        by_note = {pair: one.run for one in sought for pair in one.noted}
        runs = {one.run for one in sought}
        owner = dict(by_leader)  # a child that has just been forked has no session of its own yet
        for process in self.processes.values():
            run = by_leader.get(process.session) or by_leader.get(process.group)
            run = run or by_note.get((process.pid, process.start))
            if run is not None:
                owner[process.pid] = run
        by_pipe = {inode: one.run for one in sought for inode in one.pipes}
        for process in self.adopted(keeper, leaders):
            if process.pid not in owner:
                told = run_of(process.pid, cookie)
                if told is None and by_pipe:
                    told = _holder_of(process.pid, by_pipe)
                if told in runs and told is not None:
                    owner[process.pid] = told
        return self._with_descendants(owner, runs)

    def _with_descendants(self, owner: dict[int, int], runs: set[int]) -> dict[int, list[Process]]:
        found: dict[int, list[Process]] = {run: [] for run in runs}
        waiting = list(owner)
        for pid in waiting:
            run = owner[pid]
            process = self.processes.get(pid)
            if process is not None and not process.ended:
                found[run].append(process)
            for child in self.children.get(pid, ()):
                if child.pid not in owner:
                    owner[child.pid] = run
                    waiting.append(child.pid)
        return found


def everyone(listed: Callable[[], Iterable[int]] | None = None, known: Iterable[int] = ()) -> Iterator[int]:
    """Each pid once, but those `known`; to be looked at as they come.

    A list of processes is no snapshot: who is forked after its turn in the list, by one who ends before it is looked
    at, is in none. So it is made (`listed`; by default from /proc) until nobody is new, or some always are.
    """
    seen = set(known)
    for _ in range(_LISTINGS):
        new = [pid for pid in (listed or pids)() if pid not in seen]
        if not new:
            return
        seen.update(new)
        yield from new


def pids() -> list[int]:
    """Who is listed in /proc now; nobody where there is none."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()] if HAS_PROC else []


def read(pid: int) -> Process | None:
    """None when there is no such process (any more)."""
    stat = kernel.read(f"/proc/{pid}/stat")
    try:
        return Process(pid, stat) if stat else None
    except (ValueError, IndexError):
        return None


def run_of(pid: int, cookie: str) -> int | None:
    """The run whose sign the process bears, among its limits or in its environment; None when it has none of ours."""
    marked = mark.run_of(pid, cookie)
    if marked is not None:
        return marked
    for variable in kernel.read(f"/proc/{pid}/environ").split(b"\0"):
        if variable.startswith(_COOKIE):
            owner, _, number = variable[len(_COOKIE) :].rpartition(b"/")
            if owner.startswith(cookie.encode() + b"/") and number.isdigit():
                return int(number)
    return None


def bearers(cookie: str) -> list[Process]:
    """All processes of the machine that bear the sign, but ourselves and those we descend from."""
    found: list[Process] = []
    for pid in everyone(known=_ancestors()):
        if run_of(pid, cookie) is not None:
            process = read(pid)
            if process is not None and not process.ended:
                found.append(process)
    return found


def send(process: Process, signum: int) -> OSError | None:
    """Signal exactly this process; None when it got it or is gone, else why not."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    except (OSError, AttributeError):
        fd = -1  # no pidfd here: the check below leaves a window of microseconds
    try:
        now = read(process.pid)
        if now is None or now.start != process.start:
            return None
        if fd >= 0:
            signal.pidfd_send_signal(fd, signum)
        else:
            os.kill(process.pid, signum)
    except ProcessLookupError:
        return None
    except OSError as error:
        return error
    finally:
        if fd >= 0:
            os.close(fd)
    return None


def _ancestors() -> set[int]:
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        process = read(pid)
        pid = process.parent if process is not None else 0
    return found


def _holder_of(pid: int, by_pipe: dict[int, int]) -> int | None:
    """The run of which the process holds an end of a pipe."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return None
    for name in names:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if link.startswith("pipe:[") and int(link[6:-1]) in by_pipe:
            return by_pipe[int(link[6:-1])]
    return None
