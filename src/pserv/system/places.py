"""A place in a log that is found again after rotation, compression and truncation. What is read there is elsewhere."""

from __future__ import annotations

import os
from binascii import crc32
from collections.abc import Iterator
from typing import Final, NamedTuple

from pserv.system.archive import FOREIGN, Archive, File, Piece, PlainFile

MARK: Final = 32
"""Bytes before a place by which it is known again."""


class Place(NamedTuple):
    """An offset in the file that has, or will have, this number when it is rotated, and by which it is known again."""

    sequence: int
    device: int
    inode: int
    offset: int
    mark: int

    @property
    def text(self) -> str:
        return ":".join(map(str, self))


class Found(NamedTuple):
    """Where a place is now: which file of the archive, and the offset in it. `lost`: what stood there is gone."""

    at: int
    offset: int
    lost: bool = False


NOWHERE: Final = Place(0, 0, 0, 0, 0)
"""Before the first byte of a log that has none."""


def parse(text: str) -> Place:
    """Raises ValueError for what is no place."""
    words = text.split(":")
    if len(words) != len(Place._fields) or not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f"{text!r} is no place in a log")
    return Place(*map(int, words))


def mark_of(data: bytes) -> int:
    """Of the last bytes before a place."""
    return crc32(data[-MARK:])


def place_in(file: File | None, sequence: int, offset: int) -> Place:
    """The place of an offset. Raises as File.read does."""
    inode = file.inode if isinstance(file, PlainFile) else (0, 0)
    return Place(sequence, *inode, offset, _mark(file, offset))


def find(archive: Archive, place: Place) -> Found:
    """Where to go on. Raises OSError, Unreadable."""
    pieces = archive.pieces
    if not pieces:
        return Found(0, 0, place.offset > 0)
    if place == NOWHERE:
        return Found(0, 0)
    for at in _candidates(archive, place):
        file = archive.open(at)
        if file is not None and (not place.offset or _mark(file, place.offset) == place.mark):
            return Found(at, place.offset)
    # Gone, truncated, or rotated by somebody who gives other names: what is there comes from its beginning.
    following = archive.index_of(place.sequence + 1)
    return Found(min(following, len(pieces) - 1), 0, True)


def _candidates(archive: Archive, place: Place) -> Iterator[int]:
    """The file with its inode, which rename(2) keeps, before the one with its number: lines may all be the same."""
    at = archive.index_of(place.sequence or FOREIGN + 1)
    numbered = at if at < len(archive.pieces) and archive.pieces[at].sequence == place.sequence else None
    if numbered is not None and is_at(archive.pieces[numbered], place):
        yield numbered
        return
    if place.inode:
        for other in range(len(archive.pieces) - 1, -1, -1):
            if is_at(archive.pieces[other], place):
                yield other
                break
    if numbered is not None:
        yield numbered


def is_at(piece: Piece, place: Place) -> bool:
    """Whether it is the very file, not compressed since."""
    if piece.packing:
        return False
    try:
        status = os.stat(piece.path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (place.device, place.inode)


def _mark(file: File | None, offset: int) -> int:
    """-1 where so much is not there."""
    if file is None or not offset:
        return 0
    start = max(0, offset - MARK)
    data = file.read(start, offset - start)
    return mark_of(data) if len(data) == offset - start else -1
