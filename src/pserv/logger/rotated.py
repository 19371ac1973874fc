"""The names of rotated files: made, taken apart, listed in order. Nothing is opened, renamed or removed here.

Beside the active file `web.log`, which never changes its name, stand
`web.log.00000017.20261123T032407Z-20261123T041500Z` and, compressed, the same with `.gz` or `.zst`. The sequence comes
first, so names sort right whatever the clock did; then the moments of the first and of the last byte, in UTC.
"""

from __future__ import annotations

import os
import time
from collections import namedtuple
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

DIGITS: Final = 8
PACKED: Final = (".gz", ".zst")
PART: Final = ".part"
"""Ends the name of what is being compressed; no reader looks at it."""

_STAMP = "%Y%m%dT%H%M%SZ"
_LAST = 253402300799
"""The end of the year 9999: a clock beyond it must not make a name that nobody can read."""


class Rotated(namedtuple("Rotated", "number first last packing name")):
    """One rotated file. `first`, `last`: seconds since 1970; `packing`: its suffix, empty for a plain file."""

    __slots__ = ()

    number: int
    first: int
    last: int
    packing: str
    name: str


def place(path: str) -> tuple[str, str]:
    """Folder and name of the file that a path leads to: what is rotated is the file, not a link to it."""
    folder, name = os.path.split(os.path.realpath(path))
    return folder, name


def name_of(base: str, number: int, first: float, last: float) -> str:
    """The name of a rotated file of `base`."""
    return f"{base}.{number:0{DIGITS}d}.{_stamp(first)}-{_stamp(last)}"


def parse(base: str, name: str) -> Rotated | None:
    """A name taken apart; None when it is no rotated file of `base`."""
    if not name.startswith(f"{base}."):
        return None
    stem, packing = name, ""
    for suffix in PACKED:
        if name.endswith(suffix):
            stem, packing = name[: -len(suffix)], suffix
    number, dot, span = stem[len(base) + 1 :].partition(".")
    first, dash, last = span.partition("-")
    began, ended = _seconds(first), _seconds(last)
    if len(number) < DIGITS or not _is_number(number) or not dot or not dash or began is None or ended is None:
        return None
    return Rotated(int(number), began, ended, packing, name)


def family(path: str, names: Callable[[str], list[str]] = os.listdir) -> list[Rotated]:
    """All rotated files of the active file `path`, the oldest first; where both are there, plain before compressed.

    Raises OSError when the folder cannot be listed; a folder that is not there has none.
    """
    folder, base = place(path)
    try:
        found = [parse(base, name) for name in names(folder)]
    except FileNotFoundError:
        return []
    return sorted(one for one in found if one is not None)


def readable(files: list[Rotated]) -> list[Rotated]:
    """Of a family, one file for each sequence. Of two the compressed one: the other is about to be removed."""
    return list({one.number: one for one in files}.values())


def _stamp(at: float) -> str:
    return time.strftime(_STAMP, time.gmtime(min(max(at, 0), _LAST)))


def _seconds(stamp: str) -> int | None:
    """Seconds since 1970 of `20261123T032407Z`; None for anything else. (time.strptime would load re and locale.)"""
    digits = stamp[:8] + stamp[9:15]
    if len(stamp) != 16 or stamp[8] != "T" or stamp[15] != "Z" or not _is_number(digits):
        return None
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return None
    year -= month <= 2  # a year that begins in March has its leap day at its end
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    return days * 86400 + int(digits[8:10]) * 3600 + int(digits[10:12]) * 60 + int(digits[12:14])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
