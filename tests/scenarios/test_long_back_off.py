"""Commands do not wait for a try that comes in an hour, or after their own time is over."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.daemon import Daemon

SERVICES = """
defaults: {shell: exit 7, type: oneshot, restart: on-failure, backoff: {strategy: constant, jitter: 0}}
services:
  hour: {backoff: 1h}
  soon: {backoff: 40s, autostart: false}
"""


def test_nobody_waits_for_a_try_in_an_hour_or_for_one_beyond_its_own_time(tmp_path: Path) -> None:
    with Daemon(tmp_path, SERVICES) as daemon:
        told = daemon.up(check=1).stdout
        assert told.startswith("hour: backoff after ")
        assert "restart 2 in 1 h" in told
        told = daemon.pserv("start", "soon", "--timeout", "30s", check=1).stdout
        assert "restart 2 in 40 s" in told
        assert "still" not in told
        assert daemon.status()["soon"].state.value == "backoff"
