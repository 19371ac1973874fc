"""Mistakes between options and services that depend on the machine, and the notes on what is accepted."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from pserv.config import check_logs
from pserv.config.loader import load
from pserv.model.log import Logging, Rotate
from pserv.model.mistakes import InvalidConfig
from pserv.model.spec import Document


def _load(folder: Path, text: str, uid: int = 0) -> Document:
    (folder / "pserv.yaml").write_text(text)
    return load(["pserv.yaml"], environ={}, cwd=str(folder), uid=uid)


def _mistakes(folder: Path, text: str, uid: int = 0) -> list[tuple[str, str]]:
    with pytest.raises(InvalidConfig) as caught:
        _load(folder, text, uid)
    return [(each.message, each.hint) for each in caught.value.mistakes]


def test_unknown_user_and_group(tmp_path: Path) -> None:
    text = "services: {web: {command: a, user: rooot, group: zzqqxx, supplementary_groups: [root, zzqqxx]}}\n"
    assert _mistakes(tmp_path, text) == [
        ("services.web.user: there is no user 'rooot' on this machine", "did you mean 'root'?"),
        (
            "services.web.group: there is no group 'zzqqxx' on this machine",
            "create it (groupadd zzqqxx), or name another",
        ),
        (
            "services.web.supplementary_groups: there is no group 'zzqqxx' on this machine",
            "create it (groupadd zzqqxx), or name another",
        ),
    ]


def test_another_user_needs_root(tmp_path: Path) -> None:
    text = "services: {web: {command: a, user: root}}\n"
    assert _mistakes(tmp_path, text, uid=1000) == [
        (
            "services.web.user: 'root' is another user, and this daemon does not run as root",
            "remove it, or run the daemon as root",
        )
    ]
    assert _load(tmp_path, text, uid=0).services["web"].user == "root"
    assert _load(tmp_path, text.replace("root", "1000"), uid=1000).services["web"].user == "1000"


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ("command: ./missing a", "services.web.command: there is no {folder}/missing now"),
        ("exec: ./folder", "services.web.exec: {folder}/folder is a folder"),
        ("exec: ./plain", "services.web.exec: {folder}/plain is not executable: chmod +x {folder}/plain"),
        ("command: a, cwd: ./missing", "services.web.cwd: {folder}/missing does not exist now"),
        ("command: a, cwd: ./plain", "services.web.cwd: {folder}/plain is no folder"),
        (
            "command: ./run now, cwd: folder",
            "services.web.command: there is no {folder}/run now; paths are relative to this file: {folder}/folder/run?",
        ),
        (
            "command: a, type: oneshot, restart: always",
            "services.web.restart: always runs this oneshot again each time it is done",
        ),
        ("command: a, restart: no, max_retries: 3", "services.web.max_retries: has no effect: restart is never"),
        ("command: a, success_exit_codes: [0]", "services.web.success_exit_codes: 0 is always a success"),
        (
            "command: a, health: tcp:80, restart: never",
            "services.web.health: marks it unhealthy and does not end it: restart is never",
        ),
        (
            "command: a, log: {timestamps: true, format: json}",
            "services.web.log.timestamps: has no effect on a json file: each line has its ts",
        ),
        ("command: a, log: {parse: json}", "services.web.log.parse: has no effect on a plain file: format is not json"),
    ],
)
def test_notes(tmp_path: Path, options: str, note: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/run").touch(0o755)
    (tmp_path / "plain").touch(0o644)
    document = _load(tmp_path, f"services: {{web: {{{options} }}}}\n")
    assert document.notes == (note.format(folder=tmp_path),)


def test_no_notes_for_what_is_well(tmp_path: Path) -> None:
    (tmp_path / "run").touch(0o755)
    document = _load(tmp_path, "services: {a: {exec: ./run, cwd: .}, b: {command: sleep 1}, c: {shell: ./x y}}\n")
    assert document.notes == ()
    assert _load(tmp_path, "services:\n").notes == ("no service is declared",)


def test_a_program_may_have_a_blank_in_its_path(tmp_path: Path) -> None:
    (tmp_path / "my run").touch(0o755)
    document = _load(tmp_path, "services: {web: {exec: ./my run}}\n")
    assert document.services["web"].argv == (f"{tmp_path}/my run",)


def test_devices_and_fifos_may_have_several_writers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    text = "services: {a: {command: a, stdout: ./fifo}, b: {command: b, stdout: ./fifo, stderr: ./fifo}}\n"
    assert _load(tmp_path, text).services.keys() == {"a", "b"}


def test_one_file_by_two_names_has_two_writers(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    text = "services: {a: {command: a, stdout: x.log}, b: {command: b, stdout: link/x.log}}\n"
    ((message, _),) = _mistakes(tmp_path, text)
    assert message == f"services.b.stdout: {tmp_path}/link/x.log is also written by services.a.stdout"


def test_a_wrong_default_is_told_once(tmp_path: Path) -> None:
    text = "defaults: {umask: 9}\nservices: {a: {command: a}, b: {command: b}}\n"
    assert len(_mistakes(tmp_path, text)) == 1


@pytest.mark.parametrize(
    ("need", "other", "note"),
    [
        ("lsot: {required: false}", "", "there is no service 'lsot', so it is not waited for; did you mean 'last'?"),
        ("zz: {required: false}", "", "there is no service 'zz', so it is not waited for"),
        (
            "last: completed",
            ", restart: always",
            "last is started again when it ends (restart: always); it has completed at its first success",
        ),
        (
            "last: completed",
            ", type: notify",
            "last has completed when it ends with success; write last: ready if it is to run on",
        ),
        ("last: completed", "", None),
        ("last: completed", ", type: oneshot, restart: always", None),
    ],
)
def test_conditions_that_are_not_what_they_seem(tmp_path: Path, need: str, other: str, note: str | None) -> None:
    text = f"services: {{web: {{command: a, depends_on: {{{need}}}}}, last: {{command: b{other}}}}}"
    told = [each for each in _load(tmp_path, text).notes if ".depends_on: " in each]
    assert told == ([] if note is None else [f"services.web.depends_on: {note}"])


def test_what_is_not_required_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "pserv.yaml").write_text(
        "services: {bad: {command: a | b}, soft: {command: c, depends_on: {bad: {required: false}}}, "
        "hard: {command: d, depends_on: [bad]}}"
    )
    document = load(["pserv.yaml"], environ={}, cwd=str(tmp_path), uid=0, skip_invalid=True)
    assert list(document.services) == ["soft"]


def test_a_compression_that_is_not_installed_is_a_mistake(tmp_path: Path) -> None:
    log = Logging(rotate=Rotate(compress="zstd"))
    if not any(importlib.util.find_spec(name) for name in ("zstandard", "compression")):
        told = check_logs.missing(log, search=[str(tmp_path)])
        assert told is not None
        assert told[0] == "there is no zstd on this machine"
        assert "apt install zstd" in told[1]
    assert check_logs.missing(Logging(rotate=Rotate(compress="gzip")), search=[]) is None
    assert check_logs.missing(Logging(), search=[]) is None
