from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pserv.system import store


def document(number: int, mtime: int = 1) -> bytes:
    services = {f"web{number}": {"exec": "web"}}
    told = {"format": 1, "name": "d", "files": [{"path": "p", "mtime_ns": mtime}], "services": services}
    return json.dumps(told).encode()


def test_what_is_written_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    assert store.read(folder, store.ACCEPTED) == b""
    store.write(folder, document(1))
    store.write(folder, document(2))
    assert store.read(folder, store.ACCEPTED) == document(2)
    assert store.read(folder, store.PREVIOUS) == document(1)


def test_the_same_again_is_no_previous_one(tmp_path: Path) -> None:
    for number in (1, 2, 2):
        store.write(str(tmp_path), document(number))
    assert store.read(str(tmp_path), store.PREVIOUS) == document(1)


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


def services(folder: Path) -> list[str]:
    """The service of each configuration that is kept, the last first."""
    return [json.loads(store.read(str(folder), name))["services"].popitem()[0] for name in store.kept(str(folder))]


def test_several_are_kept_the_last_first(tmp_path: Path) -> None:
    for number in range(store.KEPT + 3):
        store.write(str(tmp_path), document(number))
    assert services(tmp_path) == ["web6", "web5", "web4", "web3", "web2"]
    assert [row["number"] for row in store.listed(str(tmp_path))] == [1, 2, 3, 4, 5]
    assert store.listed(str(tmp_path))[0]["services"] == ["web6"]


def test_another_time_of_a_file_is_no_other_configuration(tmp_path: Path) -> None:
    store.write(str(tmp_path), document(1))
    store.write(str(tmp_path), document(1, mtime=2))
    assert store.kept(str(tmp_path)) == []
    assert store.read(str(tmp_path), store.ACCEPTED) == document(1, mtime=2)


def test_what_comes_back_is_not_kept_twice(tmp_path: Path) -> None:
    for number in (1, 2, 3, 1, 3, 1):
        store.write(str(tmp_path), document(number))
    assert services(tmp_path) == ["web3", "web2"]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"\xff\xfe", b'{"services": 1', b"null"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, damaged: bytes) -> None:
    for number in (1, 2, 3):
        store.write(str(tmp_path), document(number))
    (tmp_path / store.ACCEPTED).write_bytes(damaged)
    assert store.last_good(str(tmp_path)) == document(2)
    (tmp_path / store.PREVIOUS).write_bytes(damaged)
    assert store.last_good(str(tmp_path)) == document(1)
    assert len(store.listed(str(tmp_path))) == 2
    store.write(str(tmp_path), document(4))
    assert store.last_good(str(tmp_path)) == document(4)
    assert store.last_good(str(tmp_path / "none")) == b""


@pytest.mark.parametrize("crash", range(1, 7))
def test_a_crash_at_any_rename_loses_no_good_one(tmp_path: Path, crash: int) -> None:
    """os.replace that fails stands for a death at that place: what follows it has not happened."""
    for number in range(1, 6):
        store.write(str(tmp_path), document(number))
    os.mkdir(tmp_path / "once")
    code = (
        "import os, sys\nfrom pserv.system import store\ncount = 0\nreal = os.replace\n"
        "def replace(a, b):\n    global count\n    count += 1\n    if count == int(sys.argv[2]): os._exit(9)\n"
        "    real(a, b)\nos.replace = replace\nstore.write(sys.argv[1], sys.stdin.buffer.read())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(crash)], input=document(9), check=False)
    assert done.returncode in (0, 9)
    found = json.loads(store.last_good(str(tmp_path)))["services"].popitem()[0]
    assert found in ("web5", "web9")
    left = {*services(tmp_path), found}
    assert {"web5", "web4", "web3", "web2", "web1"} <= left
    store.write(str(tmp_path), document(10))
    assert json.loads(store.last_good(str(tmp_path)))["services"].keys() == {"web10"}
