"""Schedules with real processes: a job each second, supervisors that die, `pserv run`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon

SERVICES = """
services:
  each: {shell: "date +%s", schedule: "* * * * * *"}
  night: {shell: "echo ran; exit 3", schedule: "0 3 * * *", timezone: Europe/Berlin}
  once: {shell: "kill -9 $$", type: oneshot, autostart: false}
  web: {command: sleep 10000}
"""


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, SERVICES) as daemon:
        daemon.up()
        yield daemon


def test_a_job_each_second_is_neither_doubled_nor_lost_when_supervisors_die(ours: Daemon) -> None:
    ours.until_line("each", "", 2)
    for _ in range(2):
        ours.kill_supervisor()
        ours.until_line("each", "", 3)
    lines = ours.pserv("logs", "each", "-n", "1000", check=0).stdout.split()
    seconds = [int(line) for line in lines]
    assert len(seconds) == len(set(seconds)), "a second had two runs"
    assert seconds == sorted(seconds)
    assert seconds[-1] - seconds[0] <= len(seconds) + 4, "more is missing than two replacements take"


def test_stopped_it_waits_for_start(ours: Daemon) -> None:
    ours.until_line("each", "")
    ours.pserv("stop", "each", check=0)
    assert ours.status()["each"].state.value == "stopped"
    run = ours.status()["each"].run_id
    ours.pserv("start", "each", check=0)
    ours.until("each", lambda row: row.run_id != run and row.state.value == "waiting")


def test_run_returns_the_code_of_its_run(ours: Daemon) -> None:
    done = ours.pserv("run", "night", check=3)
    assert done.stdout.startswith("night: next run at ")
    assert "; exit code 3 after " in done.stdout
    ours.pserv("run", "once", check=137)
    ours.pserv("stop", "night", check=0)
    told = json.loads(ours.pserv("run", "night", "--json", check=3).stdout)
    assert (told["service"], told["code"]) == ("night", 3)
    assert ours.status()["night"].state.value == "stopped"
    assert ours.pserv("run", "web", check=1).stderr.startswith("cannot run web: it does not end by itself\n")
    ours.pserv("run", "once", "--no-wait", check=0)


def test_status_tells_what_comes_and_what_was(ours: Daemon) -> None:
    ours.pserv("run", "night", check=3)
    row = ours.status()["night"]
    assert row.reason.startswith("next run at ")
    assert row.next is not None
    story = ours.story("night")
    assert story.schedule == "0 3 * * * Europe/Berlin"
    assert len(story.next_runs) == 3
    assert all(" 03:00:00 CE" in each.text for each in story.next_runs)
    assert [end.code for end in story.last_runs] == [3]
    ours.kill_supervisor()
    ours.until_line("each", "", 1)
    assert [end.code for end in ours.story("night").last_runs] == [3]
    shown = ours.pserv("status", "night", check=0).stdout
    assert "next runs" in shown
    assert "last runs" in shown


def test_what_was_missed_while_no_daemon_ran_is_made_up_for_once(tmp_path: Path) -> None:
    config = "services: {job: {shell: echo ran, schedule: '%s', timezone: UTC, missed: run}}\n"
    with Daemon(tmp_path, config % "0 0 1 1 *") as daemon:
        daemon.up()
        daemon.pserv("run", "job", check=0)
        (times,) = tmp_path.glob("state/*/schedule.json")
        daemon.pserv("down", check=0)
        kept = json.loads(times.read_bytes())
        kept["job"]["at"] -= 366 * 86_400
        times.write_text(json.dumps(kept))
        daemon.up()
        daemon.until_line("job", "ran", 2)
        row = daemon.until_state("job", "waiting")
        assert row.reason.startswith("next run at ")
        told = daemon.pserv("events", "job", check=0).stdout
        assert told.count("was missed while no daemon ran") == 1


def test_a_reload_lets_a_run_go_on(ours: Daemon) -> None:
    long = "  long: {command: sleep 10000, schedule: '@yearly', env: {A: '%s'}}\n"
    ours.write(SERVICES + long % 1)
    ours.pserv("reload", check=0)
    ours.pserv("run", "long", "--no-wait", check=0)
    pid = ours.until("long", lambda row: row.pid is not None).pid
    ours.write(SERVICES + long % 2)
    assert "env.A: 1 -> 2" in ours.pserv("reload", check=0).stdout
    assert ours.pid("long") == pid
