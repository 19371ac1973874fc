"""The housekeeping of rotated logs: what it removes, what it compresses, and what it says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pserv.logger.rotated import family, name_of

CODE = "import socket, sys; from pserv.system.tidying import tidy; sys.exit(tidy(socket.socket(fileno=3), sys.argv[1]))"


def tidied(logs: list[dict[str, Any]], total: int = 0, active: int = 0) -> dict[str, Any]:
    """The answer of one round, in a process of its own, since it gives up its priority."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        group = {"paths": [log["path"] for log in logs], "most": total, "active": active}
        argument = json.dumps({"logs": logs, "together": [group] if total else []})
        code = f"import os; os.dup2({theirs.fileno()}, 3); {CODE}"
        command = [sys.executable, "-P", "-c", code, argument]
        subprocess.run(command, pass_fds=[theirs.fileno()], check=True)
        theirs.close()
        answer: dict[str, Any] = json.loads(ours.recv(1 << 16))
        return answer


def rotated(log: Path, number: int, age: float, size: int = 100) -> None:
    """A rotated file whose last line is so many seconds old."""
    at = time.time() - age
    (log.parent / name_of(log.name, number, at, at)).write_bytes(b"x" * size)


def numbers(log: Path) -> list[int]:
    return [one.number for one in family(str(log))]


def test_rules_hold_for_a_log_that_nobody_writes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for number, age in enumerate([5000, 4000, 3000, 2000, 1000, 500], 1):
        rotated(log, number, age)
    answer = tidied([{"path": str(log), "rotate": {"size": 1, "keep": 4, "max_age": 2500}}])
    assert numbers(log) == [4, 5, 6]
    assert answer["trouble"] == {}
    assert 400 < answer["next"] <= 500


def test_all_logs_together_lose_the_oldest_first(tmp_path: Path) -> None:
    logs = [tmp_path / f"{name}.log" for name in "abc"]
    for log in logs:
        log.write_bytes(b"x" * 100)
    for number, age in enumerate([50, 30, 10], 1):
        rotated(logs[0], number, age)
        rotated(logs[1], number, age + 5)
    rows = [{"path": str(log), "rotate": None} for log in logs]
    assert tidied(rows, total=800) == {"trouble": {}, "next": None}
    assert (numbers(logs[0]), numbers(logs[1])) == ([1, 2, 3], [2, 3])
    tidied(rows, total=500)
    assert (numbers(logs[0]), numbers(logs[1])) == ([3], [3])
    tidied(rows, total=500, active=120)
    assert (numbers(logs[0]), numbers(logs[1])) == ([3], [])
    tidied(rows, total=10)
    assert (numbers(logs[0]), numbers(logs[1])) == ([], [])
    assert all(log.exists() for log in logs)


def test_what_is_rotated_is_compressed_and_beginnings_are_removed(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"active\n")
    for number in (1, 2):
        rotated(log, number, 10)
    begun = tmp_path / f".{family(str(log))[0].name}.gz.part"
    begun.write_bytes(b"half")
    gone = tmp_path / ".a.log.00000099.20261123T032407Z-20261123T041500Z.gz.part"
    gone.write_bytes(b"half")
    assert tidied([{"path": str(log), "rotate": {"keep": 5, "size": 1}, "compress": "gzip"}])["trouble"] == {}
    assert [(one.number, one.packing) for one in family(str(log))] == [(1, ".gz"), (2, ".gz")]
    assert not begun.exists()
    assert not gone.exists()
    assert log.read_bytes() == b"active\n"


def test_what_cannot_be_done_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.log", tmp_path / "good.log"
    rotated(bad, 1, 10)
    rotated(good, 1, 10)
    name = family(str(bad))[0].name
    os.mkdir(tmp_path / f".{name}.gz.part")
    nowhere = tmp_path / "nowhere" / "a.log"
    rows = [{"path": str(log), "rotate": {"size": 1, "keep": 5}, "compress": "gzip"} for log in (bad, nowhere, good)]
    answer = tidied(rows)
    assert answer["trouble"] == {str(bad): f"cannot tidy up rotated files of {bad}: Is a directory"}
    assert family(str(good))[0].packing == ".gz"
