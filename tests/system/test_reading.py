"""What was printed, through rotated and compressed files: all, the last lines, since when, until when, of which run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.model.moments import show_instant
from tests.system.archives import START, ask, hint, json_line, plain_line, rotate, stamped_line, texts

Write = Callable[[str, float], bytes]
FORMATS: dict[str, Write] = {"json": json_line, "stamped": stamped_line, "plain": plain_line}
PACKINGS = ("", ".gz", ".zst")


def history(path: Path, write: Write, count: int = 300, each: int = 60, gap: float = 1.0) -> None:
    """So many lines, `gap` seconds apart, `each` in a file; plain files have hints, one for ten lines."""
    sequence, offset, data = 1, 0, b""
    for number in range(count):
        at = START + number * gap
        if number and number % each == 0:
            path.write_bytes(data)
            rotate(path, sequence, at - each * gap, at - gap, PACKINGS[sequence % 3])
            sequence, offset, data = sequence + 1, 0, b""
        if number % 10 == 0:
            hint(path, (sequence, offset, at, 1 + number // 100))
        line = write(f"line {number}", at)
        data += line
        offset += len(line)
    path.write_bytes(data)
    os.utime(path, (START + count * gap, START + count * gap))


def numbers(items: list[dict[str, object]]) -> list[int]:
    return [int(str(item["text"]).split()[1]) for item in items if item["type"] == "line"]


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
class TestEveryFormat:
    def test_all_of_it_in_order_and_in_reverse(self, write: Write, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        history(path, write)
        assert numbers(ask(path)) == list(range(300))
        assert numbers(ask(path, reverse=True)) == list(range(299, -1, -1))
        assert numbers(ask(path, reverse=True, lines=130)) == list(range(299, 169, -1))

    @pytest.mark.parametrize("lines", [0, 1, 59, 60, 61, 130, 299, 300, 1000])
    def test_the_last_lines(self, write: Write, tmp_path: Path, lines: int) -> None:
        path = tmp_path / "web.log"
        history(path, write)
        assert numbers(ask(path, lines=lines)) == list(range(300))[300 - min(lines, 300) :]

    @pytest.mark.parametrize("since", [-10, 0, 0.5, 59, 60, 61, 119.5, 150, 299, 300, 1000])
    def test_since(self, write: Write, tmp_path: Path, since: float) -> None:
        path = tmp_path / "web.log"
        history(path, write)
        found = numbers(ask(path, since=START + since))
        wanted = [number for number in range(300) if number >= since]
        if write is plain_line:  # hints are ten seconds apart
            assert abs(len(found) - len(wanted)) <= 1
            assert found == list(range(300))[300 - len(found) :]
        else:
            assert found == wanted
        assert numbers(ask(path, since=START + since, reverse=True)) == found[::-1]

    def test_since_and_until_and_the_last_of_them(self, write: Write, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        history(path, write)
        found = numbers(ask(path, since=START + 100, until=START + 200))
        assert found in (list(range(100, 200)), list(range(100, 201)))
        assert numbers(ask(path, since=START + 100, until=START + 200, lines=5)) == found[-5:]

    def test_of_one_run(self, write: Write, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        history(path, write if write is not json_line else lambda text, at: json_line(text, at, run=run_of(at)))
        assert numbers(ask(path, run=2)) == list(range(100, 200))
        assert numbers(ask(path, run=3)) == list(range(200, 300))
        if write is not json_line:
            assert numbers(ask(path, run=0)) == list(range(200, 300))


def run_of(at: float) -> int:
    return 1 + int(at - START) // 100


def test_a_plain_log_without_hints_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\ntwo\n")
    found = ask(path, since=time.time() - 60)
    assert texts(found) == ["web: cannot tell when its lines were written", "one", "two"][1:]
    (note,) = [item for item in found if item["type"] == "note"]
    assert "cannot tell when its lines were written" in note["text"]
    assert "log: {timestamps: true}" in note["hint"]
    assert texts(ask(path, since=time.time() + 60)) == []


def test_garbage_in_the_hints_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    history(path, plain_line)
    with open(tmp_path / ".web.log.index", "ab") as file:
        file.write(b"\0\xff garbage\n5 99999999999 1795410000.0 1\n5 1e3 x 1\n")
    assert numbers(ask(path)) == list(range(300))
    assert numbers(ask(path, since=START + 100))[-1] == 299


def test_several_logs_are_merged_by_time(tmp_path: Path) -> None:
    web, db = tmp_path / "web.log", tmp_path / "db.log"
    web.write_bytes(b"".join(json_line(f"{n}", START + n) for n in range(0, 100, 2)))
    db.write_bytes(b"".join(stamped_line(f"{n}", START + n) for n in range(1, 100, 2)))
    found = ask(web, db)
    assert texts(found) == [str(n) for n in range(100)]
    assert [item["service"] for item in found[:3]] == ["web", "db", "web"]
    assert texts(ask(web, db, reverse=True)) == [str(n) for n in range(99, -1, -1)]
    assert texts(ask(web, db, lines=2)) == ["96", "97", "98", "99"]
    assert texts(ask(web, db, lines=2, reverse=True)) == ["99", "98", "97", "96"]


def test_lines_of_the_loggers_json_tell_all_they_say(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(
        json_line("grün", START, stream="stderr", level="warn", fields={"a": 1}) + b'{"ts":"nothing of ours"}\n'
    )
    first, second = ask(path)
    assert first == {
        "type": "line", "service": "web", "text": "grün", "stream": "stderr",
        "ts": show_instant(START), "run": 1, "pid": 7, "level": "warn", "fields": {"a": 1},
    }  # fmt: skip
    assert second == {"type": "line", "service": "web", "text": '{"ts":"nothing of ours"}', "stream": "stdout"}


def test_times_before_lines_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(stamped_line("one", START) + b"2026-11-23T05:00:00.000000Z+two\n2026-11-23 three\n")
    assert [(item["text"], item.get("ts")) for item in ask(path)] == [
        ("one", show_instant(START)),
        ("two", show_instant(START)),
        ("2026-11-23 three", None),
    ]


class TestChoosing:
    def log(self, tmp_path: Path) -> Path:
        path = tmp_path / "web.log"
        levels = ["debug", "INFO", "warn", 50, "fatal", None]
        streams = ["stdout", "stderr"]
        lines = [
            json_line(f"line {n}", START + n, stream=streams[n % 2], level=level, run=n // 3)
            for n, level in enumerate(levels)
        ]
        path.write_bytes(b"".join(lines))
        return path

    def test_by_level(self, tmp_path: Path) -> None:
        path = self.log(tmp_path)
        assert numbers(ask(path, level="info")) == [1, 2, 3, 4]
        assert numbers(ask(path, level="warning")) == [2, 3, 4]
        assert numbers(ask(path, level="critical")) == [4]

    def test_by_stream_and_run(self, tmp_path: Path) -> None:
        path = self.log(tmp_path)
        assert numbers(ask(path, stream="stderr")) == [1, 3, 5]
        assert numbers(ask(path, run=1)) == [3, 4, 5]

    def test_by_expression(self, tmp_path: Path) -> None:
        path = self.log(tmp_path)
        assert numbers(ask(path, grep="[24]$")) == [2, 4]
        assert numbers(ask(path, grep="[24]$", invert=True)) == [0, 1, 3, 5]
        assert numbers(ask(path, grep="line", lines=2)) == [4, 5]
        assert numbers(ask(path, grep="[0-3]", lines=2, reverse=True)) == [3, 2]

    @pytest.mark.parametrize("grep", ["(", "a{99999999999}", "x" * 1001, "(?P<a>.)(?P<a>.)"])
    def test_what_is_no_expression_is_told(self, tmp_path: Path, grep: str) -> None:
        (error,) = ask(self.log(tmp_path), grep=grep)
        assert error["type"] == "error"
        assert (error["kind"], error["exit_code"]) == ("usage", 2)
        assert "it is no regular expression" in error["message"]

    def test_the_last_matches_are_found_far_back(self, tmp_path: Path) -> None:
        path = tmp_path / "web.log"
        history(path, plain_line)
        assert numbers(ask(path, grep="line 2$|line 7$", lines=1)) == [7]


def test_a_damaged_file_is_told_and_the_others_are_given(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\n")
    rotate(path, 1, START, START + 1, ".gz").write_bytes(b"no gzip")
    path.write_text("two\n")
    rotate(path, 2, START + 2, START + 3, ".gz")
    path.write_text("three\n")
    for asked in ({}, {"reverse": True}, {"lines": 9}, {"since": START}):
        found = ask(path, **asked)
        assert sorted(texts(found)) == ["three", "two"]
        assert any("cannot read all of its log" in item["text"] for item in found if item["type"] == "note")


def test_a_compressed_file_that_was_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(b"".join(b"%d\n" % n for n in range(100_000)))
    packed = rotate(path, 1, START, START + 1, ".gz")
    packed.write_bytes(packed.read_bytes()[:50_000])
    found = texts(ask(path))
    assert found[:3] == ["0", "1", "2"]
    assert 1000 < len(found) < 100_000


@given(
    parts=st.lists(st.sampled_from(["\n", "a", "bc\r\n", "\xff", "long", "many"]), max_size=12),
    cuts=st.lists(st.floats(0, 1), max_size=3),
    packing=st.sampled_from(PACKINGS[:2]),
    lines=st.integers(0, 9),
)
def test_rotated_anywhere_it_reads_as_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], cuts: list[float], packing: str, lines: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "web.log"
    data = b"".join({"long": b"x" * 70_000, "many": b"yz\n" * 1500}.get(part, part.encode("latin-1")) for part in parts)
    rest = data
    for number, cut in enumerate(sorted(cuts), 1):
        size = rest.rfind(b"\n", 0, int(len(rest) * cut)) + 1
        if size:
            path.write_bytes(rest[:size])
            rotate(path, number, START + number, START + number, packing)
            rest = rest[size:]
    path.write_bytes(rest)
    whole = data.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n") if data else []
    wanted = [line.decode(errors="replace") for line in whole]
    found = texts(ask(path))
    assert "".join(found) == "".join(wanted)
    assert "".join(texts(ask(path, lines=lines))) == "".join(wanted[len(wanted) - min(lines, len(wanted)) :])
    short = [text for text in found if "x" not in text]  # pieces of a long line come in their order
    assert [text for text in texts(ask(path, reverse=True)) if "x" not in text] == short[::-1]
