"""The sign of a run among the resource limits."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from pserv.keeper import mark

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit exists on Linux only")

COOKIE = "0123456789ab"

BECOMING = """
import os, sys
from pserv.keeper import mark
mark.put(mark.limit(sys.argv[1]))
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
os.execve("/bin/sh", ["sh", "-c", "echo; read line"], {})
"""


def marked_child(*arguments: str) -> subprocess.Popen[bytes]:
    """A process without environment that bears the mark, after exec."""
    command = [sys.executable, "-c", BECOMING, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"\n"
    return child


@pytest.mark.parametrize("run", [1, 77, (1 << 32) - 1])
def test_the_mark_outlives_exec_and_an_empty_environment(run: int) -> None:
    with marked_child(f"{COOKIE}/web/{run}") as child:
        assert mark.run_of(child.pid, COOKIE) == run
        assert mark.run_of(child.pid, "ba9876543210") is None
        child.communicate(b"\n")


def test_it_can_be_read_of_another_users_process() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with marked_child(f"{COOKIE}/a/b/5", "65534") as child:
        reading, writing = os.pipe()
        looking = os.fork()
        if looking == 0:
            try:
                os.setuid(65533)
                os.write(writing, str(mark.run_of(child.pid, COOKIE)).encode())
            finally:
                os._exit(0)
        os.waitpid(looking, 0)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read() == "5"
        child.communicate(b"\n")


def test_who_bears_none_belongs_to_nobody() -> None:
    assert mark.run_of(os.getpid(), COOKIE) is None
    assert mark.run_of(1 << 22, COOKIE) is None
    assert resource.getrlimit(resource.RLIMIT_RTTIME)[1] == resource.RLIM_INFINITY
