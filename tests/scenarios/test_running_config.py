"""What the daemon works from, each value with where it stands, also when the files say something else by now."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.daemon import Daemon

BEFORE = """env: {TZ: UTC}
daemon: {shutdown_timeout: 5s}
services:
  web: {command: sleep 10000, env: {LEVEL: debug, URL: "x${PORT_OF_IT}"}, stop: QUIT}
  gone: {command: sleep 10000}
"""
OTHERWISE = "a configuration that was accepted earlier: the files say otherwise now"


def test_each_value_with_its_place(tmp_path: Path) -> None:
    with Daemon(tmp_path, BEFORE) as daemon:
        daemon.env["PORT_OF_IT"] = "80"
        daemon.up()
        daemon.write(BEFORE.replace("debug", "info").replace("5s", "6s").partition("  gone")[0])
        lines = daemon.pserv("config", "--running", check=0).stdout.splitlines()
        told = {line.split(":")[0].strip(): line.partition(" # ")[2] for line in reversed(lines)}
        assert {name: told[name] for name in ("shutdown_timeout", "TZ", "LEVEL", "URL", "signal", "timeout")} == {
            "shutdown_timeout": OTHERWISE,
            "TZ": "pserv.yaml:1",
            "LEVEL": OTHERWISE,
            "URL": "pserv.yaml:4, PORT_OF_IT from the environment",
            "signal": "pserv.yaml:4",
            "timeout": "",
        }
        assert lines[-1].endswith(OTHERWISE), "of a service that is in no file any more"
        of_one = json.loads(daemon.pserv("config", "--running", "--json", "gone", check=0).stdout)
        assert of_one["origins"] == {"services.gone": OTHERWISE}
        assert "#" not in daemon.pserv("config", "--running", "--no-origins", "web", check=0).stdout
        daemon.write("services: {web: {comand: x}}")
        broken = daemon.pserv("config", "--running", "web", check=0)
        assert "where values stand is not known: cannot load the configuration" in broken.stderr
        assert "LEVEL: debug" in broken.stdout
