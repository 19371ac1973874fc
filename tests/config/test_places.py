"""The search order of the configuration, and the folders and socket that belong to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.config import places
from pserv.model.errors import PservError

USER = 1000


def _file(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("services: {}\n")
    return str(path)


def _find(tmp_path: Path, *explicit: str, uid: int = USER, cwd: str = "work/deep", **environ: str) -> list[str]:
    """With all the places inside of the test's own folder; only folders above it are the machine's."""
    (tmp_path / cwd).mkdir(parents=True, exist_ok=True)
    return places.find(
        explicit,
        {"HOME": str(tmp_path / "home"), **environ},
        str(tmp_path / cwd),
        uid,
        system=str(tmp_path / "etc"),
    )


def test_each_place_gives_way_to_the_one_before(tmp_path: Path) -> None:
    fragments = str(tmp_path / "etc/conf.d")
    _file(tmp_path / "etc/conf.d/a.yaml")
    assert _find(tmp_path) == [fragments]
    system = _file(tmp_path / "etc/pserv.toml")
    assert _find(tmp_path) == [system, fragments]
    home = _file(tmp_path / "home/.config/pserv/pserv.yml")
    assert _find(tmp_path) == [home]
    xdg = _file(tmp_path / "xdg/pserv/pserv.yaml")
    assert _find(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg")) == [xdg]
    above = _file(tmp_path / "work/pserv.toml")
    assert _find(tmp_path) == [above]
    here = _file(tmp_path / "work/deep/pserv.yml")
    assert _find(tmp_path) == [here]
    better = _file(tmp_path / "work/deep/pserv.yaml")
    assert _find(tmp_path) == [better]
    chosen = f"{tmp_path}/x.yaml{os.pathsep}y.yaml"
    assert _find(tmp_path, PSERV_CONFIG=chosen) == [f"{tmp_path}/x.yaml", f"{tmp_path}/work/deep/y.yaml"]
    assert _find(tmp_path, "../z", "/a/../b", PSERV_CONFIG=chosen) == [f"{tmp_path}/work/z", "/b"]


def test_nothing_found_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(PservError) as caught:
        _find(tmp_path)
    message = caught.value.message
    assert message.startswith("cannot find a configuration: ")
    assert f"{tmp_path}/work/deep" in message
    assert f"{tmp_path}/home/.config/pserv" in message
    assert f"{tmp_path}/etc" in message
    assert "-c FILE" in caught.value.hint


def test_root_refuses_what_others_can_write(tmp_path: Path) -> None:
    here = Path(_file(tmp_path / "work/deep/pserv.yaml"))
    assert _find(tmp_path, uid=0) == [str(here)]
    here.chmod(0o666)
    with pytest.raises(PservError, match="it can be written by everybody") as caught:
        _find(tmp_path, uid=0)
    assert caught.value.hint == f"if you trust it, name it: -c {here}"
    assert _find(tmp_path, str(here), uid=0) == [str(here)]
    assert _find(tmp_path, uid=USER) == [str(here)]
    here.chmod(0o644)
    here.parent.chmod(0o777)
    with pytest.raises(PservError, match="its folder can be written by everybody"):
        _find(tmp_path, uid=0)
    here.parent.chmod(0o1777)
    assert _find(tmp_path, uid=0) == [str(here)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_refuses_what_belongs_to_others(tmp_path: Path) -> None:
    here = Path(_file(tmp_path / "work/deep/pserv.yaml"))
    os.chown(here, 12345, -1)
    with pytest.raises(PservError, match="it belongs to user 12345"):
        _find(tmp_path, uid=0)
    os.chown(here, 0, -1)
    os.chown(here.parent, 12345, -1)
    with pytest.raises(PservError, match="its folder belongs to user 12345"):
        _find(tmp_path, uid=0)


def test_identity_is_readable_and_tells_files_apart(tmp_path: Path) -> None:
    first, second = _file(tmp_path / "my app/pserv.yaml"), _file(tmp_path / "my app/other.yaml")
    assert places.identity(first).startswith("my_app-")
    assert len(places.identity(first).rsplit("-", 1)[1]) == 6
    assert places.identity(first) != places.identity(second)
    assert places.is_name(places.identity(first))
    link = tmp_path / "link.yaml"
    link.symlink_to(first)
    assert places.identity(str(link)) == places.identity(first)
    assert places.identity(str(tmp_path / "my app")).startswith("my_app-")


def test_identity_has_a_bounded_length_and_a_safe_beginning(tmp_path: Path) -> None:
    long = places.identity(_file(tmp_path / ("n" * 200) / "pserv.yaml"))
    assert len(long) == 40
    assert places.identity(_file(tmp_path / "..-x" / "pserv.yaml")).startswith("x-")
    assert places.identity("/pserv.yaml").startswith("root-")


@pytest.mark.parametrize(
    ("environ", "uid", "run", "state"),
    [
        ({"HOME": "/h", "XDG_RUNTIME_DIR": "/x"}, 0, "/run/pserv", "/var/lib/pserv"),
        ({"HOME": "/h"}, USER, "/h/.local/state/pserv", "/h/.local/state/pserv"),
        ({"HOME": "/h", "XDG_RUNTIME_DIR": "/x"}, USER, "/x/pserv", "/h/.local/state/pserv"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, USER, "/s/pserv", "/s/pserv"),
    ],
)
def test_folders(environ: dict[str, str], uid: int, run: str, state: str) -> None:
    assert places.run_folder(environ, uid) == run
    assert places.state_folder(environ, uid) == state
    assert places.socket("web-abc", environ, uid) == f"{run}/web-abc/pserv.sock"
    assert places.socket("web-abc", {**environ, "PSERV_SOCKET": "/s.sock"}, uid) == "/s.sock"


def test_a_socket_path_that_no_system_takes_is_refused() -> None:
    fits = "/" + "x" * 106
    assert places.socket("a", {"PSERV_SOCKET": fits}, 0) == fits
    with pytest.raises(PservError, match="has 108 bytes, and the system allows 107") as caught:
        places.socket("a", {"PSERV_SOCKET": fits + "x"}, 0)
    assert caught.value.hint == "set PSERV_SOCKET to a shorter path"
    with pytest.raises(PservError) as caught:
        places.socket("a", {"XDG_RUNTIME_DIR": "/" + "ü" * 60}, USER)
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_services_of_the_system_work_in_the_root_folder() -> None:
    assert places.root_folder("/etc/pserv/pserv.yaml") == "/"
    assert places.root_folder("/etc/pserv/conf.d/a.yaml") == "/"
    assert places.root_folder("/etc/pserver/pserv.yaml") == "/etc/pserver"
    assert places.root_folder("/srv/app/pserv.yaml") == "/srv/app"
