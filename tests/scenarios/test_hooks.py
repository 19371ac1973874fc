"""Hooks around a service: their order and what they know, those that hang, and who dies or interrupts meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import Daemon, environ

SLEEP = "sleep 10000"


HANGS = "setsid sleep 9999 & %swhile :; do sleep 9999; done"


def tell(text: str, name: str = "$PSERV_SERVICE") -> str:
    """A hook that adds a line to a file."""
    return f"{{shell: 'echo {text} >> {name}.told'}}"


SERVICES = f"""
defaults: {{autostart: false, max_retries: 0}}
services:
  told:
    command: {SLEEP}
    env: {{COLOUR: blue}}
    hooks:
      pre_start: [{tell("first $PSERV_SERVICE $PSERV_ATTEMPT $COLOUR")}, {tell("second")}]
      post_start: {tell("post_start $PSERV_MAIN_PID")}
      pre_stop: {tell("pre_stop $PSERV_MAIN_PID")}
      post_stop: {tell("post_stop $PSERV_RESULT $EXIT_CODE $EXIT_STATUS $PSERV_SIGNAL [$PSERV_MAIN_PID]")}
  printing: {{command: {SLEEP}, hooks: {{pre_start: echo made ready}}}}
  failing:
    command: {SLEEP}
    hooks:
      pre_start: {{shell: "echo no database; exit 3"}}
      on_failed: {tell("$PSERV_SERVICE: $PSERV_RESULT")}
  ignoring:
    command: {SLEEP}
    hooks: {{pre_start: {{shell: exit 1, on_failure: ignore}}, post_start: {{shell: exit 2}}}}
  ending: {{command: {SLEEP}, hooks: {{post_start: {{shell: exit 2, on_failure: fail}}}}}}
  hanging: {{command: {SLEEP}, hooks: {{pre_start: {{shell: "{HANGS % ""}", timeout: 300ms}}}}}}
  stubborn: {{command: {SLEEP}, hooks: {{pre_start: {{shell: "{HANGS % "trap : TERM; "}", timeout: 300ms}}}}}}
  leaving: {{command: {SLEEP}, hooks: {{pre_start: {{shell: 'sleep 9999 &'}}}}}}
  loud: {{command: {SLEEP}, stdout: "null", hooks: {{pre_start: {{shell: "yes", timeout: 300ms}}}}}}
  instances:
    command: {SLEEP}
    instances: 2
    hooks: {{pre_start: {tell("$PSERV_SERVICE $PSERV_INSTANCE $PSERV_INDEX", "instances")}}}
  other: {{command: {SLEEP}, autostart: true}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon; each test has a service of its own."""
    with Daemon(tmp_path_factory.mktemp("hooks"), SERVICES) as daemon:
        daemon.up()
        yield daemon


def told(daemon: Daemon, name: str) -> list[str]:
    """What the hooks of a service told."""
    return (daemon.folder / f"{name}.told").read_text().splitlines()


def over(row: ServiceStatus) -> bool:
    return row.state.value == "running" and not row.hooks


def test_order_and_what_they_know(ours: Daemon) -> None:
    ours.pserv("start", "told", check=0)
    pid = ours.until("told", over).pid
    ours.pserv("stop", "told", check=0)
    assert told(ours, "told") == [
        "first told 0 blue",
        "second",
        f"post_start {pid}",
        f"pre_stop {pid}",
        "post_stop success killed TERM TERM []",
    ]


def test_output_stands_in_the_service_log_marked(ours: Daemon) -> None:
    ours.pserv("start", "printing", check=0)
    assert ours.pserv("logs", "printing", check=0).stdout.splitlines() == [
        "--- pre_start 'echo made ready'",
        "made ready",
    ]


def test_a_failed_pre_start_is_a_failed_start_with_its_last_words(ours: Daemon) -> None:
    ours.pserv("start", "failing", check=1)
    row = ours.until("failing", lambda row: row.state.value == "failed" and not row.hooks)
    assert "pre_start 'echo no database; exit 3' failed: exit code 3" in row.reason
    crash = ours.story("failing").crash
    assert crash is not None
    assert crash.lines[-1] == "no database"
    assert told(ours, "failing") == ["failing: exit-code"]


def test_a_hook_that_fails_may_be_ignored(ours: Daemon) -> None:
    ours.pserv("start", "ignoring", check=0)
    ours.until("ignoring", over)
    reasons = [change.reason for change in ours.story("ignoring").history if change.kind == "hook"]
    assert reasons == ["pre_start 'exit 1' failed: exit code 1", "post_start 'exit 2' failed: exit code 2"]


def test_a_post_start_that_must_not_fail_ends_the_run(ours: Daemon) -> None:
    ours.pserv("start", "ending")
    row = ours.until_state("ending", "failed")
    assert "post_start 'exit 2' failed: exit code 2" in row.reason


def left(daemon: Daemon, name: str) -> list[int]:
    """Processes of a service."""
    sign = f"PSERV_SERVICE={name}".encode()
    return [pid for pid in daemon.marked() if sign in environ(pid)]


@pytest.mark.parametrize("name", ["hanging", "stubborn"])
def test_a_hook_that_hangs_is_ended_with_all_it_began(ours: Daemon, name: str) -> None:
    """Also one that ignores TERM, and a grandchild in a session of its own."""
    ours.pserv("start", name, check=1)
    assert "not done after 300 ms" in ours.row(name).reason
    assert left(ours, name) == []


def test_a_hook_that_leaves_something_behind(ours: Daemon) -> None:
    ours.pserv("start", "leaving", check=0)
    assert left(ours, "leaving") == [ours.pid("leaving")]


def test_a_hook_that_prints_without_end_is_ended_in_time(ours: Daemon) -> None:
    ours.pserv("start", "loud", check=1)
    assert "not done after 300 ms" in ours.row("loud").reason
    assert ours.row("other").state.value == "running"


def test_hooks_of_an_instance_know_which(ours: Daemon) -> None:
    ours.pserv("start", "instances", check=0)
    assert sorted(told(ours, "instances")) == ["instances 1 0", "instances 2 1"]


def test_the_end_of_the_daemon_waits_for_on_failed_and_hurries_when_told(tmp_path: Path) -> None:
    services = f"""
daemon: {{exit_when: any-failed}}
services:
  web:
    shell: exit 4
    restart: never
    hooks: {{on_failed: {tell("it ended with $PSERV_EXIT_CODE")}}}
"""
    with Daemon(tmp_path, services) as daemon:
        assert daemon.pserv("daemon", timeout=30).returncode != 0
        assert told(daemon, "web") == ["it ended with 4"]


@pytest.mark.parametrize("way", ["HUP", "command"])
def test_a_service_is_asked_to_reload_itself(tmp_path: Path, way: str) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
        "print('up', flush=True)\n"
        "while True: print('reloaded by', signal.sigwait([signal.SIGHUP]).name, flush=True)\n"
    )
    reload = "HUP" if way == "HUP" else '{shell: "kill -HUP $PSERV_MAIN_PID"}'
    services = (
        f"services: {{web: {{command: [{sys.executable}, {script}], reload: {reload}}}, x: {{command: {SLEEP}}}}}"
    )
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        daemon.until_line("web", "up")
        done = daemon.pserv("reload", "web", check=0)
        assert "web" in done.stdout
        assert "the configuration is as it was" in done.stderr
        daemon.until_line("web", "reloaded by SIGHUP")
        refused = daemon.pserv("reload", "x", check=1)
        assert "it declares no way to" in refused.stdout


def test_hooks_of_its_health(tmp_path: Path) -> None:
    well, fifo = tmp_path / "well", tmp_path / "told"
    well.touch()
    os.mkfifo(fifo)
    services = f"""
services:
  web:
    command: {SLEEP}
    health: {{file: {well}, interval: 100ms, failures: 1, on_failure: alert}}
    hooks:
      on_unhealthy: {{shell: 'echo "$PSERV_REASON" > {fifo}'}}
      on_healthy: {{shell: 'echo "$PSERV_REASON" > {fifo}'}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        well.unlink()
        assert fifo.read_text() == f"unhealthy: there is no {well}\n"
        well.touch()
        assert fifo.read_text().startswith("healthy again: ")
