"""Bytes behind a descriptor and under no name, which outlive who wrote them. What they mean is others' affair."""

from __future__ import annotations

import os


def holding(data: bytes = b"", name: str = "pserv") -> int:
    """A descriptor, positioned at its end and closed on exec, that holds these bytes.

    A memfd, shown by that name in /proc/PID/fd (memfd_create(2)); else a file that was unlinked. Raises OSError.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile  # rarely needed, and 1 MB

        fd, path = tempfile.mkstemp()
        os.unlink(path)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd
