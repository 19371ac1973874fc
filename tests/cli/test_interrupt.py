"""Ctrl-C while a command waits: the waiting ends, the action does not, and that is said."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.model.events import Change
from pserv.model.states import Phase
from tests.cli.pretend import HANG, Daemon

PSERV = [sys.executable, "-P", "-m", "pserv"]
STARTING = op.Progress(Change(seq=1, at=1.0, service="web", kind="state", phase=Phase.STARTING))


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_ctrl_c_ends_the_waiting_only(verb: str, tmp_path: Path) -> None:
    with (
        Daemon(tmp_path / "s", {verb: lambda _: [STARTING, HANG]}) as daemon,
        subprocess.Popen(
            [*PSERV, verb, "web", "--socket", daemon.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert daemon.hanging.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == f"no longer waiting; the {verb} goes on\nhint: pserv status\n"


def test_a_terminal_shows_what_is_under_way(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    with (
        Daemon(tmp_path / "s", {"start": lambda _: [STARTING, HANG]}) as daemon,
        subprocess.Popen(
            [*PSERV, "start", "web", "--socket", daemon.path], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
        ) as process,
    ):
        os.close(theirs)
        seen = b""
        while b"web starting" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while b"goes on" not in seen:
            seen += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 130
    assert b"web starting\x1b[0m\r\x1b[Kno longer waiting" in seen
