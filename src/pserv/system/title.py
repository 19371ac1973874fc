"""What ps(1) shows of this process, where a fork goes on as another program than the one it was started as (Linux)."""

from __future__ import annotations

import os

_ARGUMENTS = 48 - 3
"""Place of `arg_start` in /proc/self/stat behind the name (proc(5)); `arg_end` follows."""


def show(words: list[str]) -> bool:
    """Write them over the command line that the kernel keeps. False, and nothing done, where they have no room there.

    Nor is anything done where the system does not let us: it is only for who looks.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARGUMENTS]), int(fields[_ARGUMENTS + 1])
        text = b"".join(os.fsencode(word) + b"\0" for word in words)
        if len(text) > end - start:
            return False
        memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    except (OSError, IndexError, ValueError):
        return False
    try:
        return os.pwrite(memory, text.ljust(end - start, b"\0"), start) == end - start
    except OSError:
        return False
    finally:
        os.close(memory)
