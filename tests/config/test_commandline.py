"""Words of a command: as sh splits them, and never what only sh could do."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.config import commandline

PATIENT = settings(deadline=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prog a 'b c'", ("prog", "a", "b c")),
        ('prog "a \\" b" c\\ d', ("prog", 'a " b', "c d")),
        ("prog '' \"\"", ("prog", "", "")),
        ("a'b'\"c\"d", ("abcd",)),
        ("prog '|' \"&&\" \\; '$(x)'", ("prog", "|", "&&", ";", "$(x)")),
        ("prog $HOME ${X} *.txt ~ # x", ("prog", "$HOME", "${X}", "*.txt", "~", "#", "x")),
        ("  a\t b\n c \\\n d", ("a", "b", "c", "d")),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert commandline.split(text) == words


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a || b", "||"),
        ("a && b", "&&"),
        ("a|b", "|"),
        ("a > b", ">"),
        ("a 2>&1", ">"),
        ("a < b", "<"),
        ("a;b", ";"),
        ("a &", "&"),
        ("curl http://x/?a=1&b=2", "&"),
        ("echo $(date)", "$("),
        ('echo "$(date)"', "$("),
        ("echo `date`", "`"),
    ],
)
def test_what_needs_a_shell(text: str, what: str) -> None:
    with pytest.raises(commandline.NeedsShell) as caught:
        commandline.split(text)
    assert caught.value.what == what
    assert text[caught.value.index :].startswith(what)


@pytest.mark.parametrize("text", ["'a", '"a', "a\\"])
def test_what_is_not_closed(text: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|ends with a backslash"):
        commandline.split(text)


@PATIENT
@given(st.text("ab '\"\\\t", max_size=20))
def test_splits_as_the_standard_library_does(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError):
            commandline.split(text)
    else:
        assert list(commandline.split(text)) == expected


@PATIENT
@given(st.lists(st.text(max_size=8), max_size=5))
def test_joined_words_are_split_into_themselves(words: list[str]) -> None:
    assert commandline.split(commandline.join(tuple(words))) == tuple(words)
