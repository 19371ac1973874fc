"""The small files by which the kernel tells and is told (proc(5), cgroups(7)). What is in them is others' affair."""

from __future__ import annotations

import os


def read(path: str) -> bytes:
    """The whole content; empty when there is no such file (any more), or it may not be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        content = b""
        while data := os.read(fd, 65536):
            content += data
    except OSError:
        return b""
    finally:
        os.close(fd)
    return content


def write(path: str, data: bytes) -> None:
    """All at once: what the kernel makes of it is its answer. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
