from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.keeper import quickjson

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_there_and_back_as_json_does(value: object) -> None:
    assert quickjson.loads(json.dumps(value)) == value
    assert quickjson.loads(json.dumps(value, ensure_ascii=False, indent=1)) == value
    assert json.loads(quickjson.dumps(value)) == value


@given(st.text(alphabet='{}[]",:\\u0123456789.eE-+ truefalsn\n', max_size=20))
def test_text_that_is_no_json_is_refused_as_json_does(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            quickjson.loads(text)
    else:
        assert quickjson.loads(text) == expected


@pytest.mark.parametrize("text", ["", "{", "[1,]", "1 2", "nope", '"\\x"', '"\\ud8', '"\n"'])
def test_error_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        quickjson.loads(text)


def test_what_json_cannot_say() -> None:
    with pytest.raises(ValueError):
        quickjson.dumps([float("nan")])
    with pytest.raises(TypeError):
        quickjson.dumps({"a": object()})
