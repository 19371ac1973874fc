"""What a reload shows before it acts, and does: each service as its change asks, an operator's stops, the way back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pserv.api import operations as op
from pserv.model.status import KeptConfiguration
from tests.scenarios.daemon import PATIENCE, Daemon
from tests.scenarios.saving import saved
from tests.scenarios.test_watching import watchers

SLEEPER: dict[str, object] = {"command": "sleep 10000"}


def config(**services: Mapping[str, object]) -> str:
    """A configuration; JSON is YAML."""
    return json.dumps({"services": services}, indent=1)


def reloaded(daemon: Daemon, request: op.Reload) -> tuple[op.Plan, op.Done]:
    with daemon.client() as client:
        plan, *_, done = client.stream("reload", request)
    assert isinstance(plan, op.Plan)
    assert isinstance(done, op.Done)
    return plan, done


def happened(daemon: Daemon, kind: str) -> list[str]:
    """What was told of the daemon itself."""
    with daemon.client() as client:
        items = list(client.stream("events", op.Events(lines=1000)))
    return [item.change.reason for item in items if isinstance(item, op.Progress) and item.change.kind == kind]


def test_the_plan_and_what_comes_of_it(tmp_path: Path) -> None:
    """A line a service, with where the new value stands; then exactly that. Stops stay, what goes goes in order."""
    (tmp_path / "more.yaml").write_text(config(worker=SLEEPER, db=SLEEPER))
    first = f"""
include: more.yaml
services:
  web:
    command: sleep 10000
    env: {{DATABASE_URL: "db:1", API_TOKEN: canary}}
    depends_on: [db]
  down: {{command: sleep 10000}}
  front: {{command: sleep 10000, depends_on: [back], stdout: {tmp_path}/front.log}}
  back: {{command: sleep 10000}}
  old: {{command: sleep 1111}}
"""
    with Daemon(tmp_path, first) as daemon:
        daemon.up()
        daemon.pserv("stop", "down", check=0)
        before = daemon.status()
        second = first.replace("db:1", "db:2").replace("canary", "canary2").replace("  old:", "  new:")
        second = "".join(line for line in second.splitlines(True) if "front" not in line and "back" not in line)
        daemon.write(second.replace("down: {command: sleep 10000", "down: {command: sleep 10001"))
        (tmp_path / "more.yaml").write_text(config(worker={**SLEEPER, "log": {"rotate": {"size": "50MB"}}}, db=SLEEPER))
        told = daemon.pserv("reload", "--dry-run", check=0).stdout.splitlines()
        assert told == [
            "front: remove",
            "back: remove",
            "old: remove",
            "down: command sleep 10000 → sleep 10001 (pserv.yaml:8), from its next start on",
            "new: add; old was renamed new, as it seems: all else is equal",
            "worker: log.rotate.size 10MB → 50MB (more.yaml:7), live",
            "web: restart because env.DATABASE_URL db:1 → db:2 (pserv.yaml:6), env.API_TOKEN changed (pserv.yaml:6)",
            "db: unchanged",
        ]
        assert daemon.status().keys() == before.keys()
        as_data = json.loads(daemon.pserv("reload", "--dry-run", "--json", check=0).stdout)
        assert "canary" not in str(as_data)
        (worker,) = (step for step in as_data["plan"]["steps"] if step["service"] == "worker")
        assert worker["details"] == [
            {"option": "log.rotate.size", "live": True, "old": "10MB", "new": "50MB", "origin": "more.yaml:7"}
        ]
        daemon.pserv("reload", check=0)
        after = daemon.status()
        assert {name for name, row in after.items() if before.get(name) is None or row.pid != before[name].pid} == {
            "new",
            "web",
        }
        assert after["down"].state.value == "stopped"
        with daemon.client() as client:
            events = [e.change for e in client.stream("events", op.Events(lines=1000)) if isinstance(e, op.Progress)]
        gone = [change.service for change in events if change.kind == "removed"]
        assert gone.index("front") < gone.index("back")
        daemon.pserv("start", "down", check=0)
        assert Path(f"/proc/{daemon.pid('down')}/cmdline").read_bytes() == b"sleep\x0010001\0"


def test_comments_order_and_formatting_change_nothing(tmp_path: Path) -> None:
    """Not at the reload, nor when another supervisor looks at it later."""
    first = """
services:
  web: {command: sleep 10000, env: {A: 1, B: 2}, log: {rotate: {size: 10MB, keep: 5}}, stop: {timeout: 10s}}
  db: {command: [sleep, "10000"], restart: on-failure, depends_on: [web]}
"""
    again = """
