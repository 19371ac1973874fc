"""Each byte once and in order, whoever is killed and when: in all formats and rotations, fifty children at once.

PSERV_TEST_BYTES: what each of the fifty prints; then each setting is also tried with one child alone, which prints
fifty times as much. `PSERV_TEST_BYTES=204MiB` are 10 GiB each time, and need some minutes a setting.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pserv.logger.rotated import family
from pserv.model.errors import PservError
from pserv.model.units import parse_size
from tests.scenarios import numbered
from tests.scenarios.daemon import Daemon, kill
from tests.scenarios.fifos import fifo

_ASKED = os.environ.get("PSERV_TEST_BYTES")
SIZE = parse_size(_ASKED) if _ASKED else 150_000
"""Bytes that each of fifty children prints."""
CHILDREN = 50
ROTATED_AT = min(10 << 20, max(1 << 16, SIZE // 8))
FORMATS = {
    "plain": "",
    "stamped": "timestamps: true, ",
    "json": "format: json, ",
    "parsed": "format: json, parse: json, ",
}
ROTATIONS = {
    "never": "none",
    "size": f"{{size: {ROTATED_AT}, keep: none}}",
    "every": "{size: none, every: 1m, keep: none}",
    "gzip": f"{{size: {ROTATED_AT}, keep: none, compress: gzip}}",
    "zstd": f"{{size: {ROTATED_AT}, keep: none, compress: zstd}}",
}
KILLS, PAUSE = (1_000_000, 6.0) if _ASKED else (4, 0.1)
"""So often the logger is killed, at most, and so many seconds apart; after five deaths a new one waits a second."""
STAMP = 28
BLOCK = 1 << 20
Texts = Callable[[bytes, int, ctypes.Array[ctypes.c_char]], int]


class Child(NamedTuple):
    """One service: what it prints, and how that is written."""

    format: str
    rotation: str
    kind: str
    seed: int
    size: int

    @property
    def name(self) -> str:
        return f"{self.format}-{self.rotation}-{self.kind}"

    def declared(self, folder: Path) -> str:
        """Its line below `services:`."""
        words = [self.kind, str(self.seed), str(self.size), str(folder / "gate"), str(folder / "told")]
        argv = [sys.executable, "-I", "-S", numbered.__file__, *words]
        log = f"{{{FORMATS[self.format]}rotate: {ROTATIONS[self.rotation]}}}"
        return f"  {self.name}: {{command: {argv!r}, stdout: {self.name}.log, log: {log}, restart: never, nice: 5}}\n"

    def streams(self) -> dict[str, Iterator[bytes]]:
        """What must be found of each stream."""
        if self.kind == "both":
            streams = {"stdout": self.seed, "stderr": self.seed + 1}
            return {name: numbered.pieces("lines", seed, self.size) for name, seed in streams.items()}
        printed = numbered.pieces(self.kind, self.seed, self.size)
        return {"": _decoded(printed) if self.kind == "noise" and self.format == "json" else printed}


def fifty(dice: random.Random) -> list[Child]:
    """Numbered lines in all settings; lines of any length and random bytes, and two streams, in those that fit."""
    settings = [(format, rotation) for format in FORMATS for rotation in ROTATIONS]
    chosen = [(*each, "objects" if each[0] == "parsed" else "lines") for each in settings]
    chosen += [(*each, "lengths") for each in settings if each[0] != "parsed"]
    chosen += [(*each, "noise") for each in settings if each[0] != "parsed" and each[1] != "every"]
    chosen += [("json", rotation, "both") for rotation in ("size", "gzip", "zstd")]
    assert len(chosen) == CHILDREN
    return [Child(*each, dice.randrange(1, 1000), SIZE) for each in chosen]


@pytest.mark.long
@pytest.mark.timeout(60 + SIZE // 10_000)
def test_of_fifty_children_at_once_nothing_is_lost_doubled_or_cut(tmp_path: Path) -> None:
    print_under_kills(tmp_path, fifty(random.Random()))


if _ASKED is not None:  # of little, the fifty above print as much in each setting

    @pytest.mark.timeout(60 + SIZE // 10_000)
    @pytest.mark.parametrize("rotation", ROTATIONS)
    @pytest.mark.parametrize("format", FORMATS)
    def test_of_one_child_alone(tmp_path: Path, format: str, rotation: str) -> None:
        kind = "objects" if format == "parsed" else "lines"
        print_under_kills(tmp_path, [Child(format, rotation, kind, random.randrange(1000), SIZE * CHILDREN)])
        for path in tmp_path.glob("*.log*"):
            path.unlink()


def print_under_kills(folder: Path, children: list[Child]) -> None:
    """Have them print while logger and supervisor are killed again and again; then look at their files."""
    gate, told = fifo(folder / "gate"), fifo(folder / "told")
    config = "services:\n" + "".join(child.declared(folder) for child in children)
    with Daemon(folder, config) as daemon:
        daemon.up(check=None)
        os.write(gate, b"+" * len(children))
        kills = kill_until_done(daemon, told, len(children))
        assert min(kills) > 0, f"(logger, supervisor) were killed {kills} times"
        compressed = [child for child in children if child.rotation in ("gzip", "zstd")]
        for child in compressed if _ASKED else compressed[:1]:
            wait_compressed(folder / f"{child.name}.log")
        daemon.pserv("down", check=0)
    os.close(gate)
    os.close(told)
    texts = compiled(folder) if _ASKED else None
    for child in children:
        check(child, folder / f"{child.name}.log", texts)


def kill_until_done(daemon: Daemon, told: int, count: int) -> tuple[int, int]:
    """How often logger and supervisor were killed until so many children had printed all."""
    dice, loggers, supervisors = random.Random(), 0, 0
    while count:
        if select.select([told], [], [], dice.uniform(0, PAUSE))[0]:
            count -= len(os.read(told, CHILDREN))
        if loggers == KILLS:
            continue
        try:
            status = daemon.daemon()
        except PservError:
            continue  # it is being replaced
        if status.logger_pid is not None:
            kill(status.logger_pid)
            loggers += 1
        if loggers and (not supervisors or dice.random() < 0.1):
            kill(status.supervisor_pid)
            supervisors += 1
    return loggers, supervisors


def wait_compressed(path: Path) -> None:
    """Until a file has been compressed; with PSERV_TEST_BYTES until all have."""
    while not (files := family(str(path))) or not (all if _ASKED else any)(one.packing for one in files):
        select.select([], [], [], 0.01)


def check(child: Child, path: Path, texts: Texts | None) -> None:
    """Each stream's bytes are in its files, once and in order, and nothing else."""
    for stream, wanted in child.streams().items():
        found = printed(child.format, stream, path, texts if child.format in ("json", "parsed") else None)
        rest = b""
        for number, piece in enumerate(wanted):
            while len(rest) < len(piece) and (more := next(filter(None, found), b"")):
                rest += more
            if not rest.startswith(piece):
                same = next(
                    (at for at, pair in enumerate(zip(piece, rest, strict=False)) if pair[0] != pair[1]), len(rest)
                )
                what = f"{rest[same : same + 200]!r} where {piece[same : same + 200]!r} should be"
                raise AssertionError(f"{child} {stream}: piece {number}, byte {same}: {what}")
            rest = rest[len(piece) :]
        assert rest + next(filter(None, found), b"") == b"", f"{child} {stream}: more than was printed"


