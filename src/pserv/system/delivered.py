"""The files that secrets are delivered as: on what they are, and their end. A fork of the keeper writes them."""

from __future__ import annotations

import os
from collections.abc import Iterable

_MEMORY = ("tmpfs", "ramfs")


def remove(folder: str, paths: Iterable[str] = ()) -> None:
    """A service's folder, and files elsewhere; what is not there is no error. Follows no link."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        pass
    else:
        for name in os.listdir(fd):
            _unlink(name, fd)
        os.close(fd)
        _rmdir(folder)
    for path in paths:
        _unlink(path, None)


def remove_all(above: str) -> None:
    """The folders of all services."""
    try:
        names = os.listdir(above)
    except OSError:
        return
    for name in names:
        remove(os.path.join(above, name))
    _rmdir(above)


def _unlink(path: str, folder: int | None) -> None:
    try:
        os.unlink(path, dir_fd=folder)
    except OSError:
        pass


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass


def disk_of(folder: str) -> str:
    """The type of the file system that it is on, such as "ext4"; "" for one in memory, or where that is not known."""
    try:
        device = os.stat(folder).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            rows = [line.split() for line in lines]
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for row in rows:  # "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", proc(5)
        if row[2] == wanted:
            kind = row[row.index("-") + 1]
            return "" if kind in _MEMORY else kind
    return ""
