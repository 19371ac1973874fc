"""The keeper killed, alone or with its supervisor: nothing is left running, and nothing ever runs twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pserv.keeper import cgroup
from tests.scenarios.daemon import Daemon, alive, ended, environ, kill, naming
from tests.scenarios.fifos import fifo, words

SERVICE = """
exec 9>"$1.lock"
flock -n 9 || echo "$1 runs twice" >> doubles
[ "$1" = deaf ] && trap '' TERM
case $1 in *.child) ;; *) (setsid env -i /bin/sh "$0" "$1.child" 9>&- &) ;; esac
echo up > told; : < never
"""

CONFIG = """
services:
  polite: {{command: sh {folder}/service.sh polite}}
  deaf: {{command: sh {folder}/service.sh deaf, stop: {{timeout: 300ms}}}}
  forking: {{shell: 'sh {folder}/service.sh inner & sh {folder}/service.sh other & wait'}}
"""


def daemon_in(folder: Path) -> Daemon:
    (folder / "service.sh").write_text(SERVICE)
    os.mkfifo(folder / "never")  # to wait for without a fork, which would be one process more until its exec
    return Daemon(folder, CONFIG.format(folder=folder))


def up(daemon: Daemon) -> list[int]:
    """Start it and wait until each process of all services has said so; those processes."""
    path = daemon.folder / "told"
    path.unlink(missing_ok=True)
    told = fifo(path)
    daemon.up()
    words(told, 8)  # polite, deaf, inner and other, and a child of each
    os.close(told)
    return naming(str(daemon.folder / "service.sh"))


def cgroup_of(pid: int) -> str | None:
    """The folder of the daemon that this process is a service of, where it could make one."""
    (sign,) = [word for word in environ(pid) if word.startswith(b"PSERV_RUN_ID=")]
    folder = cgroup.find(sign.partition(b"=")[2].partition(b"/")[0].decode())
    return folder if folder is not None and os.path.exists(folder) else None


def test_the_keepers_death_leaves_nothing_running(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        services = up(daemon)
        folder = cgroup_of(services[0])
        status = daemon.daemon()
        supervisor = os.pidfd_open(status.supervisor_pid)
        kill(status.keeper_pid)
        ended(supervisor)
        os.close(supervisor)
        assert not naming(str(tmp_path / "service.sh"))
        assert not daemon.marked()
        assert folder is None or not os.path.exists(folder)
        told = daemon.pserv("status")
        assert told.returncode == 5
        assert "pserv up" in told.stderr


def test_after_keeper_and_supervisor_died_together_nothing_runs_twice(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        before = up(daemon)
        for _ in range(2):
            status = daemon.daemon()
            # Stopped first, so that none of the two sees the other die.
            for pid in (status.supervisor_pid, status.keeper_pid):
                os.kill(pid, signal.SIGSTOP)
            kill(status.supervisor_pid)
            kill(status.keeper_pid)
            assert all(alive(pid) for pid in before), "the services outlive both"
            after = up(daemon)
            assert not set(before) & set(after)
            assert len(after) == len(before)
            before = after
        assert not (tmp_path / "doubles").exists()
        daemon.pserv("down", check=0)
        assert not naming(str(tmp_path / "service.sh"))
