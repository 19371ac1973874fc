"""Several instances of a service with real processes: ports, scale, rolling restart, and a supervisor that dies."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon, kill
from tests.scenarios.fifos import fifo, words
from tests.scenarios.ports import Ports

SERVER = """
import os, signal, socket
if os.path.exists("gate"):
    with open("told", "w") as told, open("gate", buffering=1) as gate:
        print(os.environ["PSERV_INSTANCE"], file=told, flush=True)
        gate.readline()
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


def configured(folder: Path, instances: int, port: int) -> str:
    server = folder / "server.py"
    server.write_text(SERVER)
    return CONFIG.format(python=sys.executable, server=server, instances=instances, port=port)


def answer(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        return client.makefile().readline().strip()


def refused(port: int) -> bool:
    try:
        answer(port)
    except ConnectionRefusedError:
        return True
    return False


def pids(daemon: Daemon) -> dict[str, int | None]:
    return {name: row.pid for name, row in daemon.status().items()}


def test_four_instances_with_ports(tmp_path: Path, ports: Ports) -> None:
    port = ports.row(4)
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
        daemon.until_line("web:2", "listening as web 2")
        assert "listening as web 2" in daemon.pserv("logs", "web:2", check=0).stdout


def test_scale_up_and_down_and_by_reload(tmp_path: Path, ports: Ports) -> None:
    port = ports.row(5)
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


def test_a_scale_is_remembered_over_the_supervisors_death(tmp_path: Path, ports: Ports) -> None:
    port = ports.row(4)
    with Daemon(tmp_path, configured(tmp_path, 2, port)) as daemon:
        daemon.up()
        daemon.pserv("scale", "web=4", check=0)
        before = pids(daemon)
        supervisor = daemon.kill_supervisor()
        assert pids(daemon) == before
        assert daemon.daemon().supervisor_pid != supervisor
        daemon.pserv("reload", check=0)
        assert pids(daemon) == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_rolling_restart_leaves_all_but_one_answering(tmp_path: Path, ports: Ports, killed: bool) -> None:
    """Each waits at the gate before it listens: then the others answer, and each has been there once."""
    port = ports.row(4)
    with Daemon(tmp_path, configured(tmp_path, 4, port)) as daemon:
        daemon.up()
        before = pids(daemon)
        told, gate = fifo(tmp_path / "told"), fifo(tmp_path / "gate")
        with daemon.start("restart", "--rolling", "web") as rolling:
            for number in range(1, 5):
                assert words(told, 1) == [b"%d" % number]
                if killed and number == 2:
                    daemon.kill_supervisor()
                assert [refused(port + index) for index in range(4)] == [index == number - 1 for index in range(4)]
                os.write(gate, b"go\n")
            out, err = rolling.communicate(timeout=PATIENCE)
            assert rolling.returncode == 0, err
        assert out.count("running") == 4
        after = pids(daemon)
        assert not set(before.values()) & set(after.values())
        assert all(row.ready and row.restarts == 0 for row in daemon.status().values())
        os.close(told)
        os.close(gate)


def test_a_rolling_restart_ends_at_the_first_that_fails(tmp_path: Path, ports: Ports) -> None:
    port = ports.row(3)
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
