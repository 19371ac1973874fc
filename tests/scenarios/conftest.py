"""Folders and ports for scenarios."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.commands import commands
from tests.scenarios.ordinary import NOBODY
from tests.scenarios.ports import Ports


@pytest.fixture(scope="session", autouse=True)
def _commands() -> Iterator[None]:
    yield
    commands().close()


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as held:
        yield held


@pytest.fixture
def port(ports: Ports) -> int:
    return ports.one()


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder of a user without rights; pytest's own can be entered by root only."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    folder = Path(tempfile.mkdtemp(prefix="pserv-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB, 5 of them taken by a file `ballast`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    (folder / "ballast").write_bytes(b"b" * (5 << 20))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
