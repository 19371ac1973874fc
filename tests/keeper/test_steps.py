"""A child's steps, walked by one of a plain fork and by one of a bare clone: what it ends up with is the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pserv.keeper import cgroup, child
from pserv.keeper.forking import Forking
from pserv.keeper.host import Original
from pserv.keeper.steps import Inheritance, Stdio, Steps

COOKIE = "0123456789ab/web/7"
GLIBCS = 0b11 << 31
"""Signals 32 and 33 nobody else may set; they are ignored in what posix_spawn(3) started, such as all below make."""
SHOW = "cat /proc/self/status; ps -o sid= -p $$ | grep -qw $$ && echo leader; env"


@pytest.mark.parametrize("bare", [False, True])
def test_signals_session_and_environment(bare: bool) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    original = Original((256, 256), None, {"PATH": os.environ["PATH"], "INVOCATION_ID": "x"})
    launch = {"argv": ["sh", "-c", SHOW], "env": {"GREETING": "grüß Gott"}, "inherit": True}
    steps = Steps(launch, Stdio([null, writing, writing], [writing], None), Inheritance(original), COOKIE)
    try:
        pid, caught = Forking().fork(None)[::2] if bare else (os.fork(), True)
        if pid == 0:
            child.become(steps, writing, [reading], None, caught=caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        os.close(null)
    with open(reading, encoding="utf-8") as told:
        lines = told.read().splitlines()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    signals = {line[:6]: int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))}
    assert {name: found & ~GLIBCS for name, found in signals.items()} == {"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}
    assert {"leader", "GREETING=grüß Gott", f"PSERV_RUN_ID={COOKIE}"} <= set(lines)
    assert not any(line.startswith("INVOCATION_ID") for line in lines)


def test_a_variable_that_cannot_be_said_is_told_by_the_child() -> None:
    reading, writing = os.pipe()
    launch = {"argv": ["/bin/true"], "env": {"NAME": "\ud800"}}
    steps = Steps(launch, Stdio([0, 1, 2], [], None), Inheritance(Original((256, 256), None, {})), COOKIE)
    pid = os.fork()
    if pid == 0:
        child.become(steps, writing, [reading], None, caught=True)
    os.close(writing)
    with open(reading, "rb") as told:
        step, number, text = told.read().decode().split("\0")
    assert (step, number) == ("environment", "0")
    assert "surrogates not allowed" in text
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == child.EXIT_BEFORE_EXEC


def test_the_folder_of_a_cgroup_in_which_nothing_lives_is_removed_with_those_below(tmp_path: Path) -> None:
    made_by_the_service = tmp_path / "run" / "a" / "b"
    made_by_the_service.mkdir(parents=True)
    assert cgroup.vacated(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    assert cgroup.vacated(str(tmp_path / "run"))


def test_the_folder_of_a_cgroup_in_which_something_lives_stays(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert not cgroup.vacated(str(tmp_path))
    assert tmp_path.exists()
