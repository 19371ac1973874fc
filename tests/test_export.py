"""The cursor of a forwarder: each line at least once and in order, whatever happens to files, cursor and forwarder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserv.export import Cursor, Lost
from pserv.model.errors import PservError
from tests.system.archives import START, rotate


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def at(tmp_path: Path) -> str:
    return str(tmp_path / "web.cursor")


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def taken(cursor: Cursor, **limits: int) -> list[bytes]:
    batch = cursor.next(**limits)
    cursor.acknowledge(batch)
    return batch.lines


def test_the_next_lines_until_there_are_no_more(log: Path, at: str) -> None:
    append(log, "one\ntwo\nthree\nhal")
    with Cursor(at, str(log)) as cursor:
        assert cursor.next(lines=2).lines == [b"one", b"two"]
        assert cursor.next(lines=2).lines == [b"one", b"two"]  # not acknowledged
        assert taken(cursor, lines=2) == [b"one", b"two"]
        assert taken(cursor) == [b"three"]
        assert not cursor.next()
        append(log, "f\n")
        assert taken(cursor) == [b"half"]
    with Cursor(at, str(log)) as cursor:  # a new forwarder
        assert not cursor.next()
        append(log, "four\n")
        assert taken(cursor) == [b"four"]


def test_batches_are_bounded(log: Path, at: str) -> None:
    append(log, ("x" * 99 + "\n") * 100 + "y" * 200_000 + "\nend\n")
    sizes, lines = [], []
    with Cursor(at, str(log)) as cursor:
        while batch := cursor.next(lines=60, size=5000):
            sizes.append(sum(map(len, batch.lines)))
            lines += batch.lines
            cursor.acknowledge(batch)
    assert max(sizes) <= 5000 + (1 << 16)
    assert [line for line in lines if not line.startswith(b"y")] == [b"x" * 99] * 100 + [b"end"]
    assert b"".join(line for line in lines if line.startswith(b"y")) == b"y" * 200_000


def test_rotation_and_compression(log: Path, at: str) -> None:
    with Cursor(at, str(log)) as cursor:
        assert not cursor.next()
        append(log, "1\n2\n")
        assert taken(cursor, lines=1) == [b"1"]
        rotate(log, 1, START, START, ".gz")
        assert taken(cursor) == [b"2"]
        append(log, "3\n")
        rotate(log, 2, START, START)
        append(log, "4\n")
        assert taken(cursor) == [b"3", b"4"]
        assert cursor.lost == Lost()


def test_what_retention_removed_is_counted(log: Path, at: str) -> None:
    append(log, "1\n22\n")
    first = rotate(log, 1, START, START)
    append(log, "333\n")
    second = rotate(log, 2, START, START, ".gz")
    append(log, "4444\n")
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor, lines=1) == [b"1"]
        first.unlink()
        second.unlink()
        batch = cursor.next()
        assert batch.lines == [b"4444"]
        assert batch.lost == Lost(2, 3 + 4)
        cursor.acknowledge(batch)
    with Cursor(at, str(log)) as cursor:
        assert cursor.lost == Lost(2, 7)
        assert not cursor.next()


def test_what_was_read_and_then_removed_is_not_lost(log: Path, at: str) -> None:
    append(log, "1\n")
    first = rotate(log, 1, START, START)
    append(log, "2\n")
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor, lines=1) == [b"1"]
        first.unlink()
        batch = cursor.next()
        assert (batch.lines, batch.lost) == ([b"2"], Lost())


def test_all_of_it_was_removed(log: Path, at: str) -> None:
    append(log, "1\n2\n")
    with Cursor(at, str(log)) as cursor:
        taken(cursor, lines=1)
        log.unlink()
        assert cursor.next().lines == []
        append(log, "new\n")
        assert taken(cursor) == [b"new"]


def test_truncated_by_logrotate(log: Path, at: str) -> None:
    append(log, "1\n2\n")
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor) == [b"1", b"2"]
        log.write_text("3\n")
        assert taken(cursor) == [b"3"]
        log.write_text("4\n")  # as long as before
        assert taken(cursor) == [b"4"]


def logrotate(log: Path) -> None:
    """As it does with `create` and without compression."""
    first = log.with_name(f"{log.name}.1")
    if first.exists():
        first.rename(log.with_name(f"{log.name}.2"))
    log.rename(first)
    log.touch()


def test_renamed_by_logrotate(log: Path, at: str) -> None:
    """All lines are the same: only the inode tells which file they are of. What was rotated before is not asked for."""
    log.with_name(f"{log.name}.1").write_text("before\n")
    append(log, "same\n" * 20)
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor, lines=10) == [b"same"] * 10
        logrotate(log)
        append(log, "same\n" * 30)
        assert taken(cursor, lines=5) == [b"same"] * 5
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor) == [b"same"] * 35
        logrotate(log)
        append(log, "new\n")
        logrotate(log)
        append(log, "newer\n")
        assert taken(cursor) == [b"new", b"newer"]
        assert cursor.lost == (0, 0)


def test_a_file_of_logrotates_that_is_removed_before_it_was_read(log: Path, at: str) -> None:
    append(log, "1\n2\n3\n")
    with Cursor(at, str(log)) as cursor:
        assert taken(cursor, lines=1) == [b"1"]
        logrotate(log)
        append(log, "4\n")
        assert taken(cursor, lines=1) == [b"2"]
        log.with_name(f"{log.name}.1").unlink()
        assert taken(cursor) == [b"4"]
        assert cursor.lost.files == 1


def test_from_the_end_on(log: Path, at: str) -> None:
    append(log, "old\n")
    with Cursor(at, str(log), start="end") as cursor:
        assert not cursor.next()
        append(log, "new\n")
        assert taken(cursor) == [b"new"]


def test_one_process_at_a_time(log: Path, at: str) -> None:
    with Cursor(at, str(log)), pytest.raises(PservError, match="another process has it"):
        Cursor(at, str(log))
    Cursor(at, str(log)).close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"pserv_cursor": 1}',
        '{"pserv_cursor":1,"log":"x","place":{},"lost":{},"ahead":{}}',
        "\0" * 80,
    ],
)
def test_a_cursor_that_is_damaged(log: Path, at: str, text: str) -> None:
    append(log, "one\n")
    Path(at).write_text(text)
    with pytest.raises(PservError, match=r"cannot use the cursor .*: it is damaged") as told:
        Cursor(at, str(log))
    assert told.value.hint == "remove it to begin with the oldest line"
    with Cursor(at, str(log), restart=True) as cursor:
        assert "it is damaged" in cursor.restarted
        assert taken(cursor) == [b"one"]
    with Cursor(at, str(log)) as cursor:
        assert cursor.restarted == ""


def test_every_truncation_of_a_cursor_is_told_or_harmless(log: Path, at: str) -> None:
    append(log, "one\n")
    with Cursor(at, str(log)) as cursor:
        taken(cursor)
    whole = Path(at).read_bytes()
    for size in range(len(whole) - 1):
        Path(at).write_bytes(whole[:size])
        try:
            Cursor(at, str(log)).close()
        except PservError:
            continue
        assert size >= len(whole) - 2


def test_a_cursor_of_another_log_or_version(log: Path, at: str) -> None:
    append(log, "one\n")
    with Cursor(at, str(log)) as cursor:
        taken(cursor)
    with pytest.raises(PservError, match=f"it is one of {log}"):
        Cursor(at, str(log) + ".other")
    told = json.loads(Path(at).read_text())
    assert set(told) == {"pserv_cursor", "log", "place", "ahead", "lost"}
    Path(at).write_text(json.dumps({**told, "pserv_cursor": 2}))
    with pytest.raises(PservError, match="it is one of version 2"):
        Cursor(at, str(log))


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 5)),
        st.tuples(st.just("rotate"), st.sampled_from(["", ".gz"])),
        st.tuples(st.just("ship"), st.integers(1, 7)),
        st.tuples(st.just("die"), st.integers(1, 7)),
        st.tuples(st.just("drop"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS)
def test_each_line_arrives_or_was_removed(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int | str]]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    log, at = folder / "web.log", str(folder / "cursor")
    written, number, arrived, removed = 0, 0, list[int](), False
    rotated: list[Path] = []
    cursor = Cursor(at, str(log))
    cursor.acknowledge(cursor.next())
    for what, value in operations:
        if what == "write":
            append(log, "".join(f"{n}\n" for n in range(written, written + int(value))))
            written += int(value)
        elif what == "rotate" and log.exists():
            number += 1
            rotated.append(rotate(log, number, START + number, START + number, str(value)))
        elif what == "drop" and len(rotated) > 1:  # with none left, numbers begin anew
            rotated.pop(0).unlink()
            removed = True
        elif what in ("ship", "die"):
            batch = cursor.next(lines=int(value))
            if what == "ship":
                arrived += [int(line) for line in batch.lines]
                cursor.acknowledge(batch)
            else:  # killed before it could acknowledge
                cursor.close()
                cursor = Cursor(at, str(log))
    while batch := cursor.next():
        arrived += [int(line) for line in batch.lines]
        cursor.acknowledge(batch)
    lost = cursor.lost
    cursor.close()
    assert arrived == sorted(set(arrived))
    missing = written - len(arrived)
    assert removed or not missing
    assert bool(missing) == (lost != Lost()) or (removed and lost.files > 0)
