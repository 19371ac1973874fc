"""Services that run and are not well: what is shown, what is waited for, what is ended, and when that is given up."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.daemon import Daemon


def test_a_service_that_is_not_well_is_shown_and_waited_for(tmp_path: Path) -> None:
    well = tmp_path / "well"
    well.touch()
    config = f"""
services:
  web:
    command: sleep 1000
    health: {{file: {well}, interval: 100ms, failures: 1, on_failure: alert}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        daemon.pserv("wait", "web", "--for", "healthy", check=0)
        assert "healthy" in daemon.pserv("status", check=0).stdout
        pid = daemon.pid("web")
        well.unlink()
        daemon.until("web", lambda row: row.health == "unhealthy")
        (row,) = json.loads(daemon.pserv("status", "web", "--json", check=1).stdout)["services"]
        assert (row["state"], row["ready"], row["health"], row["pid"]) == ("running", True, "unhealthy", pid)
        assert f"unhealthy: there is no {well}" in daemon.pserv("why", "web", check=1).stdout
        assert "still running" in daemon.pserv("wait", "web", "--for", "healthy", "--timeout", "0.2", check=1).stdout
        with daemon.start("wait", "web", "--for", "healthy") as waiting:
            well.touch()
            assert waiting.wait(20) == 0
        assert daemon.pid("web") == pid
        assert "healthy again" in daemon.pserv("why", "web", check=0).stdout


def test_a_service_that_is_never_well_for_long_is_given_up(tmp_path: Path) -> None:
    """Each run is ready and stable for what it knows, then hangs: such a loop ends at max_retries too."""
    well = tmp_path / "well"
    config = f"""
services:
  web:
    shell: touch {well}; echo >&4; exec sleep 1000
    ready: {{fd: 4}}
    max_retries: 2
    stable_after: 0s
    backoff: {{initial: 10ms}}
    health: {{file: {well}, interval: 100ms, failures: 1}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        for run in range(1, 4):
            daemon.until("web", lambda row, run=run: row.health == "healthy" and row.restarts == run - 1)  # type: ignore[misc]
            well.unlink()
        daemon.until_state("web", "failed")
        told = daemon.pserv("why", "web", check=1).stdout
        assert f"gave up after 2 retries: unhealthy: there is no {well}; policy on-failure" in told
        assert "next: nothing until it is started: pserv start web" in told
