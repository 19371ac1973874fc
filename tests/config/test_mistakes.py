"""Every wrong configuration of the corpus gives exactly the message beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig

CORPUS = Path(__file__).parent / "mistakes"
FILES = sorted([*CORPUS.glob("*.yaml"), *CORPUS.glob("*.toml")])


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_message(file: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load([str(file)], environ={}, cwd="/", uid=0)
    told = caught.value.message.replace(f"{CORPUS}/", "")
    expected = file.with_suffix(".txt")
    if os.environ.get("PSERV_WRITE_EXPECTED"):
        expected.write_text(f"{told}\n")
    assert told == expected.read_text().rstrip("\n")


def test_corpus_is_large_and_complete() -> None:
    assert len(FILES) >= 60
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.txt")}
