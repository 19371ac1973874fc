"""What files were parsed to is the same as before, read anew or remembered, and nothing makes it another file's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.config.loader import read
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.remembered import Remembered
from pserv.config.yaml_nodes import read_yaml
from pserv.model.spec import Document, SourceFile

TEXTS = st.text(max_size=20)
SOURCE = SourceFile("/a.yaml", 1, "1")


def scalars() -> st.SearchStrategy[Node]:
    numbers = st.integers(1, 1 << 31)
    return st.builds(Scalar, st.just("/a.yaml"), numbers, numbers, TEXTS, st.booleans())


def collections(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    how = st.sampled_from(["", "replace", "append"])
    where = (st.just("/a.yaml"), st.integers(1, 9), st.integers(1, 9), how, st.booleans())
    pairs = st.dictionaries(TEXTS, st.tuples(scalars(), inner), max_size=4)
    return st.builds(Mapping, *where, pairs) | st.builds(Sequence, *where, st.lists(inner, max_size=4))


def plain(node: Node) -> object:
    """All that a node is, to be compared."""
    if isinstance(node, Mapping):
        inner: object = [(text, plain(key), plain(value)) for text, (key, value) in node.pairs.items()]
    else:
        inner = [plain(item) for item in node.items] if isinstance(node, Sequence) else None
    fields = {name: getattr(node, name) for name in node.__struct_fields__ if name not in ("pairs", "items")}
    return type(node), fields, inner


def assert_remembered(path: str, root: Node) -> None:
    """What the next load finds is what this one has learnt."""
    first = Remembered(path)
    first.learn("/a.yaml", SOURCE, root)
    first.keep()
    found = Remembered(path).root("/a.yaml", SOURCE)
    assert found is not None
    assert plain(found) == plain(root)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("remembered") / "parsed")


@given(st.recursive(scalars(), collections, max_leaves=20))
@settings(max_examples=50)
def test_a_root_is_remembered_as_it_was(path: str, root: Node) -> None:
    assert_remembered(path, root)


def test_aliases_are_values_of_their_own(path: str) -> None:
    root = read_yaml("a: &x {b: [1, $C]}\nd: *x\ne: {<<: *x, f: ~}\n", "/a.yaml", [])
    assert root is not None
    assert_remembered(path, root)


MAIN = "include: apps\ndefaults: {restart: always}\nservices: {main: {command: sleep 1}}\n"


class Files:
    """A configuration of several files, loaded with and without a memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "apps").mkdir()
        (folder / "state").mkdir()
        self.parsed = folder / "state" / "parsed"
        (folder / "pserv.yaml").write_text(MAIN)
        for name in "abc":
            self.write(name, f"echo {name}")

    def write(self, name: str, command: str) -> None:
        (self.folder / "apps" / f"{name}.yaml").write_text(f"services: {{{name}: {{command: {command}}}}}\n")

    def load(self) -> Document:
        """The document, which is the same without a memory."""
        given, alone = (self._read(each) for each in (Remembered(str(self.parsed)), None))
        assert given == alone
        return given

    def _read(self, remembered: Remembered | None) -> Document:
        environ = {"HOME": str(self.folder)}
        document, _ = read(
            [str(self.folder / "pserv.yaml")], environ=environ, cwd=str(self.folder), uid=0, remembered=remembered
        )
        if remembered is not None:
            remembered.keep()
        return document


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    files.load()
    yield files
    left = [name for name in os.listdir(tmp_path / "state") if name != "parsed"]
    assert not left, "what was begun is still there"


def test_what_changed_is_read(files: Files) -> None:
    files.write("b", "echo B")
    files.write("d", "echo d")
    (files.folder / "apps" / "a.yaml").unlink()
    assert {name: spec.argv[-1] for name, spec in files.load().services.items() if name != "main"} == {
        "b": "B",
        "c": "c",
        "d": "d",
    }
    assert b"echo" in files.parsed.read_bytes()
    assert b"a.yaml" not in files.parsed.read_bytes()


def test_as_many_bytes_in_the_same_moment_are_another_content(files: Files) -> None:
    changed = files.folder / "apps" / "b.yaml"
    before = changed.stat()
    files.write("b", "echo B")
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.load().services["b"].argv == ("echo", "B")


def test_a_file_that_takes_the_place_of_another_is_not_taken_for_it(files: Files) -> None:
    apps = files.folder / "apps"
    os.rename(apps / "a.yaml", apps / "x.yaml")
    os.rename(apps / "b.yaml", apps / "a.yaml")
    os.rename(apps / "x.yaml", apps / "b.yaml")
    assert [name for name in files.load().services if name != "main"] == ["b", "a", "c"]


def test_only_what_did_not_change_is_taken_from_the_memory(files: Files) -> None:
    """Roots that nobody parsed show where they come from."""
    kept = msgspec.msgpack.decode(files.parsed.read_bytes())
    lied = files.parsed.read_bytes().replace(b"echo c", b"echo C")
    files.parsed.write_bytes(lied)
    files.write("b", "echo B")
    found = files._read(Remembered(str(files.parsed)))
    assert [found.services[name].argv[-1] for name in "abc"] == ["a", "B", "C"]
    assert len(kept[1]) == 4


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "other", "version", "folder"])
def test_what_is_damaged_is_read_anew(files: Files, damage: str) -> None:
    data = files.parsed.read_bytes()
    if damage == "folder":
        files.parsed.unlink()
        files.parsed.mkdir()
    else:
        kept = msgspec.msgpack.decode(data)
        for each in kept[1].values():
            each[2] = ["text", 1]
        damaged = {
            "empty": b"",
            "half": data[: len(data) // 2],
            "noise": bytes(reversed(data)),
            "other": msgspec.msgpack.encode(kept),
            "version": msgspec.msgpack.encode(["0.0.0", kept[1]]),
        }
        files.parsed.write_bytes(damaged[damage])
    files.load()
    files.load()


def test_what_has_mistakes_is_told_each_time(files: Files) -> None:
    (files.folder / "apps" / "b.yaml").write_text("services: {b: {command: x}, b: {command: y}}\n")
    for _ in range(2):
        with pytest.raises(Exception, match="the key 'b' is already set"):
            files._read(Remembered(str(files.parsed)))


def test_only_its_owner_reads_it(files: Files) -> None:
    assert files.parsed.stat().st_mode & 0o777 == 0o600
