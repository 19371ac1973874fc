"""Waiting for children: each ended one once, main processes only looked at. What an end means is decided elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable

from pserv.keeper.membership import Membership
from pserv.keeper.roles import Roles
from pserv.keeper.runs import Records, Run

_OPTIONS = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Reaping:
    """Linear in the number of the ended, also with thousands at once.

    waitid for all children names the same unreaped main process again and again, and so hides all others. While one
    is held, main processes are asked for one by one, and the adopted are found by the look at /proc of its stop.
    """

    def __init__(
        self,
        records: Records,
        roles: Roles,
        membership: Membership,
        leader_ended: Callable[[Run, os.waitid_result], None],
    ) -> None:
        self._records = records
        self._roles = roles
        self._membership = membership
        self._leader_ended = leader_ended
        self.hidden = False
        """Whether a held main process may hide ended children."""

    def reap(self) -> None:
        """All that can be reaped without looking at /proc."""
        self.hidden = False
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, _OPTIONS)
            except ChildProcessError:
                return
            if info is None:
                return
            run = self._records.leaders.get(info.si_pid)
            if run is None:
                self._reap_one(info.si_pid)
            elif run.end is None:
                self._leader_ended(run, info)
            else:
                self.hidden = True
                self._ask_one_by_one()
                return

    def reap_hidden(self) -> None:
        """Those among the hidden that are neither main processes nor our own."""
        for pid in self._membership.zombies():
            self._reap_one(pid)

    def _ask_one_by_one(self) -> None:
        for pid, run in list(self._records.leaders.items()):
            if run.end is None:
                try:
                    info = os.waitid(os.P_PID, pid, _OPTIONS)
                except ChildProcessError:
                    continue  # adopted, and still the child of another
                if info is not None:
                    self._leader_ended(run, info)
        for pid in list(self._roles.own):
            self._reap_one(pid)

    def _reap_one(self, pid: int) -> None:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if done:
            self._roles.ended(pid, status)
