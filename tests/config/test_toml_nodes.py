"""TOML to nodes: the values of tomllib, at the lines where they stand, numbers with their text."""

from __future__ import annotations

import time
import tomllib

import pytest

from pserv.config.nodes import Mapping, Node, Scalar, Sequence, Unreadable
from pserv.config.toml_nodes import read_toml

TEXT = '''# a comment
name = "x" # with [brackets] = and "quotes"

[services.web]
command = "a b"
umask = 0o022
"nice" = -5
env = { A = "1", B = 1.10, C = true, 'D E' = 2024-01-01 }
args = [
  "one", # first
  """two
lines""",
  [ 3, 4 ],
]
stop.signal = "QUIT"
stop.timeout = 1_000

[services.db]
shell = \'\'\'
it's [not] a "table"
\'\'\'

[[list]]
name = "a"
[list.env]
X = 'y'

[[list]]
name = "b"
'''


def _root(text: str = TEXT) -> Mapping:
    root = read_toml(text, "f.toml", [])
    assert isinstance(root, Mapping)
    return root


def _at(*path: str | int, text: str = TEXT) -> Node:
    node: Node = _root(text)
    for part in path:
        if isinstance(part, int):
            assert isinstance(node, Sequence)
            node = node.items[part]
        else:
            assert isinstance(node, Mapping)
            node = node.pairs[part][1]
    return node


@pytest.mark.parametrize(
    ("path", "line", "column", "text"),
    [
        (("name",), 2, 8, "x"),
        (("services", "web", "command"), 5, 11, "a b"),
        (("services", "web", "umask"), 6, 9, "0o022"),
        (("services", "web", "nice"), 7, 10, "-5"),
        (("services", "web", "env", "A"), 8, 13, "1"),
        (("services", "web", "env", "B"), 8, 22, "1.10"),
        (("services", "web", "env", "C"), 8, 32, "true"),
        (("services", "web", "env", "D E"), 8, 46, "2024-01-01"),
        (("services", "web", "args", 0), 10, 3, "one"),
        (("services", "web", "args", 1), 11, 3, "two\nlines"),
        (("services", "web", "args", 2, 1), 13, 8, "4"),
        (("services", "web", "stop", "signal"), 15, 15, "QUIT"),
        (("services", "web", "stop", "timeout"), 16, 16, "1_000"),
        (("services", "db", "shell"), 19, 9, 'it\'s [not] a "table"\n'),
        (("list", 0, "name"), 24, 8, "a"),
        (("list", 0, "env", "X"), 26, 5, "y"),
        (("list", 1, "name"), 29, 8, "b"),
    ],
)
def test_values_and_positions(path: tuple[str | int, ...], line: int, column: int, text: str) -> None:
    node = _at(*path)
    assert isinstance(node, Scalar)
    assert (node.line, node.column, node.text) == (line, column, text)


def test_tables_stand_where_their_header_is() -> None:
    assert _at("services", "db").line == 18
    assert _at("list", 1).line == 28


def test_crlf_changes_nothing() -> None:
    node = _at("list", 1, "name", text=TEXT.replace("\n", "\r\n"))
    assert (node.line, node.column) == (29, 8)


def _plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return {text: _plain(value) for text, _, value in node}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.text


def test_strings_are_what_tomllib_says() -> None:
    text = 'a = "\\u00e9\\n\\""\nb = \'\\n\'\n[c."d.e"]\nf = """\n  x \\\n  y"""\n'
    assert _plain(_root(text)) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "x = " + "{a=" * 100_000, ".".join(["a"] * 100_000) + " = 1", "a = 1\n" + "#" * 2_000_000],
    ids=["arrays", "tables", "dots", "large"],
)
def test_hostile_files_are_refused_quickly(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(Unreadable):
        read_toml(text, "f.toml", [])
    assert time.process_time() - begun < 1
