"""Stopped means gone, also for who forked away and hides: each way, as root and not, with cgroups and without."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon, alive, kill
from tests.scenarios.ordinary import NOBODY, becoming

WAYS = ("environment", "setuid", "dumpable", "pipes")

_JOIN = 'echo 0 > "$1/cgroup.procs"; shift; exec "$@"'
_WITHOUT = 'umount --lazy "$1"; shift; exec "$@"'


def cgroup_mount() -> Path | None:
    """Where cgroup v2 is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(fields.split(" ")[4])
    return None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, of nobody in particular."""
    folder = Path(tempfile.mkdtemp(prefix="pserv-escape-"))
    folder.chmod(0o711)
    (folder / "state").mkdir()
    (folder / "run").mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def delegated(folder: Path) -> Iterator[Path]:
    """A cgroup that the ordinary user may divide."""
    mount = cgroup_mount()
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root and cgroup v2")
    group = mount / folder.name
    group.mkdir()
    for path in (group, group / "cgroup.procs", group / "cgroup.subtree_control"):
        os.chown(path, NOBODY, NOBODY)
    yield group
    for below in sorted(group.rglob("*/"), reverse=True):
        below.rmdir()
    group.rmdir()


class Escapees:
    """A daemon with one service for each way to hide, and the pids of those that hid."""

    def __init__(self, folder: Path, wrapper: list[str], owner: int, helper_owner: int) -> None:
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            pytest.skip(f"{folder} knows no set-user-id bit")
        self.folder = folder
        binary, helper = folder / "escapee", folder / "helper"
        subprocess.run(["gcc", "-O1", "-o", binary, Path(__file__).with_name("escapee.c")], check=True)
        shutil.copy(binary, helper)
        os.chown(helper, helper_owner, helper_owner)
        helper.chmod(0o6755)
        services = ["services:"]
        self._fifos = {way: self._fifo(way) for way in WAYS}
        for way in WAYS:
            argv = [str(binary), way, str(folder / way), str(helper)]
            services.append(f"  {way}: {{command: {argv}, stop: {{timeout: 500ms}}}}")
        for place in ("run", "state"):
            os.chown(folder / place, owner, owner)
        self.daemon = Daemon(folder, "\n".join(services) + "\n", wrapper=wrapper)
        self.pids: dict[str, int] = {}

    def _fifo(self, way: str) -> int:
        os.mkfifo(self.folder / way)
        (self.folder / way).chmod(0o666)
        return os.open(self.folder / way, os.O_RDWR | os.O_NONBLOCK)

    def up(self) -> None:
        """Start all, and learn who hid."""
        self.daemon.up()
        for way, fifo in self._fifos.items():
            assert select.select([fifo], [], [], PATIENCE)[0], f"{way} did not escape"
            self.pids[way] = int(os.read(fifo, 64))
            assert alive(self.pids[way])

    def uses_cgroups(self) -> bool:
        """Whether the keeper made a cgroup for the runs."""
        return "/pserv-" in Path(f"/proc/{self.daemon.pid('pipes')}/cgroup").read_text()

    def close(self) -> None:
        self.daemon.close()
        for fifo in self._fifos.values():
            os.close(fifo)
        for pid in self.pids.values():
            if alive(pid):
                kill(pid)


def check_gone(escapees: Escapees, survivor: str | None, *, cgroups: bool) -> None:
    """`stop` ends all but the survivor, which it names in good time; `down` goes through all the same."""
    daemon = escapees.daemon
    try:
        escapees.up()
        assert escapees.uses_cgroups() is cgroups
        began = time.monotonic()
        stopped = daemon.pserv("stop", "--all")
        assert time.monotonic() - began < 10
        left = {way for way, pid in escapees.pids.items() if alive(pid)}
        assert left == ({survivor} if survivor else set()), stopped.stdout + stopped.stderr
        for way, row in daemon.status().items():
            assert row.state.value == "stopped"
            if way == survivor:
                assert f"pid {escapees.pids[way]}" in f"{row.reason} {row.trouble}"
            else:
                assert "pid" not in row.trouble
        if survivor:
            assert f"pid {escapees.pids[survivor]}" in stopped.stdout + stopped.stderr
        assert stopped.returncode == (1 if survivor else 0)
        daemon.pserv("down", check=0)
    finally:
        escapees.close()


@pytest.mark.skipif(os.geteuid() != 0 or cgroup_mount() is None, reason="needs root and cgroup v2")
def test_as_root_with_cgroups(folder: Path) -> None:
    check_gone(Escapees(folder, [], 0, NOBODY), None, cgroups=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_without_cgroups(folder: Path) -> None:
    mount = cgroup_mount()
    hidden = ["unshare", "--mount", "/bin/sh", "-c", _WITHOUT, "sh", str(mount)] if mount else []
    check_gone(Escapees(folder, hidden, 0, NOBODY), None, cgroups=False)


def test_as_user_with_a_cgroup_of_its_own(folder: Path, delegated: Path, tmp_path: Path) -> None:
    inside = ["/bin/sh", "-c", _JOIN, "sh", str(delegated)]
    check_gone(Escapees(folder, [*inside, *becoming(NOBODY, tmp_path)], NOBODY, 0), None, cgroups=True)


def test_as_user_without_cgroups(folder: Path, tmp_path: Path) -> None:
    check_gone(Escapees(folder, becoming(NOBODY, tmp_path), NOBODY, 0), "setuid", cgroups=False)
