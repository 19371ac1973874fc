"""YAML to nodes: the text of scalars, merge keys, aliases and the bounds that keep a hostile file cheap."""

from __future__ import annotations

import time

import pytest

from pserv.config.decode import plain
from pserv.config.nodes import MAX_DEPTH, MAX_NODES, Mapping, Scalar, Unreadable
from pserv.config.yaml_nodes import read_yaml
from pserv.model.mistakes import Mistake


def _read(text: str) -> tuple[Mapping, list[Mistake]]:
    mistakes: list[Mistake] = []
    root = read_yaml(text, "f.yaml", mistakes)
    assert isinstance(root, Mapping)
    return root, mistakes


def _data(text: str) -> object:
    root, mistakes = _read(text)
    assert mistakes == []
    return plain(root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("08", 8),
        ("1e3", 1000.0),
        ("22:22", "22:22"),
        ("1.10", 1.1),
        ("0o22", "0o22"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ('"1"', "1"),
        ("=", "="),
        (".inf", ".inf"),
        ("!!str 5", "5"),
        ("!!int 5", 5),
    ],
)
def test_scalars_without_an_option_follow_yaml_1_2(text: str, value: object) -> None:
    assert _data(f"a: {text}") == {"a": value}


def test_scalars_keep_their_text_and_position() -> None:
    root, _ = _read("a: 1\nlist:\n  - 1.10\n  -   'x'\n")
    key, value = root.pairs["list"]
    assert (key.line, key.column) == (2, 1)
    items = value.items  # type: ignore[attr-defined]
    assert [(item.text, item.quoted, item.line, item.column) for item in items] == [
        ("1.10", False, 3, 5),
        ("x", True, 4, 7),
    ]


def test_merge_keys_give_way_to_keys_and_to_earlier_mappings() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none: {b: 3, <<: *x}\ntwo: {<<: [*x, *y]}\n"
    data = _data(text)
    assert isinstance(data, dict)
    assert data["one"] == {"a": 1, "b": 3}
    assert data["two"] == {"a": 1, "b": 1, "c": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert _data('{"<<": 1}') == {"<<": 1}


def test_an_anchor_may_be_set_again() -> None:
    assert _data("a: &x 1\nb: *x\nc: &x 2\nd: *x\n") == {"a": 1, "b": 1, "c": 2, "d": 2}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends(newline: str) -> None:
    assert _data(f"a: 1{newline}b: |{newline}  x{newline}  y{newline}") == {"a": 1, "b": "x\ny\n"}


def _refused(text: str) -> Mistake:
    begun = time.process_time()
    with pytest.raises(Unreadable) as caught:
        read_yaml(text, "f.yaml", [])
    assert time.process_time() - begun < 1
    return caught.value.mistake


def test_alias_bombs_are_refused_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert "when aliases are expanded" in _refused("\n".join(lines)).message


def test_merge_bombs_are_refused() -> None:
    keys = ", ".join(f"k{i}: 1" for i in range(5000))
    assert "when aliases are expanded" in _refused(f"a: &a {{{keys}}}\nb: {{<<: [{', '.join(['*a'] * 5000)}]}}").message


def test_deep_chains_of_aliases_are_refused() -> None:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH + 5))]
    assert f"{MAX_DEPTH} levels when aliases are expanded" in _refused("\n".join(lines)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    assert _refused(opening * 200_000).message == f"nested more than {MAX_DEPTH} deep"


def test_more_values_than_anybody_writes_are_refused() -> None:
    mistake = _refused("- - 1\n" * (MAX_NODES // 2 + 1))
    assert mistake.message == f"more than {MAX_NODES} values in one file"


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!x", "!!binary", "!<tag:example.org,1:y>"]
)
def test_tags_that_could_build_objects_are_mistakes(tag: str) -> None:
    root, mistakes = _read(f"a: {tag} [x]\n")
    assert len(mistakes) == 1
    assert "has no meaning here" in mistakes[0].message
    assert plain(root) == {"a": ["x"]}


def test_duplicate_keys_are_all_told_with_both_lines() -> None:
    root, mistakes = _read("a: 1\nb: 2\na: 3\nb: {c: 1, c: 2}\n")
    assert [(each.line, each.message) for each in mistakes] == [
        (3, "the key 'a' is already set in line 1"),
        (4, "the key 'c' is already set in line 4"),
        (4, "the key 'b' is already set in line 2"),
    ]
    assert isinstance(root.pairs["a"][1], Scalar)
