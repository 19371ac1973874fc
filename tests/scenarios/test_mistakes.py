"""Mistakes in a configuration: told with file, line and hint; nothing that runs is touched, nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import PATIENCE, Daemon

RIGHT = """
services:
  web: {command: sleep 10000}
  worker: {command: sleep 10000}
"""

WRONG = """
services:
  web: {command: sleep 20000}
  worker: {comand: sleep 10000}
  cron: {command: sleep 10000, restart: somtimes}
"""


def told(file: Path) -> str:
    """What is said of WRONG."""
    return (
        "cannot load the configuration: 2 mistakes\n"
        f"{file}:4:12: services.worker.comand: unknown key\n"
        "    hint: did you mean 'command'?\n"
        f"{file}:5:41: services.cron.restart: 'somtimes' is not one of "
        "never, on-failure, on-watchdog, on-abnormal, on-success, always\n"
        "    hint: write one of these\n"
    )


@pytest.mark.parametrize("command", [("up",), ("up", "-d"), ("daemon",), ("check",)])
def test_a_wrong_file_is_refused_with_all_its_mistakes_and_nothing_starts(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    with Daemon(tmp_path, WRONG) as daemon:
        refused = daemon.pserv(*command, check=2)
        assert refused.stdout == ""
        assert refused.stderr.removeprefix("pserv: ") == told(daemon.file)
        assert daemon.marked() == []
        assert not daemon.socket.exists()


def test_a_wrong_file_at_reload_changes_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path, RIGHT) as daemon:
        daemon.up()
        before = daemon.status()
        daemon.write(WRONG)
        for command in (("reload",), ("reload", "--dry-run"), ("up", "-d"), ("check",)):
            refused = daemon.pserv(*command, check=2)
            assert refused.stderr == told(daemon.file)
            assert refused.stdout == ""
        assert_untouched(daemon, before)
        assert f"{daemon.file} changed at" in daemon.pserv("status", check=0).stdout
        daemon.kill_supervisor()
        assert_untouched(daemon, before)

        with daemon.client() as client, client.stream("events", op.Events((), 0, True), timeout=20.0) as changes:
            os.kill(daemon.daemon().keeper_pid, signal.SIGHUP)
            change = next(item.change for item in changes if item.change.kind == "reload")
        assert change.reason.startswith("refused (reload by SIGHUP): cannot load the configuration: 2 mistakes")
        assert_untouched(daemon, before)

        daemon.write(RIGHT + "  third: {command: sleep 10000}\n")
        daemon.pserv("reload", check=0)
        assert set(daemon.status()) == {"web", "worker", "third"}


def assert_untouched(daemon: Daemon, before: dict[str, ServiceStatus]) -> None:
    after = daemon.status()
    assert {name: row.pid for name, row in after.items()} == {name: row.pid for name, row in before.items()}


def test_at_boot_the_last_good_configuration_runs_where_that_is_wanted(tmp_path: Path) -> None:
    with Daemon(tmp_path, RIGHT) as daemon:
        daemon.up()
        daemon.pserv("down", check=0)
        daemon.write("daemon: {on_invalid: last-good}" + WRONG)
        with in_foreground(daemon):
            assert set(daemon.status()) == {"web", "worker"}
            daemon.until_state("web", "running")
            daemon.until_state("worker", "running")
            note = f"{daemon.file} has mistakes, so the last good configuration runs; `pserv check` shows them"
            assert note in daemon.pserv("status", check=0).stdout
            assert note in daemon.pserv("events", check=0).stdout
            assert daemon.pserv("check", check=2).stderr == told(daemon.file)
            daemon.pserv("down", check=0)


def test_at_boot_without_a_last_good_configuration_the_mistakes_are_told(tmp_path: Path) -> None:
    with Daemon(tmp_path, "daemon: {on_invalid: last-good}" + WRONG) as daemon:
        assert daemon.pserv("daemon", check=2).stderr == "pserv: " + told(daemon.file)


def test_at_boot_only_the_wrong_services_are_left_out_where_that_is_wanted(tmp_path: Path) -> None:
    dependent = "  dependent: {command: sleep 10000, depends_on: [cron]}\n"
    with Daemon(tmp_path, "daemon: {on_invalid: skip-service}" + WRONG + dependent) as daemon, in_foreground(daemon):
        assert set(daemon.status()) == {"web"}
        shown = daemon.pserv("status", check=0).stdout
        assert f"services.worker is left out: {daemon.file}:4:12: services.worker.comand: unknown key" in shown
        assert f"services.cron is left out: {daemon.file}:5:41: services.cron.restart: 'somtimes'" in shown
        assert "services.dependent is left out: it depends on cron" in shown
        assert "services.worker is left out" in daemon.pserv("events", check=0).stdout
        daemon.pserv("down", check=0)


@contextmanager
def in_foreground(daemon: Daemon) -> Iterator[None]:
    """`pserv daemon`, as systemd runs it; it must have ended with 0 at the end."""
    ready, told_to = os.pipe()
    words = ("daemon", "--ready-fd", str(told_to))
    with daemon.start(*words, pass_fds=(told_to,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        os.close(told_to)
        try:
            assert b"socket" in os.read(ready, 1000)
            yield
            assert process.wait(PATIENCE) == 0
        finally:
            os.close(ready)
            process.terminate()
