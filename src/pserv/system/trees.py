"""Folders with all that is in them, watched for changes: what counts as one, what is ignored, what comes and goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from pserv.system.inotify import (
    CLOSE_WRITE,
    CREATE,
    DELETE,
    DELETE_SELF,
    GONE,
    IS_FOLDER,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    Inotify,
)

EDITORS: Final = ("*~", "*.sw?", "*.swpx", ".#*", "#*#", "4913", "*.pyc", ".DS_Store", "*.kate-swp", "*___jb_*___")
"""What editors leave beside a file while it is open, and what Python makes of one that was read."""

_MASK: Final = CLOSE_WRITE | CREATE | DELETE | DELETE_SELF | MOVE_SELF | MOVED_FROM | MOVED_TO
_LOOK: Final = 1.0


class Files:
    """What is watched for one service. `own` are files whose changes do not count, with what is named after them."""

    __slots__ = ("_ignore", "_own", "real", "roots", "there", "trouble")

    def __init__(self, roots: tuple[str, ...], ignore: tuple[str, ...], own: tuple[str, ...] = ()) -> None:
        self.roots = roots
        self._ignore = (*EDITORS, *ignore)
        self._own = tuple(os.path.split(path) for path in own)
        self.real: dict[str, str] = {}
        """Where each root is, links followed."""
        self.there: dict[str, bool] = {}
        self.trouble = ""

    def find(self) -> list[str]:
        """Look where the roots are now; those that have come or gone."""
        before = self.there
        self.real = {root: os.path.realpath(root) for root in self.roots}
        self.there = {root: os.path.lexists(real) for root, real in self.real.items()}
        return [root for root in self.roots if before and before[root] != self.there[root]]

    def fail(self, path: str, error: OSError) -> None:
        """Say what cannot be watched."""
        if error.errno == errno.ENOSPC:
            self.trouble = (
                "cannot watch all of its files: the system allows no more inotify watches; ignore folders, or raise "
                "the limit: sysctl fs.inotify.max_user_watches=524288"
            )
        else:
            self.trouble = f"cannot watch {path}: {error.strerror}"

    def shown(self, path: str) -> str | None:
        """A path as it is told, from where it was declared; None where it is none of these, or is ignored."""
        for root in self.roots:
            real = self.real.get(root, root)
            if path in (root, real):
                return root
            base = next((each for each in (real, root) if path.startswith(each.rstrip("/") + "/")), None)
            if base is not None:
                inner = path[len(base.rstrip("/")) + 1 :]
                if not self.ignored(inner) and not self._is_own(path):
                    return os.path.join(root, inner)
        return None

    def ignored(self, inner: str) -> bool:
        """Whether a path, from a root on, is one that nobody asks for."""
        parts = inner.split("/")
        for pattern in self._ignore:
            if "/" in pattern:
                plain = pattern.strip("/")
                if any(fnmatchcase("/".join(parts[: end + 1]), plain) for end in range(len(parts))):
                    return True
            elif any(fnmatchcase(part, pattern) for part in parts):
                return True
        return False

    def _is_own(self, path: str) -> bool:
        folder, name = os.path.split(path)
        return any(
            folder == where and (name == own or name.startswith((f"{own}.", f".{own}."))) for where, own in self._own
        )

    def leads_to(self, path: str) -> bool:
        """Whether a root is below this path, so that it has come or gone with it."""
        below = path.rstrip("/") + "/"
        return any(root == path or root.startswith(below) for root in (*self.roots, *self.real.values()))


class Trees:
    """All that is watched, by the kernel."""

    pause: float | None = None

    def __init__(self) -> None:
        """Raises OSError where the kernel cannot."""
        self._inotify = Inotify()
        self.fd = self._inotify.fd
        self._paths: dict[int, str] = {}

    def close(self) -> None:
        self._inotify.close()

    def cover(self, files: Files) -> list[str]:
        """Watch all of it, and the folders in which its roots may come and go; the roots that have."""
        files.trouble = ""
        for root in files.roots:
            self._anchor(root, files)
        moved = files.find()
        for root, real in files.real.items():
            if real != root:
                self._anchor(real, files)
            if os.path.isdir(real):
                self._descend(real, real, files)
        return moved

    def forget(self, kept: Iterable[Files]) -> None:
        """Watch no more what none of these asks for."""
        wanted = list(kept)
        for number, path in list(self._paths.items()):
            if not any(files.leads_to(path) or self._inside(path, files) for files in wanted):
                self._inotify.remove(number)
                del self._paths[number]

    def changes(self, asked: Mapping[str, Files]) -> Iterator[tuple[str, str]]:
        """Who is concerned, and the path, for each change."""
        anew: set[str] = set()
        for number, mask, name in self._inotify.read():
            if mask & OVERFLOW:
                anew |= asked.keys()
                yield from ((each, files.roots[0]) for each, files in asked.items())
                continue
            folder = self._paths.get(number)
            if folder is None:
                continue
            path = os.path.join(folder, name) if name else folder
            if mask & (GONE | MOVE_SELF):
                self._paths.pop(number, None)
                if mask & MOVE_SELF:
                    self._inotify.remove(number)
            for each, files in asked.items():
                if files.leads_to(path):
                    anew.add(each)
                if name and (shown := files.shown(path)) is not None and _counts(mask, path):
                    yield each, shown
                    if mask & IS_FOLDER and mask & (CREATE | MOVED_TO):
                        anew.add(each)
            if mask & IS_FOLDER and mask & MOVED_FROM:
                self._drop(path)
        for each in anew:
            for root in self.cover(asked[each]):
                yield each, root

    def _drop(self, path: str) -> None:
        """A folder is elsewhere now, with all that is in it."""
        for number, known in list(self._paths.items()):
            if known == path or known.startswith(f"{path}/"):
                self._inotify.remove(number)
                del self._paths[number]

    def _inside(self, path: str, files: Files) -> bool:
        anchors = {os.path.dirname(root) for root in (*files.roots, *files.real.values())}
        return path in anchors or files.shown(path) is not None

    def _anchor(self, root: str, files: Files) -> None:
        """Watch the folder that a root is in; where there is none yet, the nearest that there is."""
        folder = os.path.dirname(root)
        while not self._add(folder, files, missing=True) and folder not in ("/", ""):
            folder = os.path.dirname(folder)

    def _descend(self, top: str, real: str, files: Files) -> None:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if not self._add(folder, files):
                continue
            try:
                with os.scandir(folder) as entries:
                    inside = [each.path for each in entries if each.is_dir(follow_symlinks=False)]
            except OSError as error:
                files.fail(folder, error)
                continue
            waiting += [path for path in inside if not files.ignored(path[len(real.rstrip("/")) + 1 :])]

    def _add(self, path: str, files: Files, *, missing: bool = False) -> bool:
        """Whether it is watched now; what has just gone is no trouble."""
        try:
            self._paths[self._inotify.add(path, _MASK)] = path
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                files.fail(path, error)
            return missing and error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return True


def _counts(mask: int, path: str) -> bool:
    """A file that is made is a change once it is written; a folder or a link at once."""
    if mask & (CLOSE_WRITE | DELETE | MOVED_FROM | MOVED_TO):
        return True
    return bool(mask & CREATE) and (bool(mask & IS_FOLDER) or os.path.islink(path))


class Looks:
    """The same where no kernel tells: all of it is looked at again and again."""

    fd = -1
    pause: float | None = _LOOK

    def __init__(self) -> None:
        self._seen: dict[int, dict[str, tuple[int, int, int]]] = {}

    def close(self) -> None:
        self._seen.clear()

    def cover(self, files: Files) -> list[str]:
        moved = files.find()
        self._seen[id(files)] = _shapes(files)
        return moved

    def forget(self, kept: Iterable[Files]) -> None:
        wanted = {id(files) for files in kept}
        self._seen = {number: seen for number, seen in self._seen.items() if number in wanted}

    def changes(self, asked: Mapping[str, Files]) -> Iterator[tuple[str, str]]:
        """Who is concerned, and the path, for each change."""
        for each, files in asked.items():
            before = self._seen.get(id(files), {})
            files.find()
            now = self._seen[id(files)] = _shapes(files)
            for path in {**before, **now}:
                if before.get(path) != now.get(path):
                    yield each, path


def changed_since(files: Files, since: float) -> list[str]:
    """The files that were written or renamed after a time since the epoch (st_ctime of stat(2)), in that order."""
    found = [(status.st_ctime, path) for path, status in _all_of(files) if status.st_ctime > since]
    return [path for _, path in sorted(found)]


def _shapes(files: Files) -> dict[str, tuple[int, int, int]]:
    """What shows of each file that it is another than before."""
    return {path: (status.st_mtime_ns, status.st_size, status.st_ino) for path, status in _all_of(files)}


def _all_of(files: Files) -> Iterator[tuple[str, os.stat_result]]:
    """Each file, as it is told."""
    for real in files.real.values():
        for folder, folders, names in os.walk(real) if os.path.isdir(real) else [(os.path.dirname(real), [], [real])]:
            inner = folder[len(real.rstrip("/")) + 1 :]
            folders[:] = [name for name in folders if not files.ignored(os.path.join(inner, name))]
            for name in names:
                path = os.path.join(folder, name)
                shown = files.shown(path)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                if shown is not None:
                    yield shown, status
