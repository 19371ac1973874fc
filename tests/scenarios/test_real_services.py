"""nginx, redis, gunicorn and a shell worker from one file: up in order, back after kill -9, gone after `down`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.model.states import Phase
from tests.scenarios.daemon import Daemon, alive, group_members, kill, naming
from tests.scenarios.ordinary import NOBODY, becoming
from tests.scenarios.ports import Ports
from tests.scenarios.webserver import get, nginx_conf

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

APPLICATION = """
import os, socket

def app(environ, start_response):
    with socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"]))) as redis:
        redis.sendall(b"PING\\r\\n")
        answer = redis.recv(64)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"redis said " + answer]
"""

SERVICES = """
services:
  web:
    command: {nginx} -e stderr -p {folder} -c {folder}/nginx.conf
    stop: {{signal: QUIT, timeout: 10s}}
    depends_on: [app]
  app:
    command: [{python}, -P, -m, gunicorn, --workers, "2", --bind, "127.0.0.1:{app}", --worker-tmp-dir, {folder},
              --no-control-socket, "application:app"]
    env: {{REDIS_PORT: "{redis}", PYTHONPATH: {folder}}}
    depends_on: [redis]
  redis:
    command: {redis_server} --port {redis} --bind 127.0.0.1 --save '' --dir {folder}
  worker:
    shell: 'while :; do {redis_cli} -p {redis} incr jobs; sleep 0.5; done'
    depends_on: [redis]
"""

SPOKEN = {"web": "start worker processes", "app": "Booting worker", "redis": "Ready to accept", "worker": ""}
"""What each prints once it serves."""
LINES = {"web": 1, "app": 2, "redis": 1, "worker": 1}
"""How many such lines there are in one run: gunicorn prints one for each worker."""


class Stack:
    """The four services in one folder."""

    def __init__(self, folder: Path, ports: Ports, wrapper: Sequence[str] = ()) -> None:
        found = {name: shutil.which(name, path=PATH) for name in ("nginx", "redis-server", "redis-cli")}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
        pytest.importorskip("gunicorn")
        self.web, app, redis = (ports.one() for _ in range(3))
        (folder / "application.py").write_text(APPLICATION)
        (folder / "nginx.conf").write_text(nginx_conf(folder, self.web, f"proxy_pass http://127.0.0.1:{app}"))
        config = SERVICES.format(
            folder=folder, python=sys.executable, app=app, redis=redis,
            nginx=found["nginx"], redis_server=found["redis-server"], redis_cli=found["redis-cli"],
        )  # fmt: skip
        self.daemon = Daemon(folder, config, wrapper=wrapper)

    def until_serving(self, name: str, run: int) -> None:
        """Wait until the service has said so in its run of this number, from 1."""
        self.daemon.until_line(name, SPOKEN[name], LINES[name] * run)

    def get(self) -> str:
        """What nginx answers, from gunicorn, from redis."""
        return get(self.web)


def became_running(daemon: Daemon) -> list[str]:
    """The services in the order in which they first ran."""
    with daemon.client() as client, client.stream("events", op.Events()) as rows:
        started = [row.change.service for row in rows if isinstance(row, op.Progress) and _runs(row)]
    return list(dict.fromkeys(started))


def _runs(row: op.Progress) -> bool:
    return row.change.kind == "state" and row.change.phase is Phase.RUNNING


def check_stack(stack: Stack) -> None:
    """The whole life, as whichever user."""
    daemon = stack.daemon
    daemon.up()
    order = became_running(daemon)
    assert order.index("redis") < order.index("app") < order.index("web")
    assert order.index("redis") < order.index("worker")
    for name in SPOKEN:
        stack.until_serving(name, 1)
    assert stack.get() == "redis said +PONG\r\n"

    left = group_members(daemon.pid("app"))
    assert len(left) == 3, "a master and two workers"
    for name in SPOKEN:  # of app and web the master dies: its workers hold the port until they are ended
        pid = daemon.pid(name)
        kill(pid)
        after = daemon.until_restarted(name, pid)
        assert after.restarts == 1
        stack.until_serving(name, 2)
        assert stack.get() == "redis said +PONG\r\n"
    assert not [pid for pid in left if alive(pid)]

    groups = [row.pid for row in daemon.status().values()]
    daemon.pserv("down", check=0)
    assert not daemon.marked()
    assert not naming(str(daemon.folder))
    assert not [member for group in groups if group is not None for member in group_members(group)]


def test_real_services(tmp_path: Path, ports: Ports) -> None:
    stack = Stack(tmp_path, ports)
    with stack.daemon:
        check_stack(stack)


def test_real_services_of_an_ordinary_user(nobodys_folder: Path, tmp_path: Path, ports: Ports) -> None:
    stack = Stack(nobodys_folder, ports, becoming(NOBODY, tmp_path))
    with stack.daemon:
        check_stack(stack)
        for keeper_file in (nobodys_folder / "state").rglob("*"):
            assert keeper_file.stat().st_uid == NOBODY
