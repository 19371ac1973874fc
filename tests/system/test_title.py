"""What ps(1) shows of a fork."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pserv.system import title

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is done")


def shown(words: list[str]) -> tuple[bool, bytes]:
    """In a fork: whether it was done, and the command line after that."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        done = title.show(words)
        os.write(theirs, bytes([done]) + Path("/proc/self/cmdline").read_bytes()[:4000])
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    return bool(told[0]), told[1:]


def test_the_command_line_is_another() -> None:
    done, line = shown(["pserv", "d"])
    assert done
    assert line.rstrip(b"\0") == b"pserv\0d"


def test_words_without_room_change_nothing() -> None:
    before = Path("/proc/self/cmdline").read_bytes()
    assert shown(["pserv", "x" * len(before)]) == (False, before[:4000])
