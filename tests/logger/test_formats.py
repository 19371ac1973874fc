"""What lines are made of which bytes: any bytes, in any pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pserv.logger.facts import Facts
from pserv.logger.formats import STAMP, Format, of
from pserv.logger.settings import Settings

AT = 1_795_404_247_123_456
STAMPED = b"2026-11-23T03:24:07.123456Z"
PATIENT = settings(deadline=None)

BYTES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [b"\n", b"\n\n", b"\r\n", b"\xc3\xb6", b"\xf0\x9f\x98\x80", b'{"a": 1}\n', b"\x1b[31m", b"x" * 30]
        ),
    ),
    max_size=30,
).map(b"".join)
CHUNKS = st.lists(st.integers(1, 40), max_size=60)


def make(**log: Any) -> Format:
    return Format(Settings({"service": "web", "max_line": 32, **log}), Facts(7, "stdout", 99))


def fed(format: Format, data: bytes, sizes: list[int]) -> bytes:
    """What is written when the bytes come in pieces of these sizes, then all the rest, then the end."""
    written, waiting = b"", b""
    for size in [*sizes, len(data)]:
        waiting, data = waiting + data[:size], data[size:]
        count = format.count(waiting)
        if count:
            written += b"".join(format.write(waiting[:count], AT))
            waiting = waiting[count:]
    return written + (b"".join(format.write(waiting, AT)) if waiting else b"")


def pieces(data: bytes, longest: int) -> list[tuple[bytes, bool]]:
    """The lines of the bytes as they should be: each with whether it goes on, or has no end."""
    found = []
    *lines, last = data.split(b"\n")
    for line in [*lines, last]:
        while len(line) > longest:
            cut = next((at for at in range(longest, longest - 4, -1) if line[at] & 0xC0 != 0x80), longest)
            found.append((line[:cut], True))
            line = line[cut:]
        found.append((line, False))
    if last:
        found[-1] = (found[-1][0], True)
    else:
        found.pop()
    return found


@PATIENT
@given(BYTES, CHUNKS)
@example(b"x" * 32 + b"\n", [32])
@example(b"x" * 33 + b"\n", [32])
@example(b"\xc3\xb6" * 40 + b"\n" + b"\x80" * 70, [33, 1])
def test_any_pieces_of_any_bytes_give_the_same_valid_json(data: bytes, sizes: list[int]) -> None:
    written = fed(make(format="json"), data, sizes)
    rows = [json.loads(line) for line in written.decode().splitlines(keepends=True)] if written else []
    assert written.count(b"\n") == len(rows)
    assert [(row["message"], row["partial"]) for row in rows] == [
        (text.decode(errors="replace"), partial) for text, partial in pieces(data, 32)
    ]
    told = {"ts": STAMPED.decode(), "service": "web", "instance": None, "run": 7, "stream": "stdout", "pid": 99}
    assert all(told.items() <= row.items() for row in rows)


@PATIENT
@given(BYTES, CHUNKS)
def test_with_timestamps_every_byte_can_be_had_back(data: bytes, sizes: list[int]) -> None:
    written = fed(make(timestamps=True), data, sizes)
    rows = [(row[STAMP + 1 :], row[STAMP : STAMP + 1] == b"+") for row in written.split(b"\n")[:-1]]
    assert all(row.startswith(STAMPED) for row in written.split(b"\n")[:-1])
    assert rows == pieces(data, 32)
    assert b"".join(text + (b"" if partial else b"\n") for text, partial in rows) == data


@PATIENT
@given(BYTES, CHUNKS)
def test_a_line_that_is_an_object_becomes_fields(data: bytes, sizes: list[int]) -> None:
    written = fed(make(format="json", parse="json"), data, sizes)
    for row in map(json.loads, written.splitlines()):
        assert isinstance(row["message"], str)
        assert isinstance(row.get("fields", {}), dict)
    assert sum("fields" in json.loads(line) for line in written.splitlines()) >= data.startswith(b'{"a": 1}\n')


@PATIENT
@given(st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.booleans(), st.integers(), st.text()), max_size=4))
def test_fields_are_what_was_printed(printed: dict[str, Any]) -> None:
    line = json.dumps(printed).encode() + b"\n"
    row = json.loads(b"".join(make(format="json", parse="json", max_line=4096).write(line, AT)))
    assert row["fields"] == printed


@pytest.mark.parametrize(
    ("line", "message", "level"),
    [
        ('{"level": "warn", "message": "a\\nb", "x": 1}', "a\nb", "warn"),
        ('{"msg": "hello", "severity": "ERROR"}', "hello", "ERROR"),
        ('{"level": 30, "msg": "pino"}', "pino", 30),
        ('{"msg": 1, "level": true}', '{"msg": 1, "level": true}', None),
        ('{"msg": "\\ud800"}', "?", None),
        ("{}", "{}", None),
        ('{"level": 1e999, "msg": ""}', '{"level": 1e999, "msg": ""}', None),
        ('{"level": 1.5e300, "severity": "x"}', '{"level": 1.5e300, "severity": "x"}', 1.5e300),
        (' {"msg": 1}', ' {"msg": 1}', None),
        ('{"msg": "a"} ', "a", None),
    ],
)
def test_message_and_level_are_lifted(line: str, message: str, level: object) -> None:
    row = json.loads(b"".join(make(format="json", parse="json", max_line=4096).write(line.encode() + b"\n", AT)))
    assert (row["message"], row.get("level")) == (message, level)
    assert row.get("fields") == (None if line.startswith(" ") else json.loads(line))


@pytest.mark.parametrize(
    "line",
    ['{"a": NaN}', "{not json}", '{"a": 1} x', "[1]", '{"a":' + "[" * 200_000 + "]" * 200_000 + "}", '{"a": 1', '"x"'],
)
def test_what_is_no_object_is_a_message(line: str) -> None:
    row = json.loads(b"".join(make(format="json", parse="json", max_line=1 << 19).write(line.encode() + b"\n", AT)))
    assert "fields" not in row
    assert row["message"] == line


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        (b"\x1b[1;31mred\x1b[0m\n", b"red\n"),
        (b"\x1b]0;title\x07a \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", b"a link\n"),
        (b"\x1b(B\x1b7up\x1b8\x1b[2K\n", b"up\n"),
        (b"at the end \x1b\nnext\n", b"at the end \nnext\n"),
    ],
)
def test_terminal_sequences_are_left_out(printed: bytes, plain: bytes) -> None:
    assert b"".join(make(strip_ansi=True, max_line=1000).write(printed, AT)) == plain


@PATIENT
@given(BYTES, CHUNKS)
def test_what_is_only_stripped_of_them_keeps_every_other_byte(data: bytes, sizes: list[int]) -> None:
    data = data.replace(b"\x1b", b"")
    assert fed(make(strip_ansi=True), data, sizes) == data


@PATIENT
@given(BYTES, st.sampled_from([{"format": "json", "parse": "json"}, {"timestamps": True}, {"strip_ansi": True}]))
def test_what_the_journal_notes_makes_the_same_lines(data: bytes, log: dict[str, Any]) -> None:
    format = make(**log)
    assert of(format.noted).write(data + b"\n", AT) == format.write(data + b"\n", AT)
    assert len(make(service="s" * 64, instance=9999, **log).noted) < 2000