# a comment
x-anchor: &a {command: sleep 10000}
services:
  db:
    depends-on: {web: ready}   # a list before
    <<: *a
  web:
    stop: TERM
    env: [B=2, "A=1"]
    log: {}
    exec: sleep
    args: "10000"
"""
    with Daemon(tmp_path, first) as daemon:
        daemon.up()
        before = {name: row.pid for name, row in daemon.status().items()}
        daemon.write(again)
        assert daemon.pserv("reload", check=0).stdout == "nothing changed\n"
        daemon.kill_supervisor()
        daemon.until_state("web", "running")
        assert {name: row.pid for name, row in daemon.status().items()} == before


def test_a_mistake_anywhere_changes_nothing(tmp_path: Path) -> None:
    """Also in a file that is included: all are told, and nothing of what was right was applied."""
    (tmp_path / "more.yaml").write_text(config(worker=SLEEPER))
    with Daemon(tmp_path, "include: more.yaml\n" + "services: {web: {command: sleep 10000}}") as daemon:
        daemon.up()
        before = daemon.status()
        daemon.write("include: more.yaml\nservices: {web: {command: sleep 1}, new: {command: x}}")
        (tmp_path / "more.yaml").write_text(config(worker={**SLEEPER, "nice": 50}, other={"exce": "x"}))
        done = daemon.pserv("reload", check=2)
        assert "nice: '50' is more than 19" in done.stderr
        assert "exce" in done.stderr
        after = daemon.status()
        assert {name: row.pid for name, row in after.items()} == {name: row.pid for name, row in before.items()}


def test_a_failure_takes_the_reload_back(tmp_path: Path) -> None:
    """Also when it comes after the start, and when the supervisor dies meanwhile; then the next one goes back."""
    go = tmp_path / "go"
    os.mkfifo(go)
    good: dict[str, Mapping[str, object]] = {"web": {**SLEEPER, "env": {"V": "1"}}, "worker": SLEEPER}
    late = {"shell": f"read x < {go}; exit 3", "restart": "on-failure", "backoff": "1h"}
    with Daemon(tmp_path, config(**good)) as daemon:
        daemon.up()
        worker = daemon.pid("worker")
        daemon.write(config(**{**good, "web": {**SLEEPER, "env": {"V": "2"}, "stable_after": "50ms"}}))
        done = daemon.pserv("reload", "--rollback-on-failure", check=0)
        assert done.stdout.splitlines()[-1].startswith("web: running")
        daemon.write(config(**{**good, "web": {"command": "/nonexistent/program"}, "new": SLEEPER}))
        done = daemon.pserv("reload", "--rollback-on-failure", check=1)
        assert "rolled back, as web: " in done.stderr
        assert "the configuration of before runs again" in done.stderr
        assert done.stdout.splitlines()[-1].startswith("web: running")
        assert daemon.status().keys() == good.keys()
        assert b"V=2" in Path(f"/proc/{daemon.pid('web')}/environ").read_bytes().split(b"\0")
        daemon.write(config(**{**good, "web": late}))
        reloaded(daemon, op.Reload(rollback=True, wait=False))
        daemon.until("web", lambda row: row.state.value == "running" and row.restarts == 0)
        daemon.kill_supervisor()
        daemon.until_state("web", "running")
        with open(go, "w") as gate:
            gate.write("x\n")
        for _ in range(2):
            row = daemon.until("web", lambda row: row.state.value == "running" and "restarted" in row.reason)
        assert b"V=2" in Path(f"/proc/{row.pid}/environ").read_bytes().split(b"\0")
        assert daemon.pid("worker") == worker
        assert any("rollback, as web failed" in text for text in happened(daemon, "reload"))


def test_earlier_configurations(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(web=SLEEPER)) as daemon:
        daemon.up()
        assert "there was no configuration before" in daemon.pserv("reload", "--previous", check=1).stderr
        pid = daemon.pid("web")
        for number in (2, 3):
            daemon.write(config(web={**SLEEPER, "description": f"v{number}"}))
            reloaded(daemon, op.Reload())
        daemon.write("# a comment\n" + daemon.file.read_text())
        plan, _ = reloaded(daemon, op.Reload())
        assert [step.action for step in plan.steps] == ["unchanged"]
        with daemon.client() as client:
            kept = client.call("configurations", op.Empty())
        assert [(type(each), each.number) for each in kept] == [(KeptConfiguration, 1), (KeptConfiguration, 2)]
        done = daemon.pserv("reload", "--previous", check=0)
        assert done.stdout == "web: description v3 → v2, live\n"
        assert "back to the configuration that was accepted at 20" in done.stderr
        assert daemon.pserv("reload", "--back", "2", check=0).stdout == 'web: description v2 → "", live\n'
        assert daemon.pserv("reload", "--previous", check=0).stdout == 'web: description "" → v2, live\n'
        done = daemon.pserv("reload", "--back", "7", check=1)
        assert "cannot go back by 7: 2 earlier configurations are kept" in done.stderr
        assert daemon.pid("web") == pid


def reloads(daemon: Daemon, count: int) -> list[str]:
    """Wait until so many reloads were told of; all of them."""
    with daemon.client() as client, client.stream("events", op.Events((), 1000, True), timeout=PATIENCE) as items:
        told: list[str] = []
        for item in items:
            if isinstance(item, op.Progress) and item.change.kind == "reload":
                told.append(item.change.reason)
                if len(told) == count:
                    return told
    raise AssertionError(f"only {told}")


def test_a_saved_change_is_applied_by_itself(tmp_path: Path) -> None:
    """Of any file that it is made of, also a new one; a mistake changes nothing and is told until it is mended."""
    folder = tmp_path / "apps"
    folder.mkdir()
    main = "daemon: {watch_config: true}\ninclude: apps/*.yaml\nservices: {web: {command: sleep 10000, env: {V: $V}}}"
    (tmp_path / ".env").write_text("V=1\n")
    with Daemon(tmp_path, main) as daemon:
        daemon.up()
        pid = daemon.pid("web")
        saved(daemon.file, f"{main}\n# only a comment\n")
        assert reloads(daemon, 1) == ["configuration applied (pserv.yaml was saved): nothing changed"]
        saved(folder / "new.yaml", config(new=SLEEPER))
        assert reloads(daemon, 2)[-1] == "configuration applied (apps/new.yaml was saved): new add"
        saved(folder / "new.yaml", config(new={"comand": "x", "nicee": 5}))
        refused = reloads(daemon, 3)[-1]
        assert refused.startswith("refused (apps/new.yaml was saved): cannot load the configuration: 2 mistakes")
        (trouble,) = [text for text in daemon.daemon().trouble if "refused" in text]
        assert "the running configuration stays" in trouble
        assert "and 1 more; `pserv check` shows them" in trouble
        assert daemon.status()["new"].state.value == "running"
        saved(folder / "new.yaml", config(new={**SLEEPER, "description": "mended"}))
        assert reloads(daemon, 4)[-1] == "configuration applied (apps/new.yaml was saved): new live"
        assert not [text for text in daemon.daemon().trouble if "refused" in text]
        assert daemon.pid("web") == pid
        daemon.kill_supervisor()
        saved(tmp_path / ".env", "V=2\n")
        row = daemon.until_restarted("web", pid)
        assert b"V=2" in Path(f"/proc/{row.pid}/environ").read_bytes().split(b"\0")
        saved(daemon.file, main.replace("true", "false"))
        daemon.until("web", lambda row: not watchers(daemon))


def test_the_variables_of_a_service(tmp_path: Path) -> None:
    """Each with where it comes from; and what its next start would get otherwise than the running one did."""
    first = """
