"""Where output goes: files, FIFOs, terminals, devices; open, locked, or in trouble. No bytes are moved here."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from pserv.logger import outlets
from pserv.logger.index import Hints
from pserv.logger.settings import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from pserv.logger.rotation import Rotation

FILE: Final = "file"
"""Written through the hold pipe, at its end."""
FLOW: Final = "flow"
"""A FIFO, terminal or device: non-blocking, written directly."""

FIRST_RETRY = 0.25
LAST_RETRY = 5.0
"""Seconds between attempts on a target in trouble: doubled each time."""
CHECK_INTERVAL = 1.0
"""Seconds after which a file in use is looked at again: was it deleted?"""
_ROOM = 1 << 20
"""Bytes that must be free (or a twentieth of the device) before a file is opened: as much as the hold pipe takes."""

_FLAGS = os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC


class TargetError(Exception):
    """A target cannot be opened or written; `text` tells why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.full = False
        """No space: the open file is fine, what is missing is room."""

    @classmethod
    def of(cls, error: OSError) -> TargetError:
        wrapped = cls(error.strerror or str(error))
        wrapped.full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return wrapped


class Target:
    """One path, shared by all streams that go there. `stale`: to be opened (anew) before it is used."""

    __slots__ = (
        "carry",
        "checked",
        "delay",
        "fd",
        "hints",
        "kind",
        "mode",
        "path",
        "retry_at",
        "rotation",
        "settings",
        "stale",
        "streams",
        "trouble",
        "used",
        "write",
    )

    def __init__(self, path: str, mode: int | None) -> None:
        self.path = path
        self.mode = mode
        self.settings = PLAIN
        """Those of the stream that was told of last."""
        self.fd = -1
        self.kind: str = FILE
        self.stale = True
        self.used = False
        """Whether it was ever open."""
        self.streams: list[int] = []
        self.hints: Hints | None = None
        """Of a regular file; kept while it is open again and again."""
        self.write: outlets.Write | None = None
        """How to write where write(2) would not do; then only whole lines are written."""
        self.carry = b""
        """Bytes that a FLOW target without splice has not taken yet."""
        self.trouble = ""
        self.delay = 0.0
        self.retry_at = 0.0
        self.checked = 0.0
        self.rotation: Rotation | None = None
        """Of a regular file that is to be rotated."""

    def open(self, now: float) -> None:
        """Open (anew) and lock. Raises TargetError; may take as long as its file system takes."""
        self.close()
        self.stale = True
        try:
            fd = self._open()
        except OSError as error:
            raise TargetError.of(error) from None
        status = os.fstat(fd)
        self.kind = FILE if stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode) else FLOW
        try:
            if self.is_log(status):
                _lock(fd)
                _check_space(fd)
        except TargetError:
            os.close(fd)
            raise
        if self.is_log(status):
            self.hints = self.hints or Hints(self.path)
            self.hints.forget()
            if self.rotation is not None:
                self.rotation.opened(status.st_size, status.st_mtime)
        else:
            self.rotation = None
        self.fd = fd
        self.checked = now
        self.stale = False
        self.used = True

    def is_log(self, status: os.stat_result) -> bool:
        """Whether it is a file of ours alone: none that the daemon was started with, for others to write to, too."""
        return stat.S_ISREG(status.st_mode) and self.path not in outlets.STANDARD

    def _open(self) -> int:
        number = outlets.STANDARD.get(self.path)
        if number is not None:
            fd, self.write = outlets.open_standard(number)
            return fd
        self.write = None
        try:
            return _open_for_writing(self.path, 0, 0)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            fd = _open_for_writing(self.path, os.O_CREAT, 0o644 if self.mode is None else self.mode)
            if self.mode is not None:
                os.fchmod(fd, self.mode)  # whatever the umask
            return fd
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.EOPNOTSUPP) or not stat.S_ISSOCK(os.stat(self.path).st_mode):
                raise
            fd, self.write = outlets.open_socket(self.path)
            return fd

    def wants_opening(self, now: float) -> bool:
        """Whether it is not open, or has no name any more (deleted); looks for that at most once a second."""
        if not self.stale and now - self.checked >= CHECK_INTERVAL:
            self.checked = now
            self.stale = os.fstat(self.fd).st_nlink == 0
        return self.stale

    def is_due(self) -> bool:
        """Whether it is to be rotated before anything else is written."""
        return self.rotation is not None and self.rotation.due

    def unlock(self) -> None:
        """Another worker is to write this file; this one will only close it."""
        if self.fd >= 0 and self.kind is FILE:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_UN)
            except OSError:
                pass  # a file system without locks

    def close(self) -> None:
        """Close; what locks it ends with that."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            try:
                os.close(fd)
            except OSError:
                pass  # closed it is all the same (close(2)): what a quota or a dead server refused was told by write

    def open_next(self, now: float) -> None:
        """Open the path anew after its file was given another name: whose that was and who may read it stays.

        Raises TargetError.
        """
        before = os.fstat(self.fd)
        self.open(now)
        fresh = os.fstat(self.fd)
        if fresh.st_size == 0 and stat.S_ISREG(fresh.st_mode):
            try:
                os.fchmod(self.fd, stat.S_IMODE(before.st_mode))
                if (fresh.st_uid, fresh.st_gid) != (before.st_uid, before.st_gid):
                    os.fchown(self.fd, before.st_uid, before.st_gid)
            except OSError:
                pass  # not ours to give away: it is ours then

    def status(self) -> os.stat_result:
        """Of the open file."""
        return os.fstat(self.fd)

    def size(self) -> int:
        """Bytes in the file; 0 for what has no size."""
        return os.fstat(self.fd).st_size if self.fd >= 0 and self.kind is FILE else 0

    def fail(self, now: float) -> None:
        """Set the time of the next attempt, later each time."""
        self.delay = min(self.delay * 2, LAST_RETRY) if self.delay else FIRST_RETRY
        self.retry_at = now + self.delay


def _open_for_writing(path: str, flags: int, mode: int) -> int:
    # Readable too, so that the last lines of a run can be read back; a FIFO opened so never blocks and never ends.
    try:
        return os.open(path, os.O_RDWR | flags | _FLAGS, mode)
    except PermissionError:
        return os.open(path, os.O_WRONLY | flags | _FLAGS, mode)


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TargetError("another process or service writes to this file") from None
    except OSError:
        return  # a file system without locks


def _check_space(fd: int) -> None:
    """A full device is seen before bytes are taken for it: in the hold pipe they would be in everybody's way."""
    room = os.fstatvfs(fd)
    free = room.f_frsize * (room.f_bfree if os.geteuid() == 0 else room.f_bavail)
    total = room.f_frsize * room.f_blocks  # 0 where the file system does not tell
    if free < min(_ROOM, total // 20):
        raise TargetError(os.strerror(errno.ENOSPC))
