"""The end, however it is ordered: in order, once, faster the second time, and with the exit code that was asked for."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon, children, ended, forks, kill, naming

SERVICE = """
sleep 1000 &
trap 'echo asked $1 >> {folder}/told; kill $!; exit 0' TERM
echo up $1 >> {folder}/told
echo >&4
wait
"""

CONFIG = """
defaults: {{ready: {{fd: 4}}}}
services:
  base: {{command: sh {folder}/service.sh base}}
  middle: {{command: sh {folder}/service.sh middle, depends_on: [base]}}
  top: {{command: sh {folder}/service.sh top, depends_on: [middle]}}
"""

LIFE = ["up base", "up middle", "up top", "asked top", "asked middle", "asked base"]
"""What they tell from start to end."""


def chain(folder: Path) -> Daemon:
    """Three services that depend on each other, are ready when they can be asked to end, and tell when they are."""
    (folder / "service.sh").write_text(SERVICE.format(folder=folder))
    (folder / "told").touch()
    return Daemon(folder, CONFIG.format(folder=folder))


def told(daemon: Daemon) -> list[str]:
    """What its services told."""
    return (daemon.folder / "told").read_text().splitlines()


def stubborn(folder: Path, more: str = "") -> Daemon:
    """One service that ignores TERM and has an hour for it."""
    (folder / "deaf.sh").write_text(f"trap '' TERM; echo up > {folder}/up; while :; do sleep 1000; done")
    os.mkfifo(folder / "up")
    config = f"services:\n  deaf: {{command: sh {folder}/deaf.sh, stop: {{timeout: 1h}}}}\n{more}"
    return Daemon(folder, config)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    for fd in (ours, theirs):
        try:
            os.close(fd)
        except OSError:
            pass  # hung up by the test


def on_terminal(daemon: Daemon, theirs: int, *words: str) -> subprocess.Popen[str]:
    """`pserv` as the foreground of this terminal."""
    if shutil.which("setsid") is None:
        pytest.skip("no setsid to take the terminal with")
    return subprocess.Popen(
        ["setsid", "--ctty", *daemon.command(*words)], cwd=daemon.folder, env=daemon.env, text=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip


class Screen:
    """What comes out of a terminal."""

    def __init__(self, ours: int) -> None:
        self._ours = ours
        self.text = ""

    def until(self, text: str, count: int = 1) -> None:
        """Read until it was shown so many times."""
        while self.text.count(text) < count:
            assert select.select([self._ours], [], [], PATIENCE)[0], f"no {text!r} in {self.text}"
            self._read()

    def rest(self) -> str:
        """All that is left to read."""
        while select.select([self._ours], [], [], 0)[0] and self._read():
            pass
        return self.text

    def _read(self) -> bool:
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.text += data.decode()
        return bool(data)


# Orders by signal


def test_term_to_all_of_the_daemon_at_once_stops_in_order_once(tmp_path: Path) -> None:
    """As a container runtime or a service manager does it: each process of ours gets the signal, twice in a moment."""
    with chain(tmp_path) as daemon:
        daemon.up()
        keeper = daemon.daemon().keeper_pid
        watch = os.pidfd_open(keeper)
        family = [keeper, *forks(keeper)]
        assert len(family) >= 3
        for pid in family * 2:
            os.kill(pid, signal.SIGTERM)
        ended(watch)
        os.close(watch)
        assert told(daemon) == LIFE
        assert not naming(str(tmp_path / "service.sh"))


@contextmanager
def ending(folder: Path) -> Iterator[tuple[Daemon, int, int]]:
    """A daemon that was ordered to end and waits for its stubborn service; pid and pidfd of its keeper."""
    with stubborn(folder) as daemon:
        daemon.up()
        (folder / "up").read_text()
        keeper = daemon.daemon().keeper_pid
        watch = os.pidfd_open(keeper)
        try:
            os.kill(keeper, signal.SIGTERM)
            daemon.until_state("deaf", "stopping")
            yield daemon, keeper, watch
        finally:
            os.close(watch)


def test_a_reload_signal_does_not_cancel_the_end(tmp_path: Path) -> None:
    """supervisor 3.3.5: HUP cancels a shutdown that runs."""
    with ending(tmp_path) as (daemon, keeper, watch):
        for number in (signal.SIGHUP, signal.SIGCHLD, signal.SIGHUP):
            os.kill(keeper, number)
        refused = daemon.pserv("start", "deaf")
        assert refused.returncode == 1
        assert "the daemon is ending" in refused.stderr
        assert daemon.status()["deaf"].state.value == "stopping"
        kill(daemon.pid("deaf"))
        ended(watch)


def test_the_supervisors_death_does_not_cancel_the_end(tmp_path: Path) -> None:
    with ending(tmp_path) as (daemon, _, watch):
        daemon.kill_supervisor()
        assert daemon.daemon().ending
        kill(daemon.pid("deaf"))
        ended(watch)


def test_a_second_order_waits_for_nothing(tmp_path: Path) -> None:
    with ending(tmp_path) as (_, keeper, watch):
        assert not select.select([watch], [], [], 0.6)[0]  # signals within half a second are one order
        os.kill(keeper, signal.SIGTERM)
        ended(watch)
        assert not naming(str(tmp_path / "deaf.sh"))


# `pserv up` in the foreground


def test_ctrl_c_stops_in_order_once(tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    with chain(tmp_path) as daemon:
        up = on_terminal(daemon, theirs, "up")
        screen = Screen(ours)
        screen.until("top: running")
        os.write(ours, b"\x03")
        assert up.wait(PATIENCE) == 0, screen.rest()
        assert told(daemon) == LIFE
        assert screen.rest().count("stopping;") == 1
        assert "Traceback" not in screen.text
        assert not daemon.marked()


def test_a_second_ctrl_c_waits_for_nothing(tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    with stubborn(tmp_path) as daemon:
        up = on_terminal(daemon, theirs, "up")
        screen = Screen(ours)
        (tmp_path / "up").read_text()
        screen.until("deaf: running")
        os.write(ours, b"\x03")
        daemon.until_state("deaf", "stopping")
        os.write(ours, b"\x03")
        up.wait(PATIENCE)
        assert not daemon.marked(), screen.rest()
        assert "not waiting any longer" in screen.rest()


def test_hang_up_stops_in_order(tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    with chain(tmp_path) as daemon:
        up = on_terminal(daemon, theirs, "up")
        Screen(ours).until("top: running")
        watch = os.pidfd_open(daemon.daemon().keeper_pid)
        os.close(theirs)
        os.close(ours)
        up.wait(PATIENCE)
        ended(watch)
        os.close(watch)
        assert told(daemon) == LIFE
        assert not daemon.marked()


def test_the_death_of_the_command_ends_the_daemon_it_started(tmp_path: Path) -> None:
    with chain(tmp_path) as daemon:
        up = daemon.start("up")
        daemon_up(up, "top: running")
        watch = os.pidfd_open(daemon.daemon().keeper_pid)
        up.kill()
        up.communicate()
        ended(watch)
        os.close(watch)
        assert told(daemon) == LIFE
        assert not daemon.marked()


def daemon_up(up: subprocess.Popen[str], text: str) -> None:
    """Read what `up` tells until this."""
    assert up.stderr is not None
    for line in up.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without {text!r}")


# As PID 1


def first_process(daemon: Daemon) -> subprocess.Popen[str]:
    """`pserv daemon` as PID 1 of a new PID namespace."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a PID namespace needs root and unshare")
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *daemon.command("daemon")]
    return subprocess.Popen(
        inside, cwd=daemon.folder, env=daemon.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_as_pid_1_it_reaps_orphans_and_ends_at_term(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    orphans = f'for n in 1 2 3 4 5; do (sh -c "sleep 0.01 & sleep 0.01 &" &); done 3>{tmp_path}/alive'
    config = f"""
services:
  orphaning: {{shell: 'cat {tmp_path}/alive & {orphans}; wait; echo up; exec sleep 1000'}}
  other: {{command: sleep 1000, stop: {{timeout: 5s}}}}
"""
    with Daemon(tmp_path, config) as daemon:
        process = first_process(daemon)
        try:
            assert process.stdout is not None
            assert any("up" in line for line in iter(process.stdout.readline, "")), "it ended before it was up"
            first, second = zombies(daemon), zombies(daemon)
            assert not first & second, "who has ended a moment ago may be one, and is none a while later"
            (inner,) = children(process.pid)
            os.kill(inner, signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
        finally:
            process.kill()
            process.communicate()


def zombies(daemon: Daemon) -> set[str]:
    """The zombies of a daemon's PID namespace."""
    ps = "for each in /proc/[0-9]*/stat; do cat $each; done 2> /dev/null; true"
    told = daemon.pserv("exec", "other", "--", "sh", "-c", ps, check=0).stdout.splitlines()
    assert len(told) >= 5
    return {line.split()[0] for line in told if line.rpartition(")")[2].split()[0] == "Z"}


@pytest.mark.parametrize(("line", "code"), [("exit 0", 0), ("kill -9 $$$$", 137)])
def test_as_pid_1_it_ends_when_all_is_done_or_one_has_failed(tmp_path: Path, line: str, code: int) -> None:
    shell = line.replace("$$$$", "$$")
    config = f"""
services:
  first: {{shell: 'echo said by first; exit 0', restart: never}}
  second: {{shell: '{shell}', restart: never, depends_on: {{first: completed}}}}
"""
    with Daemon(tmp_path, config) as daemon:
        process = first_process(daemon)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, output
        assert "said by first" in output


# Ending by itself; when and with which code: tests/rules/test_ending.py has all cells


@pytest.mark.parametrize(("line", "code"), [("exit 3", 3), ("kill -TERM $$", 143)])
def test_an_essential_service_ends_the_daemon_with_its_code(tmp_path: Path, line: str, code: int) -> None:
    with chain(tmp_path) as daemon:
        options = "essential: true, restart: never, ready: null, depends_on: [top]"
        vital = f"  vital: {{shell: '{line}', {options}}}\n"
        daemon.write(daemon.file.read_text() + vital)
        up = daemon.start("up")
        output, errors = up.communicate(timeout=PATIENCE)
        assert up.returncode == code, output + errors
        assert told(daemon) == LIFE
        assert not daemon.marked()


@pytest.mark.parametrize(
    ("condition", "lines", "code"),
    [
        ("all-done", ("exit 0", "exit 4"), 4),
        ("any-failed", ("exec sleep 1000", "exit 5"), 5),
    ],
)
def test_exit_when(tmp_path: Path, condition: str, lines: tuple[str, str], code: int) -> None:
    services = "".join(f"  s{n}: {{shell: '{line}', restart: never}}\n" for n, line in enumerate(lines))
    with Daemon(tmp_path, f"services:\n{services}") as daemon:
        done = daemon.pserv("up", "--exit-when", condition)
        assert done.returncode == code, done.stdout + done.stderr
        assert not daemon.marked()


def test_exit_code_from(tmp_path: Path) -> None:
    config = "services:\n  test: {shell: exit 9, restart: never}\n  db: {command: sleep 1000}\n"
    with Daemon(tmp_path, config) as daemon:
        done = daemon.pserv("up", "--exit-code-from", "test")
        assert done.returncode == 9, done.stdout + done.stderr
        assert not daemon.marked()
