"""postgres, nginx and haproxy: each ready by its own means, probed, reloaded, stopped by its own signal, restarted."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, alive, children, group_members, kill
from tests.scenarios.webserver import get, nginx_conf

PATH = ":".join(
    (os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
)


def program(name: str) -> str:
    """The path of an installed program; skips the test without it."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"not installed: {name}")
    return found


DATABASE = """
services:
  db:
    command: {postgres} -D {data} -k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=1MB
    user: postgres
    type: notify
    stop: INT
    hooks:
      pre_start: {{shell: 'test -s {data}/PG_VERSION || {initdb} -D {data} -A trust --no-sync >&2'}}
    health: {{exec: {isready} -h {folder}, interval: 200ms}}
  app:
    shell: 'echo "the database says $({psql} -h {folder} -U postgres -Atc "select 6 * 7")"; exec sleep 1000'
    depends_on: {{db: {{condition: ready, restart: true}}}}
    ready: log:says 42
    max_retries: 0
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own can be entered by root only."""
    folder = Path(tempfile.mkdtemp(prefix="pserv-postgres-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_postgres_as_its_own_user(open_folder: Path) -> None:
    """It says itself when it is ready, and who needs it waits for that; INT is its fast shutdown."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    names = {name: program(name) for name in ("postgres", "initdb", "psql")}
    user = pwd.getpwnam("postgres").pw_uid
    config = DATABASE.format(folder=open_folder, data=open_folder / "data", isready=program("pg_isready"), **names)
    with Daemon(open_folder, config) as daemon:
        daemon.up()
        rows = daemon.status()
        assert rows["db"].reason.endswith(": READY=1")
        assert "printed 'the database says 42'" in rows["app"].reason
        first = daemon.pid("db")
        assert Path(f"/proc/{first}").stat().st_uid == user
        daemon.until("db", lambda row: row.health == "healthy")
        assert "accepting connections" in daemon.story("db").service.probes["health"][-1].detail

        app = daemon.pid("app")
        daemon.pserv("restart", "db", check=0)
        second = daemon.until_restarted("db", first).pid or 0
        daemon.until_line("db", "received fast shutdown request")
        daemon.until_line("db", "database system is shut down")
        daemon.until_restarted("app", app)

        family = children(second)
        assert family, "each of its processes has a session of its own"
        kill(second)
        third = daemon.until_restarted("db", second)
        assert third.restarts == 1
        assert not [pid for pid in family if alive(pid)]
        daemon.until_line("db", "not properly shut down; automatic recovery")
        daemon.until("db", lambda row: row.ready and row.health == "healthy")

        daemon.pserv("stop", "db", check=0)
        row = daemon.status()["db"]
        assert row.last_exit is not None
        assert (row.state.value, row.last_exit.result, row.last_exit.code) == ("stopped", "success", 0)
        assert not (open_folder / "data" / "postmaster.pid").exists()


def test_nginx(tmp_path: Path, port: int) -> None:
    """QUIT lets it finish what it serves; HUP is its reload, and the master stays."""
    conf = tmp_path / "nginx.conf"
    conf.write_text(nginx_conf(tmp_path, port, 'return 200 "one"'))
    config = f"""
services:
  web:
    command: {program("nginx")} -e stderr -p {tmp_path} -c {conf}
    port: {port}
    stop: QUIT
    reload: HUP
    ready: {{http: {{path: /, body: one}}}}
    health: {{http: {{path: /}}, interval: 100ms}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        assert "http 200 OK" in daemon.status()["web"].reason
        assert get(port) == "one"
        first = daemon.until("web", lambda row: row.health == "healthy").pid or 0
        conf.write_text(nginx_conf(tmp_path, port, 'return 200 "two"'))
        daemon.pserv("reload", "web", check=0)
        daemon.until_line("web", "exited with code 0")
        assert get(port) == "two"
        assert daemon.pid("web") == first
        conf.write_text(nginx_conf(tmp_path, port, 'return 200 "one"'))
        daemon.pserv("restart", "web", check=0)
        daemon.until_line("web", "signal 3 (SIGQUIT) received")
        second = daemon.until("web", lambda row: row.health == "healthy").pid or 0
        assert second != first
        daemon.pserv("stop", "web", check=0)
        row = daemon.status()["web"]
        assert row.last_exit is not None
        assert (row.last_exit.result, row.last_exit.code, row.restarts) == ("success", 0, 0)


HAPROXY = """
global
  stats socket {folder}/stats
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend web
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "{answer}"
"""


def reloads(daemon: Daemon) -> int:
    """How often `web` has said RELOADING=1 and then READY=1."""
    told = [change.reason for change in daemon.story("web").history if change.kind == "notify"]
    began = [reason for reason in told if reason == "reloading (RELOADING=1)"]
    return min(len(began), len([reason for reason in told if reason.startswith("reloaded after")]))


def test_haproxy(tmp_path: Path, port: int) -> None:
    """Its master says READY=1 with its MAINPID; USR2 makes it say RELOADING=1, execute itself, and be ready again."""
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(HAPROXY.format(folder=tmp_path, port=port, answer="one"))
    config = f"""
services:
  web:
    command: {program("haproxy")} -Ws -f {conf}
    type: notify
    port: {port}
    reload: USR2
    health: {{http: {{path: /, body: o}}, interval: 100ms}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        row = daemon.until("web", lambda row: row.health == "healthy")
        assert row.reason.endswith(": READY=1")
        first = row.pid or 0
        (worker,) = set(group_members(first)) - {first}
        assert get(port) == "one"
        conf.write_text(HAPROXY.format(folder=tmp_path, port=port, answer="two"))
        before = reloads(daemon)  # also at its start it executes itself, and says so
        daemon.pserv("reload", "web", check=0)
        row = daemon.until("web", lambda row: reloads(daemon) > before and not row.reloading)
        assert get(port) == "two"
        assert (row.pid, row.restarts, row.reloading) == (first, 0, False)
        daemon.until_line("web", f"worker ({worker}) exited with code 0")

        # A mistake in its file: it says so, and goes on with what it had.
        conf.write_text("frontend web\n  bind nonsense\n")
        daemon.pserv("reload", "web")
        daemon.until_line("web", "parsing")
        assert get(port) == "two"
        conf.write_text(HAPROXY.format(folder=tmp_path, port=port, answer="four"))

        daemon.pserv("restart", "web", check=0)
        second = daemon.until_restarted("web", first).pid or 0
        assert get(port) == "four"
        kill(second)
        third = daemon.until_restarted("web", second)
        assert third.restarts == 1
        daemon.pserv("stop", "web", check=0)
        row = daemon.status()["web"]
        assert row.last_exit is not None
        assert (row.state.value, row.last_exit.result) == ("stopped", "success")
        assert not alive(third.pid or 0)
