from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.system import store


def test_what_is_written_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    assert store.read(folder, store.ACCEPTED) == b""
    store.write(folder, b"first")
    store.write(folder, b"second")
    assert store.read(folder, store.ACCEPTED) == b"second"
    assert store.read(folder, store.PREVIOUS) == b"first"


def test_the_same_again_is_no_previous_one(tmp_path: Path) -> None:
    for data in (b"first", b"second", b"second"):
        store.write(str(tmp_path), data)
    assert store.read(str(tmp_path), store.PREVIOUS) == b"first"


def test_a_write_that_fails_leaves_what_was(tmp_path: Path) -> None:
    store.write(str(tmp_path), b"good")
    os.mkdir(tmp_path / f"{store.ACCEPTED}.new")
    with pytest.raises(OSError, match="directory"):
        store.write(str(tmp_path), b"never")
    assert store.read(str(tmp_path), store.ACCEPTED) == b"good"


def test_half_a_write_of_before_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / f"{store.ACCEPTED}.new").write_bytes(b"half of someth")
    store.write(str(tmp_path), b"whole")
    assert store.read(str(tmp_path), store.ACCEPTED) == b"whole"
    assert sorted(os.listdir(tmp_path)) == [store.ACCEPTED]
