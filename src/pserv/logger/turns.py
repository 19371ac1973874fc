"""The rotations of one worker: carried out, told, and waited for where the calendar has them. No byte is moved here."""

from __future__ import annotations

import time
from collections.abc import Callable

from pserv.logger.rotating import Family
from pserv.logger.rotation import Rotation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.journal import Journal
    from pserv.logger.streams import Stream
    from pserv.logger.targets import Target

LONGEST: Final = 3600.0
"""Seconds after which the clock is looked at again, in case it was set, while something is rotated by the calendar."""
_TELL: Final = 1.0
"""Seconds between two tellings that files were rotated: who compresses them need not hear of each."""
_NO_FILES: Final = ("/dev/fd/", "/dev/std", "/proc/")
"""What is found here leads to a file that somebody else has opened, and that is not ours to rename."""


class Turns:
    """`at` is the monotonic moment of the next thing to do, None while there is none."""

    def __init__(
        self,
        streams: dict[int, Stream],
        ended: dict[int, Stream],
        journal: Journal,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        """`streams` that are served and those that `ended`, by number: both kept by the caller."""
        self._streams = streams
        self._ended = ended
        self._journal = journal
        self._send = send
        self._targets: set[Target] = set()
        self._told_at = 0.0
        self._untold: dict[str, int] = {}
        self.at: float | None = None

    def govern(self, target: Target) -> None:
        """Go by the settings of a target from now on."""
        rules = target.settings.rotation
        if rules is None or target.path.startswith(_NO_FILES):
            self.forget(target)
            target.rotation = None
            return
        if target.rotation is None:
            target.rotation = Rotation(rules, Family(target.path))
            if target.fd >= 0:
                status = target.status()
                target.rotation.opened(status.st_size, status.st_mtime)
        else:
            target.rotation.change(rules)
        if rules.every:
            self._targets.add(target)
            self.at = time.monotonic()
        else:
            self._targets.discard(target)

    def forget(self, target: Target) -> None:
        """It is closed."""
        self._targets.discard(target)

    def rotate(self, target: Target, number: int) -> None:
        """Rotate a file that is due, on behalf of that stream. Where somebody else renamed it there is only a new one.

        When it cannot be renamed or old ones cannot be removed that is told, and writing goes on. Raises TargetError
        where the next file cannot be opened.
        """
        rotation = target.rotation
        assert rotation is not None
        told, family = rotation.trouble, rotation.family
        try:
            if family.is_active(target.fd):
                family.rotate(target.fd, rotation.began)
        except OSError as error:
            rotation.postpone(f"cannot rotate it: {error.strerror}")
        else:
            target.open_next(time.monotonic())
            rotation.done()
            self._rotated(target, number)
            try:
                family.retain(rotation.rules, time.time())
            except OSError as error:
                rotation.trouble = f"cannot remove rotated files: {error.strerror}"
            if target.hints is not None:
                target.hints.rotated(*family.span())
        if rotation.trouble != told:
            for one in target.streams or [number]:
                self._send({"op": "unrotated", "id": one, "path": target.path, "text": rotation.trouble})

    def _rotated(self, target: Target, number: int) -> None:
        for stream in (*(self._streams[one] for one in target.streams), *self._ended.values()):
            if stream.target is target:
                stream.rotated()
                self._journal.record(stream.id, max(stream.start, -1), stream.printed)
        now = time.monotonic()
        self._untold[target.path] = number
        self.at = min(self.at or now + LONGEST, max(now, self._told_at + _TELL))

    def due(self) -> list[Target]:
        """What the calendar wants rotated now; to be called when it is `at`."""
        now = time.monotonic()
        if self._untold and now - self._told_at >= _TELL:
            self._told_at, untold, self._untold = now, self._untold, {}
            for path, number in untold.items():
                self._send({"op": "rotated", "id": number, "path": path})
        found: list[Target] = []
        times = [self._told_at + _TELL] if self._untold else []
        for target in self._targets:
            rotation = target.rotation
            if rotation is None or target.fd < 0 or target.stale:
                continue
            if rotation.due_in() == 0.0:
                rotation.ring(target.fd, target.size())
            if rotation.due:
                found.append(target)
            left = rotation.due_in()
            if left is not None:
                times.append(now + min(left, LONGEST))
        self.at = min(times, default=None)
        return found

    def opened(self, target: Target) -> None:
        """A file was opened: the calendar is to be looked at for it."""
        if target in self._targets:
            self.at = time.monotonic()
