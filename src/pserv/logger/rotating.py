"""The rotation of one file: it gets another name, what is beyond the retention goes. When that is due is in `rotation`.

One step, rename(2), decides; a crash before it leaves all as it was, one after it leaves what the next start makes
anyway: a new active file, and at the next rotation fewer old ones. No byte is copied, so none can be lost or doubled.
"""

from __future__ import annotations

import os
import time

from pserv.logger import retention
from pserv.logger.rotated import Rotated, family, name_of, parse, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.calls import Calls
    from pserv.logger.rotation import Rules

_FRESH: Final = 1.0
"""Seconds for which what is known of a folder's files is not looked at again, in a flood of rotations."""


class Family:
    """The rotated files of one active file, as last seen. Only its writer, who holds the lock, rotates."""

    __slots__ = ("_base", "_calls", "_files", "_folder", "_last", "_seen")

    def __init__(self, path: str, calls: Calls = os) -> None:
        self._folder, self._base = place(path)
        self._calls = calls
        self._files: list[Rotated] = []
        self._last = 0
        self._seen = 0.0

    @property
    def path(self) -> str:
        """The active file, no link on the way."""
        return os.path.join(self._folder, self._base)

    def files(self, fresh: bool = True) -> list[Rotated]:
        """The oldest first. Raises OSError."""
        now = time.monotonic()
        if fresh or now - self._seen >= _FRESH:
            self._files = family(self.path, self._calls.listdir)
            self._seen = now
        return self._files

    def is_active(self, fd: int) -> bool:
        """Whether the open file still has the name; somebody else may have rotated it. Raises OSError."""
        try:
            found = self._calls.stat(self.path)
        except FileNotFoundError:
            return False
        mine = self._calls.fstat(fd)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def rotate(self, fd: int, began: float) -> Rotated:
        """Give the open active file its rotated name. `began`: the moment of its first byte, 0 where that is not known:
        then it is that of the last byte before. Raises OSError, and nothing has changed then."""
        files = self.files(fresh=False)
        number = max(self._last, files[-1].number if files else 0) + 1
        written = self._calls.fstat(fd).st_mtime
        began = began or (files[-1].last if files else written)
        name = name_of(self._base, number, min(began, written), written)
        self._calls.rename(self.path, os.path.join(self._folder, name))
        rotated = parse(self._base, name)
        assert rotated is not None
        self._files.append(rotated)
        self._last = number
        return rotated

    def span(self) -> tuple[int, int]:
        """The number that was given last, and the lowest of those that are there, as far as that is known."""
        return self._last, self._files[0].number if self._files else self._last

    def latest(self) -> str:
        """The path of the file that was rotated last, as far as that is known; empty where there is none."""
        return os.path.join(self._folder, self._files[-1].name) if self._files else ""

    def retain(self, rules: Rules, now: float) -> None:
        """Remove what is beyond the rules. Raises OSError."""
        files = self.files(fresh=bool(rules.max_total))
        gone = retention.surplus(files, rules, now, retention.size_in(self._folder, self._calls))
        if gone:
            self._files = [one for one in files if one not in gone]
            retention.remove(self._folder, gone, self._calls)
