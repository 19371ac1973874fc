"""The supervisor may die: services keep pid, pipes and uptime, no byte is lost, nothing is forgotten."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pserv.logger.rotated import family
from tests.rounds import KILLS
from tests.scenarios.daemon import Daemon, alive, ended, kill

WRITER = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
count, number = int(sys.argv[1]), 0
while not signal.sigtimedwait([signal.SIGTERM], 0.005):
    block = b"".join(b"%012d %s\\n" % (n, b"x" * 86) for n in range(number, number + count))
    number += count
    view = memoryview(block)
    while view:
        view = view[os.write(1, view):]
with open(sys.argv[2], "w") as file:
    file.write(str(number))
"""
"""Prints so many lines, of 100 bytes each, 200 times a second."""


def config(folder: Path) -> str:
    (folder / "writer.py").write_text(WRITER)
    lines = ["services:"]
    for number, count in enumerate((1, 3, 10, 30, 100)):
        argv = [sys.executable, "-I", "-S", str(folder / "writer.py"), str(count), str(folder / f"n{number}")]
        size = f"{count * 20}kB" if number else "0"  # the first is never rotated, the others each second
        options = f"log: {{rotate: {{size: {size}, keep: none}}}}"
        lines.append(f"  writer{number}: {{command: {argv!r}, stdout: {folder}/writer{number}.log, {options}}}")
    lines += [f"  sleeper{number}: {{command: sleep 10000, restart: always}}" for number in range(13)]
    lines.append("  stopped: {command: sleep 10000}")
    lines.append("  failing: {shell: exit 3, max_retries: 1, backoff: {initial: 100ms}}")
    return "\n".join(lines) + "\n"


@pytest.mark.long
@pytest.mark.timeout(150)  # each supervisor comes up before it is killed
def test_kills_cost_no_pid_and_no_byte(tmp_path: Path) -> None:
    dice = random.Random(7)
    with Daemon(tmp_path, config(tmp_path)) as daemon:
        daemon.up(check=None)
        daemon.until_state("failing", "failed")
        daemon.pserv("stop", "stopped", check=0)
        before = daemon.status()
        assert len(before) == 20
        for count in range(KILLS):
            daemon.file.write_text("services: [nonsense")
            pid = daemon.kill_supervisor()
            assert not alive(pid)
            if count % 10 == 0:
                victim = f"sleeper{dice.randrange(13)}"
                killed = before[victim].pid
                assert killed is not None
                kill(killed)
                before[victim] = daemon.until_restarted(victim, killed)
                assert before[victim].restarts > 0
        after = daemon.status()
        assert {name: row.pid for name, row in after.items()} == {name: row.pid for name, row in before.items()}
        assert {name: row.state for name, row in after.items()} == {name: row.state for name, row in before.items()}
        assert {name: row.restarts for name, row in after.items()} == {n: row.restarts for n, row in before.items()}
        assert after["failing"].reason == before["failing"].reason
        assert daemon.daemon().supervisor_restarts == KILLS
        daemon.pserv("down", check=0)
        for number in range(5):
            expected = int((tmp_path / f"n{number}").read_text())
            check_numbered(tmp_path / f"writer{number}.log", expected)


BLOCK = 10_000
"""Lines that are compared at once."""


def check_numbered(path: Path, expected: int) -> None:
    """Every number once and in order, nothing else."""
    files = [*(path.parent / one.name for one in family(str(path))), path]
    assert sum(each.stat().st_size for each in files) == expected * 100
    lines = [b"", *(b"%04d %s\n" % (number, b"x" * 86) for number in range(BLOCK))]
    with subprocess.Popen(["cat", *files], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        for number in range(expected // BLOCK + 1):
            wanted = (b"%08d" % number).join(lines)
            found = cat.stdout.read(len(wanted))
            assert wanted.startswith(found), first_difference(path, number * BLOCK, found)


def first_difference(path: Path, number: int, lines: bytes) -> str:
    for line in lines.splitlines():
        if line != b"%012d %s" % (number, b"x" * 86):
            return f"{path.name}: {line!r} where {number} should be"
        number += 1
    return f"{path.name} goes on after {number}"


@pytest.mark.long
def test_what_dies_while_the_supervisor_is_stopped_is_back_after_it(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(100)]
    services = "services:\n" + "".join(f"  {name}: {{command: sleep 10000, restart: always}}\n" for name in names)
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        before = daemon.status()
        supervisor = daemon.daemon().supervisor_pid
        watch = os.pidfd_open(supervisor)
        os.kill(supervisor, signal.SIGSTOP)
        for row in before.values():
            assert row.pid is not None
            kill(row.pid)
        ended(watch, timeout=30)  # the keeper replaces a supervisor that does not answer
        os.close(watch)
        daemon.until("s99", lambda _: all(after.restarts == 1 and after.pid for after in daemon.status().values()))
        after = daemon.status()
        assert not {row.pid for row in before.values()} & {row.pid for row in after.values()}
        assert {row.state.value for row in after.values()} == {"running"}


def test_an_operators_stop_and_a_back_off_outlive_the_supervisor(tmp_path: Path) -> None:
    services = """
services:
  quiet: {command: sleep 10000}
  flaky: {shell: 'exit 7', restart: always, backoff: {strategy: constant, initial: 1h, maximum: 1h, jitter: 0}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up(check=None)  # flaky may be seen as it runs
        before = daemon.until("flaky", lambda row: row.state.value == "backoff" and row.next is not None)
        daemon.pserv("stop", "quiet", check=0)
        daemon.kill_supervisor()
        after = daemon.status()
        assert after["flaky"].reason == before.reason
        assert after["flaky"].restarts == before.restarts
        assert after["flaky"].next is not None
        assert before.next is not None
        assert abs(after["flaky"].next - before.next) < 0.5
        assert after["quiet"].state.value == "stopped"
