"""Who belongs to nobody: only who still lives."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

from pserv.keeper import host
from pserv.keeper.membership import Membership
from pserv.keeper.roles import Roles
from pserv.keeper.runs import Records
from pserv.keeper.strays import Census, everyone


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


def test_who_is_forked_by_one_that_ends_while_proc_is_read_is_seen() -> None:
    """The first list has only its parent, which has ended when it is its turn to be read."""
    parent = subprocess.Popen(["sh", "-c", "sleep 1000 >&- & echo $!"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.wait()
    lists = [[parent.pid], [parent.pid, child], [parent.pid, child]]
    try:
        census = Census(listed=lambda: lists.pop(0))
        assert set(census.processes) == {child}
        assert not lists
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_a_child_whose_parent_ended_after_it_was_read_is_the_next_parents() -> None:
    parent = subprocess.Popen(["sh", "-c", "sleep 1000 >&- & echo $!; read end"], stdin=-1, stdout=-1, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    turns = 0

    def listed() -> Iterator[int]:
        nonlocal turns
        turns += 1
        yield child
        if turns == 2:
            parent.communicate("")

    try:
        census = Census(listed=listed)
        assert census.processes[child].parent != parent.pid
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_list_of_processes_is_made_until_nobody_is_new() -> None:
    """Each is looked at before the next list is made: by then it has told of all that it forked, or has ended."""
    forked = {1: [3], 3: [4]}
    there = [1, 2]
    looked = []
    for pid in everyone(there.copy, known=[2]):
        looked.append(pid)
        there.remove(pid)
        there += forked.get(pid, [])
    assert looked == [1, 3, 4]


def test_one_who_forks_for_ever_does_not_keep_the_keeper() -> None:
    numbers = iter(range(10**9))
    assert len(list(everyone(lambda: [next(numbers)]))) < 100
