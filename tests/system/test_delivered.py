"""Whether a folder is memory is the kernel's to say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.system import delivered


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no folder here is memory for certain")
def test_on_what_a_folder_is() -> None:
    assert delivered.disk_of("/dev/shm") == ""
    assert delivered.disk_of("/proc/self") == "proc"


def test_where_there_is_none_nothing_is_known(tmp_path: Path) -> None:
    assert delivered.disk_of(str(tmp_path / "none")) == ""
