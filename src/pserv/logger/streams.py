"""What one run prints on one descriptor, and where it goes. Nothing is moved here."""

from __future__ import annotations

from pserv.logger.pipes import available, is_over
from pserv.logger.settings import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.formats import Format
    from pserv.logger.limits import Limit
    from pserv.logger.overflow import Spilt
    from pserv.logger.settings import Settings
    from pserv.logger.targets import Target

WAITING: Final = 0
"""In the poller: nothing to read when last looked."""
HOT: Final = 1
"""Out of the poller and looked at in turns: it prints faster than waking up for each line is worth."""
PARKED: Final = 2
"""Its target cannot be written: looked at again when the target is."""
UNBORN: Final = 3
"""It printed before its process was known: looked at when it is."""

MOVED: Final = -2
"""`start` of a stream that is all written, whose file has been rotated since."""


class Stream:
    """One pipe (or terminal). Thousands live at once: a few hundred bytes each.

    `start` is the offset in the file of this run's first byte, -1 while there is none; `earlier` likewise in the file
    before, when it was rotated meanwhile; `printed` counts bytes; `end` is the size of the file when all was written.
    `drained`: its last lines were asked for. `over`: end of file. `unfinished`: what its pipe has is the beginning of a
    line. `unborn`: whose process it is is not known yet.
    """

    __slots__ = (
        *("drained", "earlier", "end", "fd", "format", "id", "large", "last", "limit", "misses", "much", "over"),
        *("printed", "rest", "run", "settings", "spilt", "start", "state", "target", "unborn", "unfinished"),
    )

    def __init__(self, number: int, fd: int, target: Target, settings: Settings = PLAIN) -> None:
        self.id = number
        self.run = 0
        self.fd = fd
        self.target = target
        self.settings = settings
        self.format: Format | None = None
        """What its bytes are made into; None: they are written as they are."""
        self.rest: bytes | None = None
        """The beginning of a line that was read, where it cannot be left in the pipe (a terminal)."""
        self.limit: Limit | None = None
        """How much of it may be written."""
        self.spilt: Spilt | None = None
        """What of it was thrown away and is not told by its file yet."""
        self.unborn = False
        self.unfinished = False
        self.start = -1
        self.earlier = -1
        self.end = 0
        self.printed = 0
        self.state = WAITING
        self.over = False
        self.drained = False
        self.last = 0.0
        """When it was last served; with `large`, `misses` and `much` this is the business of pserv.logger.heat."""
        self.large = False
        self.misses = 0
        self.much = False

    def available(self) -> int:
        """Bytes in the pipe now."""
        return available(self.fd)

    def rotated(self) -> None:
        """Its file was rotated. What is over stands in the file before, to `end`; the rest goes on in an empty one."""
        self.earlier, self.start = self.start, MOVED if self.end else min(self.start, 0)

    def is_over(self) -> bool:
        """Whether the pipe is empty and nobody can write to it any more."""
        return is_over(self.fd)