def printed(format: str, stream: str, path: Path, texts: Texts | None) -> Iterator[bytes]:
    """What was printed on a stream, as the files of a log tell it, in pieces, some of which may be empty.

    `texts` reads simple JSON rows faster than json.loads does, which reads all where it is None.
    """
    data = _all_files(path)
    if format == "plain":
        yield from data
    for block in _whole_lines(data) if format != "plain" else ():
        if texts is not None and not stream and (told := _simple(texts, block)) is not None:
            yield told
            continue
        lines = block.split(b"\n")[:-1]
        if format == "stamped":
            assert all(line[STAMP - 2 : STAMP] in (b"Z ", b"Z+") for line in lines)
            yield b"".join([line[STAMP:] + (b"\n" if line[STAMP - 1] == 32 else b"") for line in lines])
        else:
            yield "".join([_told(row) for row in map(json.loads, lines) if stream in ("", row["stream"])]).encode()


def compiled(folder: Path) -> Texts:
    """What tells the texts of simple JSON rows fast."""
    library = folder / "rows.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("rows.c")], check=True)
    function = ctypes.CDLL(str(library)).texts
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    function.restype = ctypes.c_long
    texts: Texts = function
    return texts


def _simple(texts: Texts, rows: bytes) -> bytes | None:
    """The texts of JSON rows that are all of the simple kind, else None."""
    room = ctypes.create_string_buffer(len(rows))
    length = texts(rows, len(rows), room)
    return room.raw[:length] if length >= 0 else None


def _told(row: dict[str, object]) -> str:
    if "fields" in row:
        return json.dumps(row["fields"], separators=(",", ":")) + "\n"
    return str(row["message"]) if row["partial"] else f"{row['message']}\n"


def _all_files(path: Path) -> Iterator[bytes]:
    """The bytes of all files of a log as the tools for them read them: rotated, compressed, and the active one."""
    files = [str(path.parent / one.name) for one in {one.number: one for one in family(str(path))}.values()]
    files += [str(path)] if path.exists() else []  # who was killed right after a rotation left none
    command = ["zstd", "-dcfq"] if any(file.endswith(".zst") for file in files) else ["zcat", "-f"]
    with subprocess.Popen([*command, *files], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while data := process.stdout.read(BLOCK):
            yield data
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}"


def _whole_lines(data: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in data:
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        yield lines + newline
    assert rest == b"", f"no newline at the end: {rest[:200]!r}"


def _decoded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What is left of bytes that may be no UTF-8; a line is decoded by itself."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield "".join([line.decode(errors="replace") + "\n" for line in lines]).encode()
    yield rest.decode(errors="replace").encode()
