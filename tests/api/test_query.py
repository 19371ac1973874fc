from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.api import query

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.dictionaries(TEXT.filter(bool), st.lists(TEXT, min_size=1, max_size=3), max_size=4)


@given(VALUES)
def test_there_and_back(values: dict[str, list[str]]) -> None:
    text = query.encode(values)
    assert query.decode(text.encode("ascii")) == values
    assert parse_qsl(text, keep_blank_values=True) == [(name, item) for name in values for item in values[name]]


@given(VALUES)
def test_reads_what_others_write(values: dict[str, list[str]]) -> None:
    assert query.decode(urlencode(values, doseq=True).encode()) == values


def test_plain_values() -> None:
    assert query.encode({"follow": True, "wait": False, "lines": 10, "stream": None, "names": ()}) == (
        "follow=true&wait=false&lines=10"
    )


@pytest.mark.parametrize("data", [b"a=%", b"a=%4", b"a=%zz", b"a=% 4", b"a=%+4", b"%ff=1", b"a=%e9"])
def test_bad_escapes(data: bytes) -> None:
    with pytest.raises(ValueError):
        query.decode(data)
