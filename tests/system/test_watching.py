"""The watcher at work: what counts as a change, what is ignored, what comes and goes; a hundred changes told as one."""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pserv.model.watching import IGNORED
from pserv.system.trees import Files, Looks, Trees
from pserv.system.watching import Watcher

PATIENCE = 20.0


class Watching:
    """A watcher in a thread of the test."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self._ours.settimeout(PATIENCE)
        self._lines = self._ours.makefile("rb")
        self._thread = threading.Thread(target=Watcher(self._theirs).run)
        self._thread.start()

    def ask(self, *groups: dict[str, Any]) -> None:
        self._ours.sendall(json.dumps(groups).encode() + b"\n")

    def watch(self, *roots: Path, name: str = "web", **options: Any) -> None:
        """One group, watched on return."""
        asked = {"roots": [str(root) for root in roots], "ignore": IGNORED, "own": [], "debounce": 0.05, **options}
        self.ask({"name": name, **asked})
        assert self.told() == {"watched": name, "trouble": ""}

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def until(self, path: Path) -> dict[str, Any]:
        """The next that is told, which begins with this path."""
        told = self.told()
        assert told["paths"][0] == str(path), told
        return told

    def close(self) -> None:
        self._lines.close()
        self._ours.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._theirs.close()


@pytest.fixture
def watching() -> Iterator[Watching]:
    made = Watching()
    yield made
    made.close()


def test_a_hundred_changes_are_one(watching: Watching, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    watching.watch(tmp_path / "src", debounce=0.5)
    for number in range(100):
        (tmp_path / "src" / f"{number}.py").write_text("x")
    first = [f"{tmp_path}/src/{number}.py" for number in range(16)]
    assert watching.told() == {"changed": "web", "paths": first, "count": 100}


def test_what_changed_while_nobody_watched_is_told(watching: Watching, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for name in ("old.py", "ignored.swp", "web.log"):
        (src / name).write_text("x")
    since = (src / "old.py").stat().st_ctime
    while time.time() <= since + 0.02:  # the clock of files is coarse
        select.select([], [], [], 0.01)
    (src / "old.py").rename(src / "b.py")
    (src / "a.py").write_text("x")
    watching.watch(src, since=since + 0.01, own=[str(src / "web.log")])
    told = watching.told()
    assert sorted(told["paths"]) == [f"{src}/a.py", f"{src}/b.py"]
    watching.watch(src, name="other", since=time.time() + 1)
    (src / "c.py").write_text("x")
    assert watching.told()["paths"] == [f"{src}/c.py"]


def test_files_are_saved_in_many_ways(watching: Watching, tmp_path: Path) -> None:
    """In place, by a rename over it (vim, atomic writers), with a backup beside it; in folders that are new."""
    src = tmp_path / "src"
    src.mkdir()
    file = src / "app.py"
    watching.watch(src)
    file.write_text("1")
    watching.until(file)
    (src / "app.py~").write_text("backup")
    (src / ".app.py.swp").write_text("swap")
    (src / "4913").write_text("")
    os.rename(src / ".app.py.swp", file)
    watching.until(file)
    (src / "deep").mkdir()
    watching.until(src / "deep")
    (src / "deep" / "er").mkdir()
    watching.until(src / "deep" / "er")
    (src / "deep" / "er" / "x.py").write_text("x")
    watching.until(src / "deep" / "er" / "x.py")
    (src / "deep").rename(src / "other")
    watching.until(src / "deep")
    (src / "other" / "er" / "x.py").write_text("y")
    watching.until(src / "other" / "er" / "x.py")
    file.unlink()
    watching.until(file)
    (src / "link").symlink_to("nowhere")
    watching.until(src / "link")


def test_a_single_file_is_followed_through_renames(watching: Watching, tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text("1")
    watching.watch(file)
    for number in range(3):
        (tmp_path / "other.txt").write_text("none of ours")
        (tmp_path / "new").write_text(str(number))
        (tmp_path / "new").rename(file)
        watching.until(file)
    file.unlink()
    watching.until(file)
    file.write_text("again")
    watching.until(file)


def test_what_is_not_there_yet_or_goes_and_comes_back(watching: Watching, tmp_path: Path) -> None:
    src = tmp_path / "a" / "b" / "src"
    watching.watch(src)
    src.mkdir(parents=True)
    watching.until(src)
    (src / "x.py").write_text("x")
    watching.until(src / "x.py")
    shutil.rmtree(tmp_path / "a")
    assert watching.told()["changed"] == "web"
    src.mkdir(parents=True)
    watching.until(src)
    (src / "x.py").write_text("x")
    watching.until(src / "x.py")


def test_what_is_ignored_costs_nothing(watching: Watching, tmp_path: Path) -> None:
    src = tmp_path / "src"
    for name in ("node_modules/a/b", ".git/objects", "pkg/__pycache__", "static", "logs"):
        (src / name).mkdir(parents=True)
    own = src / "logs" / "web.log"
    watching.watch(src, ignore=[*IGNORED, "*.log", "static/*.js"], own=[str(own)])
    for name in ("node_modules/a/b/x.js", ".git/index", "pkg/__pycache__/x.pyc", "a.log", "static/made.js"):
        (src / name).write_text("x")
    for name in ("web.log", ".web.log.index", "web.log.00000001"):
        (src / "logs" / name).write_text("x")
    (src / "node_modules" / "new").mkdir()
    (src / "pkg" / "static").mkdir()
    watching.until(src / "pkg" / "static")
    (src / "pkg" / "static" / "own.js").write_text("x")
    watching.until(src / "pkg" / "static" / "own.js")


def test_a_link_that_is_switched(watching: Watching, tmp_path: Path) -> None:
    """As releases are: `current` is another folder now, and that is watched then."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    current = tmp_path / "current"
    current.symlink_to("one")
    watching.watch(current)
    (tmp_path / "one" / "x.py").write_text("x")
    watching.until(current / "x.py")
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(current)
    watching.until(current)
    (tmp_path / "one" / "x.py").write_text("old")
    (tmp_path / "two" / "y.py").write_text("y")
    watching.until(current / "y.py")


