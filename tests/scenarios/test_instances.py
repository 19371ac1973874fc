"""Several instances of a service with real processes: ports, scale, rolling restart, and a supervisor that dies."""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, kill

SERVER = """
import os, signal, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("listening as", os.environ["PSERV_SERVICE"], os.environ["PSERV_INSTANCE"], flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(f"{os.environ['PSERV_INSTANCE']}\\n".encode())
    client.close()
"""

CONFIG = """
services:
  web:
    command: ["{python}", "{server}", "--id=${{pserv.instance}}"]
    instances: {instances}
    port: {port}
    ready: {{tcp: {{}}, interval: 100ms}}
    stop: {{timeout: 5s}}
"""


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses now."""
    for first in range(21_000 + count * hash(threading.get_native_id()) % 5000, 32_000, count):
        taken = []
        try:
            for port in range(first, first + count):
                taken.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        else:
            return first
        finally:
            for listener in taken:
                listener.close()
    raise AssertionError("no ports are free")


def configured(folder: Path, instances: int, port: int) -> str:
    server = folder / "server.py"
    server.write_text(SERVER)
    return CONFIG.format(python=sys.executable, server=server, instances=instances, port=port)


def answer(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        return client.makefile().readline().strip()


def refused(port: int) -> bool:
    try:
        answer(port)
    except ConnectionRefusedError:
        return True
    return False


def pids(daemon: Daemon) -> dict[str, int | None]:
    return {name: row.pid for name, row in daemon.status().items()}


def test_four_instances_with_ports(tmp_path: Path) -> None:
    port = free_ports(4)
    with Daemon(tmp_path, configured(tmp_path, 4, port)) as daemon:
        daemon.up()
        assert [answer(port + index) for index in range(4)] == ["1", "2", "3", "4"]
        rows = daemon.status()
        assert [(row.name, row.service, row.instance) for row in rows.values()] == [
            (f"web:{number}", "web", number) for number in range(1, 5)
        ]
        before = pids(daemon)
        kill(before["web:3"] or 0)
        daemon.until_restarted("web:3", before["web:3"] or 0)
        after = pids(daemon)
        assert {name for name in before if before[name] != after[name]} == {"web:3"}
        assert answer(port + 2) == "3"
        logs = {path.name for path in tmp_path.glob("state/*/logs/*.log")}
        assert logs == {f"web:{number}.log" for number in range(1, 5)}
        assert "listening as web 2" in daemon.pserv("logs", "web:2", check=0).stdout


def test_scale_up_and_down_and_by_reload(tmp_path: Path) -> None:
    port = free_ports(5)
    with Daemon(tmp_path, configured(tmp_path, 2, port)) as daemon:
        daemon.up()
        before = pids(daemon)
        told = daemon.pserv("scale", "web=4", check=0).stdout
        assert [line.split(":", 2)[:2] for line in sorted(told.splitlines())] == [["web", "3"], ["web", "4"]]
        assert answer(port + 3) == "4"
        daemon.kill_supervisor()
        daemon.pserv("scale", "web=1", check=0)
        assert list(daemon.status()) == ["web:1"]
        assert all(refused(port + index) for index in (1, 2, 3))
        daemon.write(configured(tmp_path, 3, port))
        plan = json.loads(daemon.pserv("reload", "--dry-run", "--json", check=0).stdout)["plan"]["steps"]
        assert {step["service"]: step["action"] for step in plan} == {
            "web:1": "unchanged",
            "web:2": "add",
            "web:3": "add",
        }
        daemon.pserv("reload", check=0)
        assert answer(port + 2) == "3"
        assert pids(daemon)["web:1"] == before["web:1"]
        daemon.pserv("scale", "web=0", check=0)
        assert daemon.status() == {}
        assert "no instance now" in daemon.pserv("status", "web", check=0).stderr


def test_a_scale_is_remembered_over_the_supervisors_death(tmp_path: Path) -> None:
    port = free_ports(4)
    with Daemon(tmp_path, configured(tmp_path, 2, port)) as daemon:
        daemon.up()
        daemon.pserv("scale", "web=4", check=0)
        before = pids(daemon)
        supervisor = daemon.kill_supervisor()
        assert pids(daemon) == before
        assert daemon.daemon().supervisor_pid != supervisor
        daemon.pserv("reload", check=0)
        assert pids(daemon) == before


class Polling:
    """A client that asks all ports again and again, and counts how many answered in the worst round."""

    def __init__(self, ports: range) -> None:
        self.worst = len(ports)
        self.rounds = 0
        self._ports = ports
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Polling:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            answers = 0
            for port in self._ports:
                try:
                    answers += bool(answer(port))
                except OSError:
                    continue
            self.worst = min(self.worst, answers)
            self.rounds += 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_rolling_restart_leaves_all_but_one_answering(tmp_path: Path, killed: bool) -> None:
    port = free_ports(4)
    with Daemon(tmp_path, configured(tmp_path, 4, port)) as daemon:
        daemon.up()
        before = pids(daemon)
        with Polling(range(port, port + 4)) as polling:
            rolling = daemon.start("restart", "--rolling", "web")
            if killed:
                daemon.until_restarted("web:2", before["web:2"] or 0)
                daemon.kill_supervisor()
            out, err = rolling.communicate(timeout=30)
            assert rolling.returncode == 0, err
        assert out.count("running") == 4
        after = pids(daemon)
        assert not set(before.values()) & set(after.values())
        assert polling.rounds > 1
        assert polling.worst >= 3
        assert all(row.ready and row.restarts == 0 for row in daemon.status().values())


def test_a_rolling_restart_ends_at_the_first_that_fails(tmp_path: Path) -> None:
    port = free_ports(3)
    config = configured(tmp_path, 3, port).replace("stop:", "restart: never\n    stop:")
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        before = pids(daemon)
        (tmp_path / "server.py").write_text("raise SystemExit(7)")
        told = daemon.pserv("restart", "--rolling", "web", check=1).stdout
        assert "web:1: failed" in told
        assert told.count("not touched: the restart of web:1 failed") == 2
        after = pids(daemon)
        assert (after["web:2"], after["web:3"]) == (before["web:2"], before["web:3"])
