"""A line that a run printed and that matches: searched from where the last search ended. Who asks is in `asking`."""

from __future__ import annotations

import re
from typing import Final

from pserv.system import places
from pserv.system.archive import Archive, Unreadable, archives
from pserv.system.choosing import Choice
from pserv.system.moments import Finder, Spot
from pserv.system.scan import forward

MOST_SEARCHED: Final = 16 << 20
"""Bytes of a log that are searched for one question; the next one goes on from there."""


def search(pattern: re.Pattern[str], path: str, run: int, start: int, after: str) -> tuple[str | None, str]:
    """The first line in which the pattern is found, of those that are whole, and the place to which lines are done.

    `after`: such a place, or empty for the beginning of the run, which is at the offset `start` unless hints tell of an
    earlier file. Raises OSError.
    """
    (archive,) = archives([path])
    try:
        return _search(pattern, archive, run, start, after)
    except Unreadable as error:
        raise OSError(0, str(error)) from None
    finally:
        archive.close()


def _search(pattern: re.Pattern[str], archive: Archive, run: int, start: int, after: str) -> tuple[str | None, str]:
    finder, read = Finder(archive), Choice({}).read
    end = finder.end()
    begin = _begin(archive, finder, run, start, after)
    done, searched = begin, 0
    for at in range(begin.at, min(end.at + 1, len(archive.pieces))):
        file = archive.open(at)
        if file is None:
            continue
        until = end.offset if at == end.at else file.size
        for offset, lines in forward(file, begin.offset if at == begin.at else 0, until):
            for line in lines:
                past = offset + len(line) + 1
                if past > until:
                    break  # it has no end yet
                offset, done = past, Spot(at, past)
                told = read(line)
                if told is not None and pattern.search(told[0]):
                    return told[0], _place(archive, done)
            searched += sum(map(len, lines))
            if searched >= MOST_SEARCHED:
                return None, _place(archive, done)
    return None, _place(archive, done)


def _begin(archive: Archive, finder: Finder, run: int, start: int, after: str) -> Spot:
    if after:
        found = places.find(archive, places.parse(after))
        return Spot(found.at, found.offset)
    last = Spot(max(0, len(archive.pieces) - 1), max(0, start))
    # It begins in this file, where that does not begin with it: a hint could be one of an earlier daemon's run.
    bounds = finder.of_run(run) if start <= 0 else None
    return min(bounds[0], last) if bounds is not None else last


def _place(archive: Archive, spot: Spot) -> str:
    if spot.at >= len(archive.pieces):
        return places.NOWHERE.text
    return places.place_in(archive.open(spot.at), archive.pieces[spot.at].sequence, spot.offset).text
