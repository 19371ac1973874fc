"""Whether a process is being debugged. Linux only; elsewhere nobody is."""

from __future__ import annotations


def tracer(pid: int) -> int:
    """The pid of the process that traces it (proc(5), TracerPid), 0 for none or where it cannot be told."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            for line in status:
                if line.startswith(b"TracerPid:"):
                    return int(line.split()[1])
    except OSError:
        pass  # no /proc, or the process has ended
    return 0
