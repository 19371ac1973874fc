"""Which processes belong to which run, by cgroup or by the other signs; one look at /proc a turn, shared by all."""

from __future__ import annotations

import os
import time

from pserv.keeper import cgroup, strays
from pserv.keeper.roles import Roles
from pserv.keeper.runs import Records, Run
from pserv.keeper.strays import Census, Process, Sought


class Membership:
    """Answers for the present turn of the loop; `renew` ends it."""

    def __init__(self, records: Records, roles: Roles, cookie: str) -> None:
        self._records = records
        self._roles = roles
        self._cookie = cookie
        self._me = os.getpid()
        self._census: Census | None = None
        self.looked = 0.0
        """When /proc was last looked at (CLOCK_MONOTONIC), and below how many seconds that took."""
        self.took = 0.0

    @property
    def looked_now(self) -> bool:
        """Whether /proc was looked at in this turn."""
        return self._census is not None

    def census(self) -> Census:
        """The process table, taken at the first question of the turn."""
        if self._census is None:
            began = time.monotonic()
            self._census = Census(self._roles.own)
            self.looked = time.monotonic()
            self.took = self.looked - began
        return self._census

    def renew(self) -> None:
        """The next question needs a new look."""
        self._census = None

    def of(self, asked: list[Run]) -> dict[int, list[Process]]:
        """The living processes of each run, main processes included, by the number of the run."""
        found: dict[int, list[Process]] = {}
        sought: list[Sought] = []
        for run in asked:
            if run.folder is None:
                inodes = [stream.inode for stream in run.streams if stream.inode]
                sought.append(Sought(run.number, run.pid, run.noted or set(), inodes))
                continue
            found[run.number] = _inside(run.folder, [run.pid] if run.end is None else [])
        if sought:
            known = {*self._records.leaders, *self._roles.own}
            found |= self.census().members(self._me, self._cookie, sought, known)
        return found

    def empty(self, run: Run, left: list[Process]) -> bool:
        """Whether nothing lives of a run whose main process ended; `left` is what `of` found. Its cgroup ends so."""
        return cgroup.vacated(run.folder) if run.folder is not None else not left

    def zombies(self) -> list[int]:
        """Ended children that were adopted, or are processes of our own."""
        return [pid for pid in self.census().zombies(self._me) if pid not in self._records.leaders]

    def unowned(self) -> list[Process]:
        """Adopted processes that belong to no run that lives."""
        known = {*self._records.leaders, *self._roles.own}
        adopted = self.census().adopted(self._me, known)
        if not adopted:
            return []
        owned = {process.pid for found in self.of(self._records.runs()).values() for process in found}
        return [process for process in adopted if process.pid not in owned and _lives(process)]


def _inside(folder: str, main: list[int]) -> list[Process]:
    """Who lives in a cgroup, and a main process that may not have come there yet."""
    processes = [strays.read(pid) for pid in strays.everyone(lambda: [*main, *cgroup.members(folder)])]
    return [one for one in processes if one is not None and not one.ended]


def _lives(process: Process) -> bool:
    """Still: a main process may have ended since the look, and its run with it."""
    now = strays.read(process.pid)
    return now is not None and now.start == process.start and not now.ended
