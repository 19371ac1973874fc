"""Who belongs to nobody: only who still lives."""

from __future__ import annotations

import os
import signal

from pserv.keeper import host
from pserv.keeper.membership import Membership
from pserv.keeper.roles import Roles
from pserv.keeper.runs import Records


def unowned(membership: Membership) -> set[int]:
    return {process.pid for process in membership.unowned()}


def test_who_was_reaped_after_the_look_is_no_stray() -> None:
    """A main process that ends in the turn of a look is no run's any more, but in the look it still lives."""
    membership = Membership(Records(), Roles({}, host.Original((0, 0), None, {})), "0" * 12)
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    try:
        assert pid in unowned(membership)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert membership.looked_now
    assert pid not in unowned(membership)
