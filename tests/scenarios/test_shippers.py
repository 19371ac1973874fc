"""What others make of the files: jq, zcat, zstd and cut give back what was printed, any bytes of it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pserv.logger.rotated import family
from tests.scenarios import numbered
from tests.scenarios.daemon import PATIENCE, Daemon
from tests.scenarios.fifos import fifo

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("jq", "zcat", "zstd"))), reason="no jq, zcat or zstd")

SIZE = 90_000
JQ = 'jq -j \'.message + if .partial then "" else "\\n" end\''
VIEWS = {
    # log, what is printed, how it is read
    "json": ("{format: json, rotate: {size: 60KB, keep: none, compress: gzip}}", "noise", f"zcat -f FILES | {JQ}"),
    "lines": (
        "{format: json, rotate: {size: 60KB, keep: none, compress: zstd}}",
        "lengths",
        f"zstd -dcfq FILES | {JQ}",
    ),
    "parsed": (
        "{format: json, parse: json, rotate: {size: 60KB, keep: none, compress: gzip}}",
        "objects",
        "zcat -f FILES | jq -c 'if .level == .fields.level and .message == .fields.msg then .fields else . end'",
    ),
    "stamped": (
        "{timestamps: true, rotate: {size: 50KB, keep: none, compress: zstd}}",
        "lines",
        "zstd -dcfq FILES | cut -c 29-",
    ),
    "plain": ("{rotate: {size: 50KB, keep: none, compress: gzip}}", "noise", "zcat -f FILES"),
}


def test_what_was_printed_is_had_back(tmp_path: Path) -> None:
    gate, told = fifo(tmp_path / "gate"), fifo(tmp_path / "told")
    config = "services:\n"
    for name, (log, kind, _) in VIEWS.items():
        words = [kind, "7", str(SIZE), str(tmp_path / "gate"), str(tmp_path / "told")]
        command = json.dumps([sys.executable, "-I", "-S", numbered.__file__, *words])
        config += f"  {name}: {{command: {command}, stdout: {name}.log, log: {log}, restart: never}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        os.write(gate, b"+" * len(VIEWS))
        for name in VIEWS:
            daemon.until_state(name, "exited")
            wait_compressed(tmp_path / f"{name}.log")
        daemon.pserv("down", check=0)
    os.close(gate)
    os.close(told)
    for name, (_, kind, view) in VIEWS.items():
        command = view.replace("FILES", f"$(ls {name}.log.0*) {name}.log")
        shown = subprocess.run(["sh", "-ec", command], cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=True)
        printed = b"".join(numbered.pieces(kind, 7, SIZE))
        if name == "json":
            printed = printed.decode(errors="replace").encode()
        assert shown.stdout == printed, name


def wait_compressed(log: Path) -> None:
    """For a moment a file is there twice, and tools that know no Pserv would read it twice."""
    while not (files := family(str(log))) or not all(one.packing for one in files):
        select.select([], [], [], 0.01)
