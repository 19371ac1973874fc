"""Services that go to the background: old daemons as they are, nasty ones, and supervisors that die meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import Daemon, alive, kill
from tests.scenarios.ports import Ports

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

OLD = """
import os, sys
gate, file = sys.argv[1:]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open(os.devnull, os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
with open(gate, "r+b", buffering=0) as orders:
    while order := orders.readline().decode().strip():
        text = order.replace("SELF", str(os.getpid())).removeprefix("EMPTY")
        with open(file, "w") as out:
            out.write(text)
"""
"""Forks twice, gives up what it had open, and writes into its pid file what it is told to."""


class Old:
    """One such daemon and what tells it."""

    def __init__(self, folder: Path, name: str = "old") -> None:
        self.name = name
        self.pid_file = folder / "run" / f"{name}.pid"
        script = folder / "old.py"
        script.write_text(OLD)
        gate = folder / f"{name}.gate"
        os.mkfifo(gate)
        self._gate = os.open(gate, os.O_RDWR)
        argv = [sys.executable, "-I", "-S", str(script), str(gate), str(self.pid_file)]
        self.declared = {"command": argv, "type": "forking", "pid_file": str(self.pid_file)}

    def write(self, text: str) -> None:
        os.write(self._gate, f"{text}\n".encode())

    def close(self) -> None:
        os.close(self._gate)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    (tmp_path / "run").mkdir()
    made = Old(tmp_path)
    yield made
    made.close()


def services(**declared: Mapping[str, object]) -> str:
    """A configuration; JSON is YAML."""
    return json.dumps({"services": declared})


def until_told(daemon: Daemon, text: str) -> ServiceStatus:
    return daemon.until("old", lambda row: text in row.reason)


def test_its_pid_file_is_read_with_care(tmp_path: Path, old: Old) -> None:
    """Stale, of a stranger, empty, garbage, of the process before it: none is believed, and each is told."""
    old.pid_file.write_text(f"{os.getpid()}\n")
    with Daemon(tmp_path, services(old=old.declared)) as daemon:
        daemon.up("--no-wait", check=None)
        waits = f"waits for {old.pid_file}"
        row = until_told(daemon, f"{waits}: process {os.getpid()} is none of this service's")
        assert (row.state.value, row.pid, row.ready) == ("starting", None, False)
        for text, told in (
            ("EMPTY", "it is empty"),
            ("garbage", "it names no process: 'garbage'"),
            ("1", "it names no process: '1'"),
            (str(2**22 + 1), f"there is no process {2**22 + 1}"),
            (str(daemon.daemon().keeper_pid), "is none of this service's"),
        ):
            old.write(text)
            until_told(daemon, f"{waits}: ")
            until_told(daemon, told)
        why = "\n".join(daemon.story("old").why)
        assert f"unless {old.pid_file} names its main process by then" in why
        old.pid_file.unlink()
        until_told(daemon, "there is no such file yet")
        old.pid_file.symlink_to(tmp_path / "elsewhere")
        os.chown(old.pid_file, 65534, -1, follow_symlinks=False)
        (tmp_path / "elsewhere").write_text("1")
        until_told(daemon, "it is a link that another user made" if os.geteuid() == 0 else "it names no process")
        old.pid_file.unlink()
        old.write("SELF")
        row = daemon.until_state("old", "running")
        assert row.pid is not None
        assert row.ready
        assert row.reason.endswith(f": {old.pid_file} names {row.pid}")
        # What ends is the main process; what it left of its pid file is stale again.
        kill(row.pid)
        until_told(daemon, f"there is no process {row.pid}")
        old.write("SELF")
        assert daemon.until_restarted("old", row.pid).restarts == 1


def test_what_does_not_become_a_service(tmp_path: Path, old: Old) -> None:
    """Each failure says what went wrong; nothing is left of any."""
    once = {"type": "forking", "max_retries": 0}
    short = {**old.declared, "max_retries": 0, "start_timeout": "300ms"}
    declared: dict[str, dict[str, object]] = {
        "nobody": {"shell": "exit 0", **once},
        "broken": {"shell": "sleep 1000 & exit 3", **once},
        "two": {"shell": "sleep 1001 & sleep 1002 &", **once},
        "brief": {"shell": "true &", "pid_file": str(tmp_path / "brief.pid"), **once},
        "old": short,
    }
    with Daemon(tmp_path, services(**declared)) as daemon:
        daemon.up(check=1)
        rows = daemon.status()
        told = {name: row.reason.removeprefix("gave up after 0 retries: ").split(";")[0] for name, row in rows.items()}
        assert {row.state.value for row in rows.values()} == {"failed"}
        assert told["nobody"] == "ended without leaving a process in the background"
        assert told["broken"] == "exit code 3"
        assert told["two"].startswith("left 2 processes in the background, ")
        assert told["brief"] in (
            "ended without leaving a process in the background",
            f"what it left in the background has ended before {tmp_path / 'brief.pid'} named a main process",
        )
        # On a busy machine it may not even have forked by then.
        assert told["old"] in (f"{old.pid_file} named no main process within 300 ms", "not ready after 300 ms")
        results = {name: row.last_exit and row.last_exit.result for name, row in rows.items()}
        protocol = dict.fromkeys(("nobody", "two", "brief"), "protocol")
        assert results == {**protocol, "broken": "exit-code", "old": "timeout"}
        assert daemon.daemon().trouble == ()


@pytest.mark.parametrize("keeper", [False, True], ids=["supervisor", "keeper"])
def test_whoever_is_replaced_goes_on_with_it(tmp_path: Path, old: Old, keeper: bool) -> None:
    """Before the pid file is there, and after: no second run, no lost pid, a stop that ends all of it."""
    with Daemon(tmp_path, services(old=old.declared)) as daemon:
        daemon.up("--no-wait", check=None)

        def replaced() -> None:
            if keeper:
                daemon.pserv("upgrade", "--keeper", check=0, timeout=60)
            else:
                daemon.kill_supervisor()

        until_told(daemon, "there is no such file yet")
        replaced()
        until_told(daemon, "there is no such file yet")
        old.write("SELF")
        row = daemon.until_state("old", "running")
        assert row.pid is not None
        replaced()
        again = daemon.until_state("old", "running")
        assert (again.pid, again.run_id, again.restarts) == (row.pid, row.run_id, 0)
        kill(row.pid)
        until_told(daemon, f"there is no process {row.pid}")
        replaced()
        old.write("SELF")
        pid = daemon.until_restarted("old", row.pid).pid
        assert pid is not None
        daemon.pserv("stop", "old", check=0)
        assert daemon.status()["old"].reason == "stopped by operator"
        assert not alive(pid)


def test_it_is_stopped_and_restarted_while_it_is_waited_for(tmp_path: Path, old: Old) -> None:
    with Daemon(tmp_path, services(old=old.declared)) as daemon:
        daemon.up("--no-wait", check=None)
        until_told(daemon, "there is no such file yet")
        daemon.pserv("restart", "old", "--no-wait", check=0)
        until_told(daemon, "restarted by operator; waits for")
        daemon.pserv("stop", "old", check=0)
        row = daemon.status()["old"]
        assert (row.state.value, row.reason) == ("stopped", "stopped by operator")
        daemon.pserv("start", "old", "--no-wait", check=0)
        old.write("SELF")
        pid = daemon.until_state("old", "running").pid
        assert pid is not None
        kill(pid)
        old.write("SELF")
        assert daemon.until_restarted("old", pid).restarts == 1


NGINX = """
daemon on;
error_log stderr notice;
pid {folder}/run/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}
}}
"""


def test_real_old_daemons(tmp_path: Path, ports: Ports) -> None:
    """As they come: nginx and redis with their pid files, atd without."""
    found = {name: shutil.which(name, path=PATH) for name in ("nginx", "redis-server", "atd", "unshare")}
    if os.geteuid() != 0 or not all(found.values()):
        pytest.skip("needs root, nginx, redis and atd")
    (tmp_path / "run").mkdir()
    web, port = ports.one(), ports.one()
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=web))
    redis = f"{found['redis-server']} --port {port} --bind 127.0.0.1 --save '' --dir {tmp_path} --daemonize yes"
    own = f"mount -t tmpfs none /run && exec {found['atd']}"
    declared: dict[str, dict[str, object]] = {
        "nginx": {
            "command": f"{found['nginx']} -e stderr -p {tmp_path} -c {tmp_path}/nginx.conf",
            "pid_file": str(tmp_path / "run" / "nginx.pid"),
            "stop": "QUIT",
            "reload": "HUP",
            "ready": f"tcp:{web}",
        },
        "redis": {
            "command": f"{redis} --pidfile {tmp_path}/run/redis.pid --logfile {tmp_path}/redis.log",
            "pid_file": str(tmp_path / "run" / "redis.pid"),
        },
        "atd": {"command": [found["unshare"], "-m", "sh", "-c", own]},
    }
    with Daemon(tmp_path, services(**{name: {**one, "type": "forking"} for name, one in declared.items()})) as daemon:
        daemon.up()
        rows = daemon.status()
        assert {row.state.value for row in rows.values()} == {"running"}
        for name in ("nginx", "redis"):
            assert rows[name].pid == int((tmp_path / "run" / f"{name}.pid").read_text())
        assert Path(f"/proc/{rows['atd'].pid}/comm").read_text() == "atd\n"
        daemon.pserv("reload", "nginx", check=0)
        daemon.until_line("nginx", "gracefully shutting down")
        for name, row in rows.items():
            assert row.pid is not None
            kill(row.pid)
            assert daemon.until_restarted(name, row.pid).restarts == 1
        daemon.pserv("restart", *declared, check=0)
        pids = [row.pid for row in daemon.status().values() if row.pid is not None]
        daemon.pserv("stop", *declared, check=0)
        assert {row.reason for row in daemon.status().values()} == {"stopped by operator"}
        assert not any(alive(pid) for pid in pids)
