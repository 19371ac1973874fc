"""Removing the files that secrets were delivered as. They are written in a fork of the keeper (`pserv.fetching`)."""

from __future__ import annotations

import os
from collections.abc import Iterable


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