defaults: {env: {MODE: prod}}
services:
  web: {command: sleep 10000, instances: 1, port: 8123, env: {URL: "$HOST:1", DB_TOKEN: canary1, OLD: x}}
  down: {command: sleep 1, autostart: false, inherit_env: [LANG_*], env: {A: b}}
"""
    (tmp_path / ".env").write_text("\nHOST=db\n")
    with Daemon(tmp_path, first) as daemon:
        daemon.env |= {"LANG_X": "canary-less", "SOME_SECRET": "canary2"}
        daemon.up()
        shown = daemon.pserv("show", "--env", check=0).stdout
        assert "canary1" not in shown
        assert "canary2" not in shown
        lines = [line.split("  ") for line in shown.splitlines()]
        told = {words[1].strip(): words[-1].strip() for words in lines if len(words) > 1}
        assert told["MODE=prod"] == "pserv.yaml:2"
        assert told["URL=db:1"] == "pserv.yaml:4, HOST from .env:2"
        assert told["DB_TOKEN=***"] == "pserv.yaml:4"
        assert told["PORT=8123"] == "port, pserv.yaml:4"
        assert told["PSERV_INSTANCE=1"] == "set by Pserv"
        assert told["SOME_SECRET=***"] == told["LANG_X=canary-less"] == "inherited from the daemon"
        assert [text for text in told if text.startswith("PSERV_RUN_ID=")]
        assert daemon.pserv("show", "web", "--diff", check=0).stdout.startswith("web:1: nothing differs from what pid ")
        assert "down: does not run" in daemon.pserv("show", "down", "--diff", check=0).stdout
        daemon.write(first.replace("$HOST:1", "$HOST:2"))
        told_now = daemon.pserv("show", "web", "--env", check=0).stdout
        assert "URL=db:1" in told_now
        assert "accepted earlier: the files say otherwise now" in told_now
