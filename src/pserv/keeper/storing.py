"""Descriptors that services gave us to keep for their next run (FDSTORE of sd_notify(3)), with their record."""

from __future__ import annotations

import os
import stat

from pserv.keeper.runs import Record, Records

MOST_OF_ONE, MOST_OF_ALL = 64, 512
NAME = "stored"
"""Of a descriptor that was given without a good name."""
_LONGEST_NAME = 255


class Storing:
    """Keeps them with the record of the key, which outlives its runs."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def keep(self, record: Record, name: str, fds: list[int]) -> int:
        """Keep them, but for those that are kept already; how many were refused for want of room. Takes all over."""
        refused = 0
        kept = {_end(fd) for _, fd in record.stored} - {0}
        room = MOST_OF_ALL - sum(len(other.stored) for other in self._records.by_key.values())
        room = min(room, MOST_OF_ONE - len(record.stored))
        for fd in fds:
            same = _end(fd) in kept
            if same or room <= 0:
                os.close(fd)
                refused += not same
                continue
            room -= 1
            record.stored.append((name if _is_name(name) else NAME, fd))
        return refused

    def remove(self, record: Record, name: str) -> bool:
        """Close those of the name; whether there were any."""
        gone = [pair for pair in record.stored if pair[0] == name]
        for _, fd in gone:
            os.close(fd)
        record.stored = [pair for pair in record.stored if pair[0] != name]
        return bool(gone)

    def discard(self, record: Record) -> None:
        """Close all."""
        for _, fd in record.stored:
            os.close(fd)
        record.stored = []


def _end(fd: int) -> int:
    """The inode of a socket, which stands for one thing only (a pipe has one for both ends); 0 of anything else."""
    found = os.fstat(fd)
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else 0


def _is_name(name: str) -> bool:
    """As systemd has it: ASCII without control characters and colons."""
    return 0 < len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable() and ":" not in name
