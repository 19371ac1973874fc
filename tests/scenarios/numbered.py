"""What the children of test_numbered.py print: run as a program it writes it, imported it tells what was to come.

Arguments: KIND SEED BYTES, and two FIFOs: it begins when the one has a byte for it, and says in the other when it is
done. The same kind, seed and size always give the same bytes; only how they are cut into writes differs each time.
"""

from __future__ import annotations

import os
import random
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 2_500
"""Lines that are made at once."""
LINE = 100
"""Bytes of a numbered line, its end included."""
LONGEST = 5 << 20
"""Bytes of the longest of the lines of any length."""
_WRITES = (1, 100, 4096, 65_536, 1 << 20)


def pieces(kind: str, seed: int, size: int) -> Iterator[bytes]:
    """The bytes of one stream, in pieces: as many as `size`, and what completes the last one."""
    made = 0
    for piece in _KINDS[kind](seed, size):
        yield piece
        made += len(piece)
        if made >= size:
            return


def _lines(seed: int, size: int, begin: bytes = b"", end: bytes = b"") -> Iterator[bytes]:
    """Lines of 100 bytes: the seed, a number, the rest is x."""
    fill = b"x" * (LINE - len(begin) - len(end) - 18)
    rest = [b"%04d %b%b\n" % (number, fill, end) for number in range(BLOCK)]
    number = 0
    while True:
        head = b"%b%03d %08d" % (begin, seed % 1000, number)
        yield head + head.join(rest)
        number += 1


def _objects(seed: int, size: int) -> Iterator[bytes]:
    return _lines(seed, size, b'{"level":"info","msg":"', b'"}')


def _lengths(seed: int, size: int) -> Iterator[bytes]:
    """Lines from 1 byte to 5 MiB, as many short as long ones; none that is longer than half of all."""
    dice = random.Random(seed)
    most = min(LONGEST, size // 2).bit_length() - 1
    text = b"".join(b"%d," % number for number in range(10_000))
    text *= 2 + (1 << most) // len(text)
    while True:
        length, start = int(2 ** dice.uniform(0, most)) - 1, dice.randrange(1000)
        yield text[start : start + length] + b"\n"


def _noise(seed: int, size: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    while True:
        yield dice.randbytes(min(size, 1 << 17))


_KINDS: dict[str, Callable[[int, int], Iterator[bytes]]] = {
    "lines": _lines,
    "objects": _objects,
    "lengths": _lengths,
    "noise": _noise,
}


def write(fd: int, data: bytes, dice: random.Random) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[: dice.choice(_WRITES)]) :]


def main(kind: str, seed: int, size: int, gate: str, told: str) -> None:
    dice = random.Random()
    with open(gate, "rb", buffering=0) as begin:
        begin.read(1)
    if kind == "both":  # of two seeds, on both streams in turns
        for out, err in zip(pieces("lines", seed, size), pieces("lines", seed + 1, size), strict=True):
            write(1, out, dice)
            write(2, err, dice)
    else:
        for piece in pieces(kind, seed, size):
            write(1, piece, dice)
    with open(told, "wb", buffering=0) as done:
        done.write(b"+")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
