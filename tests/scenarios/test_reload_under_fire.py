"""Reloads with random edits while services crash and the supervisor is killed: the last valid file is what runs."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from pserv.api import operations as op
from pserv.model.errors import PservError
from pserv.model.mistakes import InvalidConfig
from tests.scenarios.daemon import PATIENCE, Daemon, environ, kill

ROUNDS = int(os.environ.get("PSERV_TEST_FIRE", "6"))
"""200 take some minutes: a supervisor may die twice a minute before the next one is cautious."""

NAMES = "abcdefgh"
CAUTIOUS = 2
"""So many deaths of supervisors within a minute are followed by another one as if nothing were."""

Services = dict[str, dict[str, Any]]


def edited(services: Services, chance: random.Random) -> Services:
    """A few random edits: one comes, one goes, another value, another option that acts live, a dependency."""
    after = {name: dict(spec) for name, spec in services.items()}
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(NAMES)
        if name in after and chance.random() < 0.2:
            del after[name]
            for spec in after.values():
                spec.pop("depends_on", None)
        elif name not in after:
            after[name] = crashing(chance) if chance.random() < 0.3 else {"command": "sleep 10000"}
            after[name]["env"] = {"V": str(chance.randint(0, 9))}
        elif chance.random() < 0.5:
            after[name]["env"] = {"V": str(chance.randint(0, 9))}
        elif chance.random() < 0.5:
            after[name]["description"] = f"number {chance.randint(0, 9)}"
        else:  # only on those before it, so that nobody waits for itself
            after[name]["depends_on"] = {
                each: "started" for each in after if each < name and "shell" not in after[each]
            }
    return after


def crashing(chance: random.Random) -> dict[str, Any]:
    backoff = {"initial": "10ms", "maximum": "50ms"}
    return {"shell": f"sleep 0.0{chance.randint(1, 9)}; exit 1", "restart": "always", "backoff": backoff}


def reload(daemon: Daemon, killed: bool) -> bool:
    """Until somebody has answered; whether the files were accepted. `killed`: by a supervisor that dies over it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with daemon.client() as client, client.stream("reload", op.Reload(wait=False)) as items:
                if killed:
                    killed = False
                    daemon.kill_supervisor()
                return any(isinstance(item, op.Done) for item in items) or time.monotonic() > deadline
        except InvalidConfig:
            return False
        except (PservError, OSError):
            assert time.monotonic() < deadline


def runs(daemon: Daemon) -> list[str]:
    """The service of each living run: no service has two."""
    marks = (variable for pid in daemon.marked() for variable in environ(pid))
    return sorted({mark.decode() for mark in marks if mark.startswith(b"PSERV_RUN_ID=")})


@pytest.mark.long
@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_the_last_valid_file_is_what_runs(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    services: Services = {"a": {"command": "sleep 10000", "env": {"V": "0"}}}
    deaths: list[float] = []
    with Daemon(tmp_path, json.dumps({"services": services})) as daemon:
        daemon.up()
        for _ in range(ROUNDS):
            after = edited(services, chance)
            valid = chance.random() < 0.8
            daemon.write(json.dumps({"services": after if valid else {**after, "bad": {"comand": "x"}}}))
            deaths = [at for at in deaths if time.monotonic() - at < 65]
            dies = len(deaths) < CAUTIOUS and chance.random() < 0.4
            if dies:
                deaths.append(time.monotonic())
            assert reload(daemon, dies) is valid
            services = after if valid else services
            rows = [row for row in daemon.status().values() if row.pid]
            if rows and chance.random() < 0.5:
                kill(chance.choice(rows).pid or 0)
        as_declared(daemon, services)


def as_declared(daemon: Daemon, services: Services) -> None:
    """Exactly these services, each with one run at most that has its variables."""
    for name, spec in services.items():
        wanted = f"V={spec['env']['V']}".encode()

        def reached(row: Any, spec: dict[str, Any] = spec, wanted: bytes = wanted) -> bool:
            return "shell" in spec or (row.state.value == "running" and wanted in environ(row.pid))

        daemon.until(name, reached)
    first = next(iter(services), None)
    if first is not None:
        daemon.until(first, lambda _: daemon.status().keys() == services.keys())
    with daemon.client() as client:
        running = client.call("config", op.Config())["services"]
    assert {name: spec["env"] for name, spec in running.items()} == {n: spec["env"] for n, spec in services.items()}
    assert {name: spec.get("description") for name, spec in running.items()} == {
        name: spec.get("description") for name, spec in services.items()
    }
    of_services = [mark.split("/")[1] for mark in runs(daemon)]
    assert len(of_services) == len(set(of_services))
    assert set(of_services) <= services.keys()
