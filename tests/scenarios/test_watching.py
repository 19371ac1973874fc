"""Files whose change restarts a service: from any state but stopped, once for many changes, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from pserv.api import operations as op
from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import PATIENCE, Daemon, children, kill
from tests.scenarios.saving import appears

QUICK = {"paths": ["src"], "debounce": "50ms"}


def services(**declared: Mapping[str, object]) -> str:
    """A configuration; JSON is YAML."""
    return json.dumps({"services": declared})


def until_watched(daemon: Daemon, name: str, count: int = 1) -> None:
    """Its files have been watched anew so many times."""
    with daemon.client() as client, client.stream("events", op.Events((name,), 100, True), timeout=PATIENCE) as changes:
        for told in changes:
            change = told.change if isinstance(told, op.Progress) else None
            if change is not None and change.kind == "watch" and change.reason.startswith("watches "):
                count -= 1
                if not count:
                    return


def until_told(daemon: Daemon, name: str, text: str) -> ServiceStatus:
    return daemon.until(name, lambda row: text in row.reason)


def watchers(daemon: Daemon) -> list[int]:
    """Processes of the keeper's own code that hold an inotify instance."""
    found = []
    for pid in children(daemon.daemon().keeper_pid):
        try:
            names = os.listdir(f"/proc/{pid}/fd")
            if any(os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:inotify" for name in names):
                found.append(pid)
        except OSError:
            continue
    return found


def test_an_edit_restarts_whatever_its_state(tmp_path: Path) -> None:
    """Running, failed, in back-off, done; not what is stopped. One watcher for all, and none once nobody needs it."""
    src = tmp_path / "src"
    src.mkdir()
    fails = f"test -e {src}/good && exec sleep 1000; exit 1"
    slow = {"initial": "1h", "maximum": "1h"}
    declared: dict[str, dict[str, object]] = {
        "web": {"command": "sleep 1000", "watch": QUICK},
        "failed": {"shell": fails, "max_retries": 0, "watch": QUICK},
        "backoff": {"shell": fails, "restart": "always", "backoff": slow, "watch": QUICK},
        "done": {"shell": "echo done", "type": "oneshot", "watch": QUICK},
        "down": {"command": "sleep 1000", "watch": QUICK},
        "signalled": {
            "shell": "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done",
            "watch": {**QUICK, "on_change": "HUP"},
        },
        "reloaded": {
            "command": "sleep 1000",
            "reload": {"shell": "echo was reloaded"},
            "watch": {**QUICK, "on_change": "reload"},
        },
    }
    with Daemon(tmp_path, services(**declared)) as daemon:
        daemon.up("--no-wait")
        daemon.pserv("stop", "down", check=0)
        for name in declared:
            until_watched(daemon, name)
        daemon.until_line("signalled", "up")
        daemon.until_state("failed", "failed")
        daemon.until("backoff", lambda row: row.state.value == "backoff" and row.restarts == 2)
        before = daemon.status()
        assert len(watchers(daemon)) == 1
        appears(src / "good", "x")
        for name in ("web", "failed", "backoff"):
            row = daemon.until_restarted(name, before[name].pid or 0)
            assert (row.reason, row.restarts) == ("restarted by a change of src/good", 0)
        daemon.until("done", lambda row: row.run_id != before["done"].run_id and row.state.value == "exited")
        daemon.until_line("signalled", "hup")
        daemon.until_line("reloaded", "was reloaded")
        after = daemon.status()
        assert after["down"].run_id == before["down"].run_id
        assert after["signalled"].pid == before["signalled"].pid
        assert after["reloaded"].pid == before["reloaded"].pid
        daemon.pserv("stop", "--all", check=0)
        assert watchers(daemon) == []


def test_it_goes_on_whoever_dies(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    with Daemon(tmp_path, services(web={"command": "sleep 1000", "watch": QUICK})) as daemon:
        daemon.up()
        until_watched(daemon, "web")
        (watcher,) = watchers(daemon)
        kill(watcher)
        trouble = daemon.until("web", lambda row: bool(row.trouble)).trouble
        assert trouble == "the process that watches files has ended; its files are watched again in 500 ms"
        until_watched(daemon, "web", 2)
        assert daemon.status()["web"].trouble == ""
        pid = daemon.pid("web")
        appears(src / "x.py", "x")
        pid = daemon.until_restarted("web", pid).pid or 0
        daemon.kill_supervisor()
        until_watched(daemon, "web")
        assert daemon.pid("web") == pid
        appears(src / "y.py", "y")
        row = daemon.until_restarted("web", pid)
        assert row.reason == "restarted by a change of src/y.py"
        # What happens while nobody watches is found by who watches next: by the files, and by when the run began.
        for dies in (lambda: kill(watchers(daemon)[0]), daemon.kill_supervisor):
            (watcher,) = watchers(daemon)
            os.kill(watcher, signal.SIGSTOP)
            appears(src / "y.py", "once more")
            dies()
            row = daemon.until_restarted("web", row.pid or 0)
            assert row.reason == "restarted by a change of src/y.py"
            kill(watcher)
        until_watched(daemon, "web")
        # Another declaration is watched at once, without a restart.
        daemon.write(services(web={"command": "sleep 1000", "watch": {**QUICK, "paths": ["other"]}}))
        daemon.pserv("reload", check=0)
        until_watched(daemon, "web", 2)
        (tmp_path / "other").write_text("z")
        assert daemon.until_restarted("web", row.pid or 0).reason == "restarted by a change of other"


def test_changes_during_a_restart_cause_one_more(tmp_path: Path) -> None:
    """It takes until the test lets it go: what changes while it stops is in the run that follows, without another."""
    src = tmp_path / "src"
    src.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    gate = os.open(fifo, os.O_RDWR)
    slow = f"trap 'read x < {fifo}; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    with Daemon(tmp_path, services(web={"shell": slow, "watch": QUICK, "stop": {"scope": "main"}})) as daemon:
        daemon.up()
        until_watched(daemon, "web")
        daemon.until_line("web", "up")
        pid = daemon.pid("web")
        appears(src / "a", "a")
        until_told(daemon, "web", "restarted by a change of src/a: sent SIGTERM")
        for number in range(10):
            appears(src / f"b{number}", "b")
        os.write(gate, b"go\n" * 9)
        daemon.until_restarted("web", pid)
        daemon.pserv("restart", "web", check=0)
        starts = [change.reason for change in daemon.story("web").history if change.phase == "running"]
        # What changed before the new run was there is in it; the end of the last batch may be seen after that.
        assert 3 <= len(starts) <= 4
    os.close(gate)


def test_its_own_writes_do_not_restart_it_for_ever(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    writes = "echo $$ > src/state; exec sleep 1000"
    with Daemon(tmp_path, services(web={"shell": writes, "watch": QUICK})) as daemon:
        daemon.up()
        until_watched(daemon, "web")
        appears(src / "state", "begin")
        row = daemon.until("web", lambda row: bool(row.trouble))
        assert row.trouble.startswith("src/state changes right after each start, so it is not restarted for that")
        assert "Add it to watch.ignore" in row.trouble
        pid = daemon.until_state("web", "running").pid
        os.kill(pid or 0, 0)
        for name in ("app.py", "other.py"):  # what it writes then is no news either
            appears(src / name, "x")
            row = daemon.until_restarted("web", pid or 0)
            assert row.reason.startswith(f"restarted by a change of src/{name}")
            pid = row.pid
        assert row.trouble.startswith("src/state changes right after each start")
