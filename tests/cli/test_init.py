"""`pserv init`: writes one file, never over another, and says what it did."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from pserv.cli.main import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PSERV_CONFIG", raising=False)
    return tmp_path


def test_what_it_writes_passes_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "Procfile").write_text("web: python3 -m http.server $PORT\nrelease: true\n")
    assert main(["init"]) == 0
    printed = capsys.readouterr()
    assert "web" in printed.out
    assert "Procfile:1" in printed.out
    assert "pserv check" in printed.err
    assert main(["check"]) == 0
    assert sorted(os.listdir(here)) == ["Procfile", "pserv.yaml"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((here / "pserv.yaml").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["pserv.yaml", "pserv.yml", "pserv.toml"])
def test_a_configuration_that_is_there_stays(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).write_text("mine")
    assert main(["init"]) == 2
    told = capsys.readouterr().err
    assert f"there is a {name} already" in told
    assert "--force" in told
    assert (here / name).read_text() == "mine"
    assert os.listdir(here) == [name]


def test_another_name_and_by_force(here: Path) -> None:
    (here / "pserv.yaml").write_text("mine")
    assert main(["init", "-c", "other.yaml"]) == 0
    assert main(["init", "-c", "other.yaml"]) == 2
    assert (here / "pserv.yaml").read_text() == "mine"
    assert main(["init", "--force"]) == 0
    assert (here / "pserv.yaml").read_text() == (here / "other.yaml").read_text()
    assert sorted(os.listdir(here)) == ["other.yaml", "pserv.yaml"]


def test_a_link_to_nowhere_is_not_written_through(here: Path) -> None:
    (here / "pserv.yaml").symlink_to(here / "elsewhere")
    assert main(["init"]) == 2
    assert os.listdir(here) == ["pserv.yaml"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-c", "x.toml"], "a starter is YAML"),
        (["-c", "none/x.yaml"], "there is no folder"),
        (["-c", "a.yaml", "-c", "b.yaml"], "several files are named"),
        (["folder"], "it takes no 'folder'"),
    ],
)
def test_what_makes_no_sense_is_told(
    here: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *words]) == 2
    assert told in capsys.readouterr().err
    assert os.listdir(here) == []


def test_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "compose.yaml").write_text("services: {web: {build: ., command: run, cap_add: [X]}, db: {image: mine}}")
    assert main(["init", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(here / "pserv.yaml")
    assert [(each["name"], each["from"], each["declared"]) for each in document["services"]] == [
        ("web", "compose.yaml:1", True), ("db", "compose.yaml:1", False),
    ]  # fmt: skip
