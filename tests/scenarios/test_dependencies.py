"""Dependencies with real processes: the order of a chain, a chain that fails, a wait that outlives the supervisor."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.scenarios.daemon import Daemon
from tests.scenarios.fifos import fifo, words

CHAIN = """
services:
  db:
    shell: "cat {folder}/gate >> {folder}/told; echo db is up; exec sleep 1000"
    ready: {{log: {{pattern: is up}}}}
  migrate: {{shell: "echo migrate >> {folder}/told", type: oneshot, depends_on: [db]}}
  web:
    shell: "echo web >> {folder}/told; exec sleep 1000"
    depends_on: {{migrate: completed, db: service_started, cache: {{required: false}}}}
  cache: {{command: /no/such/program, restart: never}}
"""

TOGETHER = """
services:
  db: {{command: sh {folder}/slow.sh db}}
  web: {{command: sh {folder}/slow.sh web, depends_on: {{db: {{restart: true}}}}}}
"""

SLOW = """
sleep 1000 &
trap 'echo $1 ends >> {folder}/told; kill $!; exit 0' TERM
echo can be asked
wait
"""

FAILING = """
services:
  db: {shell: "exit 3", restart: never, type: oneshot}
  app: {command: sleep 1000, depends_on: [db]}
  web: {command: sleep 1000, depends_on: {app: started}}
  late: {command: sleep 1000, depends_on: {slow: {condition: completed, timeout: 300ms}}}
  slow: {command: sleep 1000}
"""


def chain(folder: Path) -> Daemon:
    """web needs migrate needs db, which is not up before something is written to `gate`."""
    os.mkfifo(folder / "gate")
    return Daemon(folder, CHAIN.format(folder=folder))


def test_a_chain_starts_in_order_also_past_the_death_of_the_supervisor(tmp_path: Path) -> None:
    told = fifo(tmp_path / "told")
    with chain(tmp_path) as daemon:
        daemon.pserv("up", "-d", "--timeout", "1ms")
        assert daemon.until_state("web", "waiting").reason == "waiting for migrate (completed)"
        assert daemon.until_state("migrate", "waiting").reason == "waiting for db"
        daemon.kill_supervisor()
        (tmp_path / "gate").write_text("db\n")
        daemon.until("web", lambda row: row.ready)
        assert words(told, 3) == [b"db", b"migrate", b"web"]
        stopped = daemon.pserv("stop", "db", check=0)
        assert "web depends on db: left running" in stopped.stderr
        assert daemon.status()["web"].ready
        graph = json.loads(daemon.pserv("graph", "web", "--json", check=0).stdout)
        assert {node["service"] for node in graph["services"]} == {"db", "migrate", "web", "cache"}
        assert daemon.pserv("graph", check=0).stdout.startswith("web: running\n")


def test_what_can_not_come_any_more_fails_at_once_with_the_chain(tmp_path: Path) -> None:
    with Daemon(tmp_path, FAILING) as daemon:
        up = daemon.up(check=1)
        rows = daemon.status()
        db = "db, which failed: exit code 3"
        assert rows["web"].reason.startswith(f"needs app, which failed: needs {db}")
        assert rows["app"].reason.startswith(f"needs {db}")
        assert rows["late"].reason.startswith("needs slow, which is not completed after 300 ms: ")
        assert "needs app, which failed" in up.stdout


def test_orders_for_several_go_in_order_and_are_waited_for(tmp_path: Path) -> None:
    (tmp_path / "slow.sh").write_text(SLOW.format(folder=tmp_path))
    with Daemon(tmp_path, TOGETHER.format(folder=tmp_path)) as daemon:
        daemon.up()
        for name in ("db", "web"):
            daemon.until_line(name, "can be asked")
        before = {name: row.pid for name, row in daemon.status().items()}
        restarted = daemon.pserv("restart", "db", check=0).stdout.splitlines()
        assert sorted(line.split(":")[0] for line in restarted) == ["db", "web"]
        after = daemon.status()
        assert all(row.ready and row.pid != before[name] for name, row in after.items())
        for name in ("db", "web"):
            daemon.until_line(name, "can be asked", 2)
        stopped = daemon.pserv("stop", "web", "db", check=0).stdout
        assert "db: stopped" in stopped
        assert "web: stopped" in stopped
        assert (tmp_path / "told").read_text().splitlines() == ["web ends", "db ends"] * 2
