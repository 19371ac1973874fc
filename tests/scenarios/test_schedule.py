"""Schedules with real processes: a job each second, supervisors that die, `pserv run`."""

from __future__ import annotations

import calendar
import json
import os
from collections.abc import Iterator
from pathlib import Path
from time import strptime

import pytest

from pserv.api import operations as op
from pserv.model.states import Phase
from tests.scenarios.daemon import Daemon

SECONDS = int(os.environ.get("PSERV_TEST_SECONDS", "2"))

SERVICES = """
services:
  each: {shell: "date +%s", schedule: "* * * * * *", timezone: UTC}
  tick: {shell: "echo tick", schedule: "@every 1s"}
  night: {shell: "echo ran; exit 3", schedule: "0 3 * * *", timezone: Europe/Berlin}
  once: {shell: "kill -9 $$", type: oneshot, autostart: false}
  web: {command: sleep 10000}
"""
MORTAL = """
services:
  each: {shell: "date +%s", schedule: "* * * * * *"}
  slow: {shell: "echo begun $$; sleep 0.7; echo done $$", schedule: "@every 1s"}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("schedule"), SERVICES) as daemon:
        daemon.up()
        yield daemon


@pytest.mark.timeout(SECONDS + 60)
def test_a_job_each_second_for_a_while(ours: Daemon) -> None:
    """PSERV_TEST_SECONDS=60 makes it a minute; on a machine that is kept busy one may be left out, never doubled."""
    due: list[int] = []
    with (
        ours.client() as client,
        client.stream("events", op.Events(("each",), 0, True), timeout=SECONDS + 60.0) as changes,
    ):
        for change in changes:
            assert isinstance(change, op.Progress)
            if change.change.reason.startswith("due at") and change.change.phase is Phase.STARTING:
                due.append(_second(change.change.reason))
                if len(due) > SECONDS:
                    break
    assert due == sorted(set(due)), "a second had two runs"
    left_out = due[-1] - due[0] - SECONDS
    assert left_out <= 2 + SECONDS // 10, f"{left_out} of {SECONDS} s had no run"
    print(f"{len(due)} runs in {due[-1] - due[0]} s, {left_out} left out")


def _second(reason: str) -> int:
    """Since the epoch, of "due at 2026-11-23 04:10:07 UTC"."""
    day, time = reason.split()[2:4]
    return calendar.timegm(strptime(f"{day} {time}", "%Y-%m-%d %H:%M:%S"))


def test_supervisors_die_between_runs_and_in_them(tmp_path: Path) -> None:
    with Daemon(tmp_path, MORTAL) as daemon:
        daemon.up()
        for _ in range(2):
            daemon.until_line("slow", "begun", 1)
            daemon.kill_supervisor()
            daemon.until_line("each", "", 2)
        daemon.until_line("slow", "done", 2)
        seconds = [int(line) for line in daemon.pserv("logs", "each", "-n", "1000", check=0).stdout.split()]
        assert len(seconds) == len(set(seconds)), "a second had two runs"
        assert seconds == sorted(seconds)
        assert seconds[-1] - seconds[0] <= len(seconds) + 4, "more is missing than two replacements take"
        lines = [line.split() for line in daemon.pserv("logs", "slow", "-n", "1000", check=0).stdout.splitlines()]
        begun, done = ([pid for word, pid in lines if word == which] for which in ("begun", "done"))
        assert done == begun[: len(done)], "one run after the other, each to its end"
        assert {end.code for end in daemon.story("slow").last_runs} == {0}


def test_stopped_it_waits_for_start(ours: Daemon) -> None:
    ours.until_line("tick", "tick")
    ours.pserv("stop", "tick", check=0)
    row = ours.status()["tick"]
    assert row.state.value == "stopped"
    ours.pserv("start", "tick", check=0)
    ours.until("tick", lambda now: now.run_id != row.run_id and now.state.value == "waiting")


def test_run_returns_the_code_of_its_run(ours: Daemon) -> None:
    ours.pserv("start", "night", check=0)
    done = ours.pserv("run", "night", check=3)
    assert done.stdout.startswith("night: next run at ")
    assert "; exit code 3 after " in done.stdout
    ours.pserv("run", "once", check=137)
    ours.pserv("stop", "night", check=0)
    told = json.loads(ours.pserv("run", "night", "--json", check=3).stdout)
    assert (told["service"], told["code"]) == ("night", 3)
    assert ours.status()["night"].state.value == "stopped"
    assert ours.pserv("run", "web", check=1).stderr.startswith("cannot run web: it does not end by itself\n")
    assert ours.pserv("run", "*", check=1).stderr.startswith("cannot run *: it means each, tick, night, once, web")
    ours.pserv("run", "once", "--no-wait", check=0)


def test_status_tells_what_comes_and_what_was(ours: Daemon) -> None:
    ours.pserv("start", "night", check=0)
    ours.pserv("run", "night", check=3)
    row = ours.status()["night"]
    assert row.reason.startswith("next run at ")
    assert row.next is not None
    story = ours.story("night")
    assert story.schedule == "0 3 * * * Europe/Berlin"
    assert len(story.next_runs) == 3
    assert all(" 03:00:00 CE" in each.text for each in story.next_runs)
    assert story.last_runs[0].code == 3
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


def test_a_reload_lets_a_run_go_on_and_changes_the_times_at_once(ours: Daemon) -> None:
    long = "  long: {command: sleep 10000, schedule: '%s', timezone: UTC, env: {A: '%s'}}\n"
    ours.write(SERVICES + long % ("0 0 1 1 *", 1))
    ours.pserv("reload", check=0)
    ours.pserv("run", "long", "--no-wait", check=0)
    pid = ours.until("long", lambda row: row.pid is not None).pid
    ours.write(SERVICES + long % ("0 0 2 2 *", 2))
    assert "env.A 1 → 2 (" in ours.pserv("reload", check=0).stdout
    assert ours.pid("long") == pid
    assert "-02-02 00:00:00 UTC" in ours.story("long").next_runs[0].text
    ours.pserv("restart", "long", check=0)
    assert "-02-02 00:00:00 UTC" in ours.status()["long"].reason
    ours.write(SERVICES + long % ("0 0 3 3 *", 2))
    ours.pserv("reload", check=0)
    assert "-03-03 00:00:00 UTC" in ours.status()["long"].reason
