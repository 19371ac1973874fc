"""Commands as an ordinary user, even where the interpreter lies in a folder that only root may enter."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

NOBODY = 65534
"""User and group id without rights."""

_REACHED = """
set -e
closed=$1; needed=$2; hold=$3; shift 3
mount --bind "$needed" "$hold"
mount -t tmpfs -o mode=755 tmpfs "$closed"
mkdir -p "$needed"
mount --bind "$hold" "$needed"
exec "$@"
"""


def becoming(user: int, hold: Path) -> list[str]:
    """A command line that runs the words after it as this user. `hold` is an empty folder of the test's.

    Where a folder above the interpreter is closed to others (/root, mostly), the interpreter is shown to the command
    in a mount namespace of its own. Skips the test where that cannot be.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("becoming another user needs root, setpriv and unshare")
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    needed = Path(sys.base_prefix).resolve()
    for place in (Path(sys.prefix), Path(__file__).parents[2]):
        if _closed(place):
            pytest.skip(f"{_closed(place)} is closed to other users")
    closed = _closed(needed)
    if closed is None:
        return words
    return ["unshare", "--mount", "/bin/sh", "-c", _REACHED, "sh", str(closed), str(needed), str(hold), *words]


def _closed(path: Path) -> Path | None:
    """The topmost folder on the way that others may not enter."""
    for folder in [*reversed(path.resolve().parents), path.resolve()]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
