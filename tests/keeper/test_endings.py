"""Stopped means gone: exits told as they were, nothing of a run left, no pid given away too early."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keeper.rig import Daemon, Supervisor, alive, ended

Start = Callable[..., Daemon]

both = pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "signs"])

ESCAPEE = """
import os, resource, signal, sys
ready, env, closed = sys.argv[1:4]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if closed != "open":
            for fd in (0, 1, 2):
                os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        if closed == "unmarked":
            resource.setrlimit(resource.RLIMIT_RTTIME, (resource.RLIM_INFINITY,) * 2)
        words = ["/bin/sh", "-c", "trap '' TERM HUP; echo $$ > " + ready + "; while :; do sleep 100; done"]
        os.execve(words[0], words, {} if env == "empty" else os.environ)
    os._exit(0)
os.wait()
while True:
    signal.pause()
"""
"""Forks twice and takes a session of its own; when told with an empty environment, no pipe of ours, no marked limit."""


def fifo(folder: Path) -> Path:
    path = folder / "fifo"
    os.mkfifo(path)
    return path


def first_word(path: Path) -> int:
    """Waits until somebody has written a pid into the FIFO."""
    return int(path.read_text())


@pytest.mark.parametrize(
    ("script", "code", "signum"),
    [("exit 0", 0, None), ("exit 255", 255, None), ("kill -TERM $$", None, 15), ("kill -KILL $$", None, 9)],
)
@both
def test_ends_are_told_as_they_were(
    daemon: Start, cgroups: bool, script: str, code: int | None, signum: int | None
) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    supervisor.up("web", 1, script)
    report = supervisor.report("exited", 1)
    assert (report["code"], report["signal"], report["core"], report["gone"]) == (code, signum, False, True)


@both
def test_use_of_resources_is_told(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    supervisor.up("web", 1, sys.executable, "-I", "-S", "-c", "x = bytearray(50_000_000); sum(range(2_000_000))")
    report = supervisor.report("exited", 1)
    assert report["max_rss"] > 50_000_000
    assert report["utime"] > 0.01


def test_memory_of_the_fork_before_exec_is_not_told_as_the_services(daemon: Start) -> None:
    """Linux keeps the high-water mark across execve; that of our fork says nothing of /bin/true."""
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, "/bin/true", "x")
    assert supervisor.report("exited", 1)["max_rss"] == 0


def test_a_core_dump_is_told(daemon: Start, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, "kill -ABRT $$", cwd=str(tmp_path), limits={"core": [-1, -1]})
    report = supervisor.report("exited", 1)
    assert report["signal"] == signal.SIGABRT
    assert isinstance(report["core"], bool)


@both
def test_a_child_in_the_group_that_ignores_term_is_killed(daemon: Start, tmp_path: Path, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    path = fifo(tmp_path)
    pid = supervisor.up("web", 1, f"(trap '' TERM; sh -c 'echo $PPID' > {path}; while :; do sleep 100; done) & wait")
    child = first_word(path)
    supervisor.signal("web", 1, signal.SIGTERM, "group")
    report = supervisor.report("exited", 1)
    assert (report["pid"], report["signal"], report["gone"]) == (pid, signal.SIGTERM, False)
    assert alive(child)
    # The pid is still held, so that the group's id cannot become another's.
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        assert file.read().rpartition(")")[2].split()[0] == "Z"
    supervisor.kill("web", 1)
    report = supervisor.report("gone", 1)
    assert (report["survivors"], report["strays"] >= 1) == ([], True)
    assert not alive(child)
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("environment", ["own", "empty"])
@pytest.mark.parametrize("pipes", ["open", "closed", "unmarked"])
@both
def test_a_grandchild_with_a_session_of_its_own_is_killed(
    daemon: Start, tmp_path: Path, cgroups: bool, environment: str, pipes: str
) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    path = fifo(tmp_path)
    log = {"kind": "file", "path": str(tmp_path / "log")}
    supervisor.up("web", 1, sys.executable, "-I", "-S", "-c", ESCAPEE, str(path), environment, pipes, stdout=log)
    child = first_word(path)
    if not cgroups and (environment, pipes) == ("empty", "unmarked"):
        # It came to the keeper with no sign at all: nobody's, named, and killed at the end.
        supervisor.kill("web", 1)
        supervisor.report("exited", 1)
        assert f"pid {child} (sh)" in supervisor.report("unowned")["processes"][0]
        supervisor.send({"op": "finish", "code": 0})
        supervisor.exit(0)
    else:
        supervisor.kill("web", 1)
        supervisor.report("exited", 1)
    assert ended(child)


def test_descendants_are_noted_before_the_first_signal(daemon: Start, tmp_path: Path) -> None:
    """A child without any sign is known by its parent, as long as that lives; TERM takes the parent away."""
    supervisor = daemon(cgroups=False).supervisor()
    path = fifo(tmp_path)
    script = f"setsid env -i sh -c 'trap \"\" TERM; echo $$ > {path}; while :; do sleep 100; done' & wait"
    supervisor.up("web", 1, script)
    child = first_word(path)
    supervisor.signal("web", 1, signal.SIGTERM)
    report = supervisor.report("exited", 1)
    assert report["gone"] is False
    supervisor.signal("web", 1, signal.SIGHUP, "rest")
    assert ended(child)
    assert supervisor.report("gone", 1)["survivors"] == []


@both
def test_what_is_left_gets_a_signal_alone(daemon: Start, tmp_path: Path, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    path = fifo(tmp_path)
    supervisor.up("web", 1, f"setsid sh -c 'echo $$ > {path}; exec sleep 1000' & exit 4")
    child = first_word(path)
    report = supervisor.report("exited", 1)
    assert (report["code"], report["gone"]) == (4, False)
    supervisor.signal("web", 1, signal.SIGTERM, "rest")
    supervisor.report("gone", 1)
    assert not alive(child)


@both
def test_a_run_is_gone_without_a_signal_when_its_last_process_ends(
    daemon: Start, tmp_path: Path, cgroups: bool
) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    path = fifo(tmp_path)
    supervisor.up("web", 1, f"(read line < {path}) & exit 0")
    assert supervisor.report("exited", 1)["gone"] is False
    path.write_text("go\n")
    assert supervisor.report("gone", 1)["survivors"] == []


@both
def test_a_stopped_service_can_be_killed(daemon: Start, cgroups: bool) -> None:
    supervisor = daemon(cgroups=cgroups).supervisor()
    supervisor.up("web", 1, "kill -STOP $$")
    supervisor.kill("web", 1)
    assert supervisor.report("exited", 1)["signal"] == signal.SIGKILL


def test_a_child_that_hangs_before_exec_delays_nobody_and_can_be_killed(daemon: Start, tmp_path: Path) -> None:
    """A FIFO as the script's interpreter line would not hang; opening /dev/stdin of a FIFO in PATH look-up neither:
    the freezer is what stops a child for certain, so a stop signal at its first step stands for a dead mount."""
    supervisor = daemon(cgroups=False).supervisor()
    supervisor.spawn("hung", 1, "/bin/true", "x")
    supervisor.kill("hung", 1)
    supervisor.report("exited", 1)
    supervisor.up("web", 2, "exit 0")
    supervisor.report("exited", 2)


@pytest.mark.long
def test_thousands_of_orphans_are_reaped_beside_a_held_main_process(daemon: Start, tmp_path: Path) -> None:
    rig = daemon(cgroups=False)
    supervisor = rig.supervisor()
    path = fifo(tmp_path)
    supervisor.up("held", 1, f"(trap '' TERM; read line < {path}) & exit 0")
    assert supervisor.report("exited", 1)["gone"] is False
    supervisor.up("many", 2, "n=0; while [ $n -lt 2000 ]; do : & n=$((n+1)); done")
    assert supervisor.report("exited", 2)["code"] == 0
    supervisor.up("web", 3, "exit 0")
    supervisor.report("exited", 3)
    path.write_text("go\n")
    supervisor.report("gone", 1)
    assert rig.finish(supervisor) == 0


def stay(supervisor: Supervisor, key: str, run: int) -> int:
    return supervisor.up(key, run, "exec sleep 1000")


def test_a_hundred_ends_at_once(daemon: Start) -> None:
    supervisor = daemon(cgroups=False).supervisor()
    pids = {run: stay(supervisor, f"s{run}", run) for run in range(1, 101)}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for run, pid in pids.items():
        report = supervisor.report("exited", run)
        assert (report["pid"], report["signal"], report["gone"]) == (pid, 9, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make what an ordinary user cannot kill")
def test_survivors_are_named_and_not_waited_for(daemon: Start, common_folder: Path) -> None:
    """A process that has become another user's, which the keeper may not kill, stands for one in state D."""
    become = common_folder / "become"
    become.write_bytes(Path("/usr/bin/setpriv").read_bytes())
    become.chmod(0o4755)  # setuid root
    rig = daemon(folder=common_folder, wrapper=("setpriv", "--reuid=34567", "--regid=34567", "--clear-groups"))
    supervisor = rig.supervisor()
    path = fifo(common_folder)
    script = f"echo $$ > {path}; exec sleep 1000"
    pid = supervisor.up("web", 1, str(become), "--reuid=0", "--regid=0", "--clear-groups", "sh", "-c", script)
    assert first_word(path) == pid
    supervisor.kill("web", 1)
    report = supervisor.report("exited", 1)
    assert (report["code"], report["signal"], report["gone"]) == (None, None, False)
    survivors = supervisor.report("gone", 1)["survivors"]
    assert survivors == [f"pid {pid} (sleep), state S"]
    assert alive(pid)
    supervisor.up("web", 2, "exit 0")
    supervisor.report("exited", 2)
    # When it ends at last it is reaped as any orphan.
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    supervisor.up("web", 3, "exit 0")
    supervisor.report("exited", 3)
    assert not os.path.exists(f"/proc/{pid}")