def test_groups_come_and_go(watching: Watching, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    watching.watch(tmp_path / "a", name="a")
    watching.watch(tmp_path / "b", name="b")
    (tmp_path / "a" / "x").write_text("nobody asks any more")
    (tmp_path / "b" / "x").write_text("x")
    assert watching.told()["changed"] == "b"


def test_changes_that_never_end_are_told_all_the_same(tmp_path: Path) -> None:
    from pserv.system.watching import LONGEST, Group

    group = Group({"roots": ["/src"], "ignore": [], "own": [], "debounce": 1.0})
    for tenth in range(200):
        group.changed(f"/src/{tenth}", 100.0 + tenth / 10)
    assert (next(iter(group.paths)), group.due) == ("/src/0", 100.0 + LONGEST)


MANY = """
import sys
from pserv.system.trees import Files, Trees
trees, files = Trees(), Files((sys.argv[1],), ())
trees.cover(files)
print(files.trouble)
open(f"{sys.argv[1]}/x", "w").close()
print([path for _, path in trees.changes({"web": files})])
"""


def test_too_many_folders_are_told_and_the_others_are_watched(tmp_path: Path) -> None:
    """In a namespace of users of its own, whose limit is its own."""
    for number in range(9):
        (tmp_path / str(number)).mkdir()
    limited = 'echo 5 >/proc/sys/user/max_inotify_watches || exit 77; exec "$@"'
    words = ["unshare", "-U", "-r", "sh", "-c", limited, "sh", sys.executable, "-c", MANY, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode in (1, 77):
        pytest.skip(f"needs a namespace of users: {done.stderr}")
    trouble, changed = done.stdout.splitlines()
    assert "the system allows no more inotify watches" in trouble
    assert "sysctl fs.inotify.max_user_watches" in trouble
    assert changed == f"['{tmp_path}/x']"


def test_what_cannot_be_watched_is_told() -> None:
    files = Files(("/src",), ())
    files.fail("/src/x", OSError(errno.ENOSPC, "No space left on device"))
    assert "no more inotify watches" in files.trouble
    assert "sysctl fs.inotify.max_user_watches" in files.trouble
    files.fail("/src/x", PermissionError(errno.EACCES, "Permission denied"))
    assert files.trouble == "cannot watch /src/x: Permission denied"


@pytest.mark.parametrize("make", [Trees, Looks])
def test_both_ways_see_the_same(make: type[Trees] | type[Looks], tmp_path: Path) -> None:
    src = tmp_path / "src"
    (src / "node_modules").mkdir(parents=True)
    (src / "a.py").write_text("a")
    trees, files = make(), Files((str(src), str(tmp_path / "conf")), IGNORED)
    trees.cover(files)
    asked = {"web": files}
    assert list(trees.changes(asked)) == []
    (src / "a.py").write_text("aa")
    (src / "node_modules" / "x").write_text("x")
    (tmp_path / "conf").write_text("c")
    assert {path for _, path in trees.changes(asked)} == {f"{src}/a.py", str(tmp_path / "conf")}
    (src / "a.py").unlink()
    assert {path for _, path in trees.changes(asked)} == {f"{src}/a.py"}
    trees.forget([])
    (src / "b.py").write_text("b")
    assert list(trees.changes({})) == []
    trees.close()
