"""Rotated files that are not ours: the names that logrotate gives, in the order in which they were written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from pserv.logger.rotated import DIGITS, PACKED

_DATE: Final = 8
"""Digits of a date, at least: `web.log-20261123`, and with `dateformat` more."""


class Foreign(NamedTuple):
    """`first` and `last`: moments before and after all its lines, in seconds since 1970; the oldest has no `first`."""

    path: str
    packing: str
    first: float | None
    last: float


def foreign(folder: str, base: str, names: Iterable[str]) -> list[Foreign]:
    """Of these names those that somebody else has rotated `base` to, the oldest first.

    They say no times, but whoever renames, copies or compresses a file keeps the time of its last byte.
    """
    found: list[Foreign] = []
    for name, packing in _ordered(base, names):
        path = os.path.join(folder, name)
        try:
            written = os.stat(path).st_mtime
        except OSError:
            continue
        found.append(Foreign(path, packing, found[-1].last - 1.0 if found else None, written + 1.0))
    return found


def _ordered(base: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Names and packings. Where both are there the compressed file may be unfinished."""
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for name in names:
        order, packing = _order(base, name)
        if order is not None and (order not in found or not packing):
            found[order] = name, packing
    return [found[order] for order in sorted(found)]


def _order(base: str, name: str) -> tuple[tuple[int, int] | None, str]:
    """Dates come first and rise, numbers fall: `web.log.2.gz` was written before `web.log.1`."""
    if not name.startswith(base):
        return None, ""
    rest = name[len(base) :]
    packing = next((suffix for suffix in PACKED if rest.endswith(suffix)), "")
    mark, digits = rest[:1], rest[1 : len(rest) - len(packing)]
    if not digits.isascii() or not digits.isdecimal():
        return None, ""
    if mark == "." and len(digits) < DIGITS:
        return (1, -int(digits)), packing
    return ((0, int(digits)), packing) if mark == "-" and len(digits) >= _DATE else (None, "")
