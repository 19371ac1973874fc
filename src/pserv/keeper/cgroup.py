"""One cgroup v2 folder a run, where we may make one: who is in it, and the end of all of them at once (Linux)."""

from __future__ import annotations

import os

from pserv.keeper import kernel
from pserv.keeper.forking import Forking


class Cgroups:
    """Folders `pserv-<cookie>/<run>` below the keeper's own cgroup."""

    def __init__(self, root: str) -> None:
        self.root = root

    def make(self, run: int) -> str | None:
        """The path of the new folder of a run, or None: then it is followed by the other signs."""
        path = f"{self.root}/{run}"
        try:
            os.mkdir(path)
        except OSError:
            return None
        return path

    def close(self) -> None:
        """Remove what is empty; what is not stays, with its processes."""
        remove(self.root)


def find(cookie: str) -> str | None:
    """The path our folder has or would have, from /proc; None without cgroup v2."""
    mount = own = None
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, rest = line.partition(" - ")
                if rest.startswith("cgroup2 "):
                    root, mount = fields.split(" ")[3:5]
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                if line.startswith("0::"):
                    own = line[3:].rstrip("\n")
    except OSError:
        return None
    if mount is None or own is None or "\\" in mount:
        return None
    # In a container the mount shows a part of the tree only; /proc/self/cgroup may still tell the whole path.
    relative = own[len(root) :] if root != "/" and own.startswith(root) else own
    return f"{mount}/{relative.strip('/')}".rstrip("/") + f"/pserv-{cookie}"


def open_root(path: str) -> Cgroups | None:
    """Make our folder and see whether a process of ours may join one below it; None when not.

    The only sure test is to do it as a run does, in a child of its own: it needs rights on the common ancestor too.
    """
    probe = f"{path}/probe"
    try:
        os.makedirs(probe, exist_ok=True)
        pid, inside, _ = Forking().fork(probe)
    except OSError:
        remove(path)
        return None
    if pid == 0:
        try:
            if not inside:
                join(probe)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    remove(probe)
    if status != 0:
        remove(path)
        return None
    return Cgroups(path)


def join(path: str) -> None:
    """The calling process goes there. Raises OSError."""
    kernel.write(f"{path}/cgroup.procs", b"0")


def populated(path: str) -> bool:
    """Whether a living process is in it or below; zombies do not count. False when it is gone."""
    return b"populated 1" in kernel.read(f"{path}/cgroup.events")


def kill(path: str) -> bool:
    """SIGKILL to all in it and below, forks in progress included; whether the kernel could (5.14)."""
    try:
        kernel.write(f"{path}/cgroup.kill", b"1")
    except OSError:
        return False
    return True


def members(path: str) -> list[int]:
    """The pids in it and below; a service may have made folders of its own."""
    found: list[int] = []
    for folder in _folders(path):
        found += [int(pid) for pid in kernel.read(f"{folder}/cgroup.procs").split()]
    return found


def killed_for_memory(path: str) -> bool:
    """Whether the kernel killed something in it for want of memory; False where the controller is not active."""
    return any(
        line.startswith(b"oom_kill ") and line != b"oom_kill 0"
        for line in kernel.read(f"{path}/memory.events").split(b"\n")
    )


def vacated(path: str) -> bool:
    """Whether nothing lives in it or below; it is removed then."""
    if _removed(path):  # to look first would take ten calls more where a run left nothing, which is nearly always
        return True
    if populated(path):
        return False
    remove(path)
    return True


def remove(path: str) -> None:
    """Remove the folder and those below, as far as they are empty."""
    if _removed(path):
        return
    for folder in reversed(_folders(path)):
        _removed(folder)


def _removed(path: str) -> bool:
    """Whether the folder, or whatever was there, is gone. The kernel refuses while a process lives in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _folders(path: str) -> list[str]:
    """The folder and all below, parents first."""
    found = [path]
    for folder in found:
        try:
            with os.scandir(folder) as entries:
                found += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return found
