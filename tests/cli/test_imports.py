"""What the quick commands may not import: the time of `pserv status` is a promise, and imports are most of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pserv.api.operations import Done
from tests.cli.pretend import Daemon, outcome, service, status

SLOW = {
    "argparse", "asyncio", "click", "concurrent", "dataclasses", "difflib", "h11", "inspect", "json",
    "msgspec", "shutil", "socket", "ssl", "subprocess", "tempfile", "textwrap", "threading", "yaml", "pserv.model.spec",
    "pserv.model.errors", "pserv.api.operations", "pserv.config.loader", "pserv.supervisor", "pserv.keeper.main",
}  # fmt: skip
SCRIPT = """
import sys
from pserv.cli.main import main
code = main(sys.argv[1:])
print("\\n".join(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "line",
    [
        ["status"],
        ["list"],
        ["start", "web"],
        ["stop", "web"],
        ["restart", "web"],
        ["wait"],
        ["status", "web", "--json"],
    ],
)
def test_quick_commands_import_little(line: list[str], tmp_path: Path) -> None:
    settled = [Done(True, (outcome("web"),))]
    answers = {"status": lambda _: status(service("web"))} | dict.fromkeys(
        ("start", "stop", "restart", "wait"), lambda _: settled
    )
    with Daemon(tmp_path / "s", answers) as daemon:
        ran = subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, *line, "--socket", daemon.path],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    slow = SLOW & set(ran.stderr.split())
    assert slow == ({"json"} if "--json" in line else set())
