"""Hooks around a service: their order and what they know, those that hang, and who dies or interrupts meanwhile."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, naming

SLEEP = "sleep 10000"


def tell(path: Path, text: str) -> str:
    """A hook that adds a line to a file."""
    return f"{{shell: 'echo {text} >> {path}'}}"


def test_order_and_what_they_know(tmp_path: Path) -> None:
    path = tmp_path / "told"
    services = f"""
services:
  web:
    command: {SLEEP}
    env: {{COLOUR: blue}}
    hooks:
      pre_start: [{tell(path, "first $PSERV_SERVICE $PSERV_ATTEMPT $COLOUR")}, {tell(path, "second")}]
      post_start: {tell(path, "post_start $PSERV_MAIN_PID")}
      pre_stop: {tell(path, "pre_stop $PSERV_MAIN_PID")}
      post_stop: {tell(path, "post_stop $PSERV_RESULT $EXIT_CODE $EXIT_STATUS $PSERV_SIGNAL [$PSERV_MAIN_PID]")}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        pid = daemon.until("web", lambda row: row.state.value == "running" and not row.hooks).pid
        daemon.pserv("stop", "web", check=0)
        assert path.read_text().splitlines() == [
            "first web 0 blue",
            "second",
            f"post_start {pid}",
            f"pre_stop {pid}",
            "post_stop success killed TERM TERM []",
        ]


def test_output_stands_in_the_service_log_marked(tmp_path: Path) -> None:
    services = f"services: {{web: {{command: {SLEEP}, hooks: {{pre_start: echo made ready}}}}}}"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        assert daemon.pserv("logs", "web", check=0).stdout.splitlines() == [
            "--- pre_start 'echo made ready'",
            "made ready",
        ]


def test_a_failed_pre_start_is_a_failed_start_with_its_last_words(tmp_path: Path) -> None:
    services = f"""
services:
  web:
    command: {SLEEP}
    max_retries: 0
    hooks:
      pre_start: {{shell: "echo no database; exit 3"}}
      on_failed: {tell(tmp_path / "told", "$PSERV_SERVICE: $PSERV_RESULT")}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up(check=1)
        story = daemon.until("web", lambda row: row.state.value == "failed" and not row.hooks)
        assert "pre_start 'echo no database; exit 3' failed: exit code 3" in story.reason
        crash = daemon.story("web").crash
        assert crash is not None
        assert crash.lines[-1] == "no database"
        assert (tmp_path / "told").read_text() == "web: exit-code\n"


def test_a_hook_that_fails_may_be_ignored(tmp_path: Path) -> None:
    hooks = "{pre_start: {shell: exit 1, on_failure: ignore}, post_start: {shell: exit 2}}"
    with Daemon(tmp_path, f"services: {{web: {{command: {SLEEP}, hooks: {hooks}}}}}") as daemon:
        daemon.up()
        daemon.until("web", lambda row: row.state.value == "running" and not row.hooks)
        told = [change.reason for change in daemon.story("web").history if change.kind == "hook"]
        assert told == ["pre_start 'exit 1' failed: exit code 1", "post_start 'exit 2' failed: exit code 2"]


def test_a_post_start_that_must_not_fail_ends_the_run(tmp_path: Path) -> None:
    hooks = "{post_start: {shell: exit 2, on_failure: fail}}"
    with Daemon(tmp_path, f"services: {{web: {{command: {SLEEP}, max_retries: 0, hooks: {hooks}}}}}") as daemon:
        daemon.up(check=None)
        row = daemon.until_state("web", "failed")
        assert "post_start 'exit 2' failed: exit code 2" in row.reason


@pytest.mark.parametrize("stubborn", ["", "trap : TERM; "])
def test_a_hook_that_hangs_is_ended_with_all_it_began(tmp_path: Path, stubborn: str) -> None:
    """Also one that ignores TERM, and a grandchild in a session of its own."""
    mark = str(tmp_path)
    waits = f"setsid sleep 9999 {mark} & {stubborn}while :; do sleep 9999; done".replace(f" {mark}", "")
    services = f"""
services:
  web:
    command: {SLEEP}
    max_retries: 0
    hooks: {{pre_start: {{shell: "{waits} # {mark}", timeout: 300ms}}}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up(check=1)
        assert "not done after 300 ms" in daemon.status()["web"].reason
        assert [pid for pid in daemon.marked() if pid in naming("9999")] == []


def test_a_hook_that_leaves_something_behind(tmp_path: Path) -> None:
    services = f"services: {{web: {{command: {SLEEP}, hooks: {{pre_start: {{shell: 'sleep 9999 &'}}}}}}}}"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        assert [pid for pid in daemon.marked() if pid in naming("sleep\0009999")] == []


def test_a_hook_that_prints_without_end_is_ended_in_time(tmp_path: Path) -> None:
    services = f"""
services:
  web:
    command: {SLEEP}
    stdout: "null"
    max_retries: 0
    hooks: {{pre_start: {{shell: "yes", timeout: 300ms}}}}
  other: {{command: {SLEEP}}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up(check=1)
        assert "not done after 300 ms" in daemon.status()["web"].reason
        assert daemon.status()["other"].state.value == "running"


def test_the_end_of_the_daemon_waits_for_on_failed_and_hurries_when_told(tmp_path: Path) -> None:
    services = f"""
daemon: {{exit_when: any-failed}}
services:
  web:
    shell: exit 4
    restart: never
    hooks: {{on_failed: {tell(tmp_path / "told", "it ended with $PSERV_EXIT_CODE")}}}
"""
    with Daemon(tmp_path, services) as daemon:
        assert daemon.pserv("daemon", timeout=30).returncode != 0
        assert (tmp_path / "told").read_text() == "it ended with 4\n"


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
        told = daemon.pserv("reload", "web", check=0)
        assert "web" in told.stdout
        assert "the configuration is as it was" in told.stderr
        daemon.until_line("web", "reloaded by SIGHUP")
        refused = daemon.pserv("reload", "x", check=1)
        assert "it declares no way to" in refused.stdout


def test_hooks_of_its_health(tmp_path: Path) -> None:
    well, told = tmp_path / "well", tmp_path / "told"
    well.touch()
    os.mkfifo(told)
    services = f"""
services:
  web:
    command: {SLEEP}
    health: {{file: {well}, interval: 100ms, failures: 1, on_failure: alert}}
    hooks:
      on_unhealthy: {{shell: 'echo "$PSERV_REASON" > {told}'}}
      on_healthy: {{shell: 'echo "$PSERV_REASON" > {told}'}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        well.unlink()
        assert told.read_text() == f"unhealthy: there is no {well}\n"
        well.touch()
        assert told.read_text().startswith("healthy again: ")


def test_hooks_of_an_instance_know_which(tmp_path: Path) -> None:
    told = tmp_path / "told"
    services = f"""
services:
  web:
    command: {SLEEP}
    instances: 2
    hooks:
      pre_start: {tell(told, "$PSERV_SERVICE $PSERV_INSTANCE $PSERV_INDEX")}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        assert sorted(told.read_text().splitlines()) == ["web 1 0", "web 2 1"]
