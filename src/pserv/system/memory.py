"""Bytes behind a descriptor and under no name. What they mean is others' business."""

from __future__ import annotations

import os


def holding(data: bytes) -> int:
    """A descriptor, positioned at its end, that holds these bytes (memfd_create(2), else an unlinked file)."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("pserv", os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp()
        os.unlink(path)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd
