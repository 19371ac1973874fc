"""Every wrong configuration of the corpus gives exactly the message beside it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig

CORPUS = Path(__file__).parent / "mistakes"
FILES = sorted([*CORPUS.glob("*.yaml"), *CORPUS.glob("*.toml")])
FOLDERS = sorted(path for path in (CORPUS / "files").iterdir() if path.is_dir())
"""Configurations of several files, or with variables: `ask.json` says what is asked, else pserv.yaml is."""

EMPTY_WORDS = re.compile(
    r"(?<![-\w'])(invalid|illegal|bad|wrong|incorrect|malformed|unexpected|failed|error)(?![-\w'])"
)
"""Words that say that something is not as it should be, and not what."""


def told(folder: Path, files: list[str], **asked: Any) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        load(files, environ=asked.get("environ", {}), cwd=str(folder), uid=0, profiles=asked.get("profiles"))
    return caught.value


def compare(text: str, expected: Path) -> None:
    if os.environ.get("PSERV_WRITE_EXPECTED"):
        expected.write_text(f"{text}\n")
    assert text == expected.read_text().rstrip("\n")


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_message(file: Path) -> None:
    error = told(CORPUS, [file.name])
    compare(error.message.replace(f"{CORPUS}/", ""), file.with_suffix(".txt"))


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_message_on_several_files(folder: Path) -> None:
    ask = folder / "ask.json"
    error = told(folder, **{"files": ["pserv.yaml"], **(json.loads(ask.read_text()) if ask.exists() else {})})
    compare(error.message.replace(f"{folder}/", ""), folder / "expected.txt")


def test_each_mistake_says_where_what_and_what_to_write() -> None:
    """A position, but of what is no file or an empty one; and after the words a hint."""
    for expected in (*CORPUS.glob("*.txt"), *CORPUS.glob("files/*/expected.txt")):
        head, *lines = expected.read_text().splitlines()
        mistakes = [line for line in lines if not line.startswith("    hint: ")]
        assert head == f"cannot load the configuration: {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}"
        assert len(lines) == 2 * len(mistakes), f"{expected}: a mistake has no hint"
        for line in mistakes:
            assert re.match(r"\S+:\d+:\d+: |\S+: (the file is empty|cannot read|no \*)", line), line
            assert not EMPTY_WORDS.search(line.partition(": ")[2]), line


def test_corpus_is_large_and_complete() -> None:
    assert len(FILES) + len(FOLDERS) >= 250
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.txt")}
    assert {path.parent for path in CORPUS.glob("files/*/expected.txt")} == set(FOLDERS)
