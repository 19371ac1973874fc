"""The supervisor killed at each message, spoiled notes and documents, a package replaced: the services never notice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pserv
from pserv.api import operations as op
from pserv.model.errors import PservError
from tests.rounds import ROUNDS
from tests.scenarios.daemon import PATIENCE, Daemon, alive, ended, kill, naming

MESSAGES = 60
"""There are at least so many messages in one life as below."""

SERVICE = """
exec 9>"$1.lock"
flock -n 9 || echo "$1 runs twice" >> doubles
if [ "$1" = crashing ] && [ ! -e crashed ]; then touch crashed; kill -9 $$; fi
exec sleep 1000
"""

CONFIG = """
services:
  steady: {{command: sh {folder}/service.sh steady}}
  crashing: {{command: sh {folder}/service.sh crashing, depends_on: [steady]}}
  changing: {{command: sh {folder}/service.sh changing, env: {{VERSION: "{version}"}}}}
"""


class Faulty:
    """A daemon with a fault, as `faulty` describes them."""

    def __init__(self, folder: Path, fault: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "service.sh").write_text(SERVICE)
        self.folder = folder
        self.daemon = Daemon(folder, CONFIG.format(folder=folder, version=1))
        ready, told = os.pipe()
        root = str(Path(__file__).parents[2])
        with (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.scenarios.faulty", fault, str(told)],
                cwd=folder, env={**self.daemon.env, "PYTHONPATH": root}, pass_fds=(told,), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        os.close(told)
        with os.fdopen(ready) as answer:
            assert "socket" in answer.readline(), (folder / "errors").read_text()

    def act(self, name: str, request: op.Act | op.Reload) -> None:
        """Carry out an action; when the daemon's supervisor dies over it, again."""
        for _ in range(5):
            try:
                with self.daemon.client() as client, client.stream(name, request, timeout=PATIENCE) as steps:
                    for _ in steps:
                        pass
            except PservError:
                continue
            return
        raise AssertionError(f"{name} was never carried out")

    def errors(self) -> str:
        return (self.folder / "errors").read_text()


def until_up(daemon: Daemon) -> None:
    """Wait until all run, and the one that crashes has done so."""
    for name in ("steady", "changing"):
        daemon.until_state(name, "running")
    daemon.until("crashing", lambda row: row.state.value == "running" and row.restarts == 1)


def live(faulty: Faulty) -> None:
    """Start, crash, restart, stop, reload, shutdown: each must come to its end."""
    daemon = faulty.daemon
    until_up(daemon)
    before = daemon.pid("steady")
    faulty.act("restart", op.Act(("steady",)))
    daemon.until_restarted("steady", before)
    faulty.act("stop", op.Act(("crashing",)))
    assert daemon.until_state("crashing", "stopped").pid is None
    before = daemon.pid("changing")
    daemon.write(CONFIG.format(folder=faulty.folder, version=2))
    faulty.act("reload", op.Reload())
    daemon.until_restarted("changing", before)
    assert daemon.status()["crashing"].state.value == "stopped"
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.process.wait(PATIENCE) == 0, faulty.errors()
    assert not naming(str(faulty.folder))
    assert not (faulty.folder / "doubles").exists()
    assert "Traceback" not in faulty.errors()


def points() -> list[int]:
    """Message boundaries: all, or some at random."""
    every = range(1, MESSAGES + 1)
    return list(every) if ROUNDS >= MESSAGES else sorted(random.Random().sample(every, ROUNDS))


@pytest.mark.long
@pytest.mark.timeout(60 + 5 * ROUNDS)
def test_the_supervisor_may_die_at_any_message(tmp_path: Path) -> None:
    for point in points():
        faulty = Faulty(tmp_path / str(point), f"kill:{point}")
        with faulty.daemon:
            try:
                live(faulty)
            except BaseException as error:
                error.add_note(f"killed at message {point}\n{faulty.errors()}")
                raise
        assert int((tmp_path / str(point) / "messages").read_text()) >= point, "fewer messages than thought"


@pytest.mark.parametrize("fault", ["note:steady", "note:@daemon", "document"])
def test_what_no_supervisor_can_read_leads_to_safe_mode(tmp_path: Path, fault: str) -> None:
    """Status, logs and stop are served, with the traceback; the services run on; nothing new is started."""
    faulty = Faulty(tmp_path, fault)
    daemon = faulty.daemon
    with daemon:
        until_up(daemon)
        daemon.kill_supervisor()
        pids = {name: row.pid for name, row in daemon.status().items()}
        (tmp_path / "spoil").touch()
        daemon.kill_supervisor()
        status = daemon.daemon()
        assert status.safe
        assert "Error" in status.last_traceback
        assert {name: row.pid for name, row in daemon.status().items()} == pids
        told = daemon.pserv("status")
        assert "safe mode" in told.stdout + told.stderr
        assert "Error" in told.stdout + told.stderr, "the traceback is shown"
        refused = daemon.pserv("restart", "steady", check=1)
        assert "safe mode" in refused.stderr
        daemon.pserv("logs", check=0)
        daemon.pserv("stop", "steady", check=0)
        assert pids["steady"] is not None
        assert not alive(pids["steady"])
        daemon.pserv("down", check=0)
        assert faulty.process.wait(PATIENCE) == 0
        assert not naming(str(tmp_path / "service.sh"))


def test_a_package_replaced_on_disk_changes_nothing_for_who_runs(tmp_path: Path) -> None:
    """Each successor is made from what the daemon loaded when it started."""
    package = tmp_path / "package" / "pserv"
    shutil.copytree(Path(pserv.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    script = "sleep 1000 & trap 'echo two; kill $$!; wait; exit 0' TERM; echo one; wait"
    config = f"services:\n  web: {{command: [sh, -c, {script!r}], stdout: {tmp_path}/web.log}}\n"
    daemon = Daemon(tmp_path, config)
    with daemon:
        ours = daemon.env
        daemon.env = {**ours, "PYTHONPATH": str(package.parent)}
        daemon.up()
        daemon.until_line("web", "one")
        daemon.env = ours
        for path in package.rglob("*.py"):
            path.write_text("raise SystemExit('broken on disk')\n")
        pid, keeper, logger = daemon.pid("web"), daemon.daemon().keeper_pid, daemon.daemon().logger_pid
        assert str(package.parent).encode() in Path(f"/proc/{keeper}/environ").read_bytes()
        daemon.kill_supervisor()
        assert daemon.pid("web") == pid
        assert not daemon.daemon().safe
        assert daemon.daemon().supervisor_restarts == 1
        if logger:
            kill(logger)
        kill(pid, signal.SIGTERM)
        daemon.until_state("web", "exited")
        daemon.pserv("start", "web", check=0)
        daemon.until_line("web", "one", 2)
        watch = os.pidfd_open(keeper)
        daemon.pserv("down", check=0)
        ended(watch)
        os.close(watch)
        assert (tmp_path / "web.log").read_text().split() == ["one", "two"] * 2
