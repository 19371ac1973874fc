"""Files that are not as they were when they were read: a stat(2) for each, and a sentence for each that changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping

from pserv.model.spec import Document
from pserv.supervisor.record import Record

_NAMED = 5
"""So many services are named of those that have the same file."""


def of_configuration(document: Document) -> Iterator[str]:
    """The files of the accepted configuration."""
    for file in document.files:
        if how := changed(file.path, file.mtime_ns):
            yield f"{file.path} {how}, not loaded: `pserv reload` applies it"


def of_services(records: Mapping[str, Record]) -> Iterator[str]:
    """The env files of these services, as each has read them last."""
    users: dict[tuple[str, int], list[str]] = {}
    for name, own in records.items():
        for read in own.values.read.items() if own.values is not None else ():
            users.setdefault(read, []).append(name)
    for (path, mtime_ns), names in users.items():
        if how := changed(path, mtime_ns):
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            of = f"env file of {', '.join(names[:_NAMED])}{more}"
            yield f"{path} ({of}) {how}, not loaded: `pserv reload` applies it"


def changed(path: str, mtime_ns: int) -> str:
    """How a file is not as it was read; "" where it is. It was not there when its time is 0."""
    try:
        now = os.stat(path).st_mtime_ns
    except OSError as error:
        return f"cannot be read any more ({error.strerror})" if mtime_ns else ""
    if now == mtime_ns:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(now / 1e9))
    return f"changed at {at}" if mtime_ns else f"is there now, of {at}"
