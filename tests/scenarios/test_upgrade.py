"""`pserv upgrade` to another version of the package: who runs is not touched, and who would fail does not take over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import pserv
from pserv.model.status import ServiceStatus
from tests.scenarios.daemon import Daemon

CONFIG = """services:
  counting: {shell: 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done', stdout: out.log}
  down: {command: sleep 10000}
  broken: {command: 'false', restart: always, backoff: {initial: 1h, maximum: 1h}}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """It runs a copy of the package that can be changed."""
    shutil.copytree(Path(pserv.__file__).parent, tmp_path / "package" / "pserv")
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.env["PYTHONPATH"] = str(tmp_path / "package")
        daemon.pserv("up", "-d", "--no-wait", check=0)
        daemon.until_line("counting", "line 1")
        daemon.pserv("stop", "down", check=0)
        daemon.until("broken", lambda row: row.state.value == "backoff" and row.restarts == 2)
        yield daemon


def change(daemon: Daemon, file: str, text: str) -> None:
    """Another version of the package is installed."""
    (daemon.folder / "package" / "pserv" / file).write_text(text)


def assert_untouched(daemon: Daemon, before: dict[str, ServiceStatus]) -> None:
    """All that must not change; a moment is told by whoever knows the time of day, so it may differ by a little."""
    after = daemon.status()
    for name, row in before.items():
        now = after.pop(name)
        assert (now.state, now.pid, now.run_id, now.restarts) == (row.state, row.pid, row.run_id, row.restarts)
        assert now.since == pytest.approx(row.since, abs=0.1)
    assert not after


@pytest.mark.parametrize("keeper", [False, True])
def test_another_version_takes_over(daemon: Daemon, keeper: bool) -> None:
    before = daemon.status()
    change(daemon, "__init__.py", '__version__ = "9.9.9"\n')
    done = daemon.pserv("upgrade", *(["--keeper"] if keeper else []), check=0, timeout=60)
    assert "pserv 0.1.0 -> 9.9.9" in done.stdout + done.stderr
    assert "no service was touched" in done.stdout + done.stderr
    assert_untouched(daemon, before)
    shown = daemon.pserv("version", "--json", check=0).stdout
    assert ('"keeper":"9.9.9"' in shown.replace(" ", "")) is keeper
    daemon.pserv("down", check=0)
    numbers = [int(line.split()[1]) for line in (daemon.folder / "out.log").read_text().splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("keeper", [False, True])
def test_a_version_that_does_not_load_does_not_take_over(daemon: Daemon, keeper: bool) -> None:
    before = daemon.status()
    change(daemon, "keeper/main.py" if keeper else "supervisor/main.py", "raise SystemExit('broken')\n")
    refused = daemon.pserv("upgrade", *(["--keeper"] if keeper else []), check=1, timeout=60)
    assert "refused: the new" in refused.stdout + refused.stderr
    assert "what ran goes on" in refused.stdout + refused.stderr
    assert_untouched(daemon, before)
