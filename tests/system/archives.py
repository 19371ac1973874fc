"""Logs for tests: rotated, compressed, with times, as the logger leaves them."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from pserv.logger import index, rotated
from pserv.logger.index import Hint
from pserv.model.moments import show_instant
from pserv.system.logs import reader

PATIENCE = 20.0
START = 1795410000.0
"""The moment of the first line in these logs: 2026-11-23T05:00:00Z."""


def json_line(message: str, at: float, **fields: Any) -> bytes:
    facts = {"service": "web", "instance": None, "run": 1, "stream": "stdout", "pid": 7, "message": message}
    return (
        json.dumps({"ts": show_instant(at), **facts, "partial": False, **fields}, separators=(",", ":")).encode()
        + b"\n"
    )


def stamped_line(message: str, at: float) -> bytes:
    return f"{show_instant(at)} {message}\n".encode()


def plain_line(message: str, _at: float) -> bytes:
    return f"{message}\n".encode()


def rotate(path: Path, number: int, first: float, last: float, packing: str = "") -> Path:
    """Give the active file its number."""
    target = path.with_name(rotated.name_of(path.name, number, first, last))
    path.rename(target)
    if packing:
        plain = target
        target = plain.with_name(plain.name + packing)
        if packing == ".gz":
            target.write_bytes(gzip.compress(plain.read_bytes()))
        else:
            subprocess.run(["zstd", "-q", str(plain), "-o", str(target)], check=True)
        plain.unlink()
    return target


def hint(path: Path, *rows: tuple[int, int, float, int]) -> None:
    """Add hints: number, offset, time, run."""
    with open(index.path_of(str(path)), "ab") as file:
        for row in rows:
            file.write(index.written(Hint(*row)))


def ask(*paths: Path, **asked: Any) -> list[dict[str, Any]]:
    """All that a reader says of these logs."""
    ours, theirs = socket.socketpair()
    files = [{"service": path.stem, "stream": "stdout", "path": os.fspath(path), "after": None} for path in paths]
    argument = json.dumps({"files": files, "lines": None, "follow": False, **asked})
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(reader(theirs, argument)))
    thread.start()
    with ours, ours.makefile("rb") as said:
        items = [json.loads(line) for line in said]
    thread.join(PATIENCE)
    assert codes == [0]
    assert items.pop() == {"type": "end"}
    return items


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["text"] for item in items if item["type"] == "line"]
