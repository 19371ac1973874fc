"""One log as a reader goes through it: from where to where, forward or backward. What comes later is in `following`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pserv.system import places
from pserv.system.archive import Archive, File, Unreadable
from pserv.system.choosing import Choice, Shape, Told
from pserv.system.moments import Finder, Spot
from pserv.system.outbox import Outbox
from pserv.system.places import Place
from pserv.system.scan import backward, forward

Entry = tuple[float, bytes]
"""When a line was written, and what is told of it."""


class Source:
    """What was asked of one log. `begin` and `end`: between them stands what has been printed and is wanted."""

    def __init__(
        self, asked: dict[str, Any], archive: Archive, choice: Choice, outbox: Outbox, *, placed: bool
    ) -> None:
        """`asked`: `service`, `stream`, `path`, `after`: a place, or null. `placed`: places are to be told."""
        self.service: str = asked["service"]
        self.stream: str = asked["stream"]
        self.path: str = asked["path"]
        self.archive = archive
        self.choice = choice
        self.shape = Shape(self.service, self.stream, sourced=placed)
        self.placed = placed
        self.finder = Finder(archive)
        self.begin = Spot(0, 0)
        self.end = self.finder.end()
        self._outbox = outbox
        self._after = places.parse(asked["after"]) if asked.get("after") else None

    # -- from where to where ------------------------------------------------------------------------------------

    def limit(self, asked: dict[str, Any]) -> None:
        """Set `begin` and `end`: `since`, `until`, `run`, `follow`, and `lines`: so many of the last wanted ones."""
        try:
            self._limit(asked)
        except (OSError, Unreadable) as error:
            self.complain(error)
            self.begin = self.end

    def _limit(self, asked: dict[str, Any]) -> None:
        if asked.get("follow"):
            self._end_with_a_line()
        if self._after is not None:
            found = places.find(self.archive, self._after)
            self.begin = min(Spot(found.at, found.offset), self.end)
            if found.lost:
                self._after = None
            return
        since, until, run = asked.get("since"), asked.get("until"), asked.get("run")
        if run is not None:
            self._limit_to(run)
        if since is not None:
            self.begin = max(self.begin, self.finder.of_moment(since))
        if until is not None:
            self.end = min(self.end, self.finder.of_moment(until))
        if (since is not None or until is not None) and self.finder.unknown:
            self.note("cannot tell when its lines were written", "set log: {timestamps: true} or log: {format: json}")
        self.end = max(self.begin, self.end)
        if asked.get("lines") is not None and not asked.get("reverse"):
            self._limit_lines(asked["lines"])

    def _limit_to(self, run: int) -> None:
        bounds = self.finder.of_run(run)
        if bounds is not None:
            self.begin, self.end = bounds
        elif not self.choice.everything and self._is_json():
            return  # each line tells its run
        else:
            self.begin = self.end
            self.note("cannot tell which lines are of that run", "a run that printed nothing, or hints that are lost")

    def _is_json(self) -> bool:
        file = self.archive.open(len(self.archive.pieces) - 1) if self.archive.pieces else None
        return file is not None and file.read(0, 1) == b"{"

    def _end_with_a_line(self) -> None:
        """What has no end yet comes when it has one."""
        file = self.archive.active
        if file is None:
            return
        for offset, lines in backward(file, 0, file.size):
            whole = file.read(file.size - 1, 1) == b"\n"
            last = offset + sum(len(line) + 1 for line in lines[:-1])
            self.end = Spot(self.end.at, file.size if whole else last)
            return

    def _limit_lines(self, wanted: int) -> None:
        """Move `begin` so that so many lines are left, counted from the end."""
        if wanted <= 0:
            self.begin = self.end
            return
        for at, file, start, end in self._parts(reverse=True):
            for offset, lines in backward(file, start, end):
                with self.choice.bounded():
                    if self.choice.everything and len(lines) < wanted:
                        wanted -= len(lines)
                        continue
                    position = offset + sum(len(line) + 1 for line in lines)
                    for line in reversed(lines):
                        position -= len(line) + 1
                        wanted -= self.choice.everything or self.choice.read(line) is not None
                        if not wanted:
                            self.begin = Spot(at, position)
                            return

    # -- what is there ------------------------------------------------------------------------------------------

    def entries(self, *, timed: bool, reverse: bool = False) -> Iterator[list[Entry]]:
        """What is wanted, a block at a time; with `reverse` the last first. Without `timed` the times are 0."""
        for at, file, start, end in self._parts(reverse=reverse):
            try:
                blocks = backward(file, start, end) if reverse else forward(file, start, end)
                for offset, lines in blocks:
                    found = self._chosen(file, at, offset, lines, timed)
                    yield found[::-1] if reverse else found
            except (OSError, Unreadable) as error:
                self.complain(error)

    def give(self, lines: list[bytes]) -> None:
        """Tell those of these lines that are wanted. Raises Gone."""
        read, shape = self.choice.read, self.shape.lines
        with self.choice.bounded():
            wanted = b"".join(shape(told) for line in lines if (told := read(line)) is not None)
        if wanted:
            self._outbox.put(wanted)

    def _chosen(self, file: File, at: int, offset: int, lines: list[bytes], timed: bool) -> list[Entry]:
        read, shape = self.choice.read, self.shape.lines
        found: list[Entry] = []
        with self.choice.bounded():
            for line in lines:
                told: Told | None = read(line)
                if told is not None:
                    found.append((self.finder.time(file, at, offset, line) if timed else 0.0, shape(told)))
                offset += len(line) + 1
        return found

    def _parts(self, *, reverse: bool = False) -> Iterator[tuple[int, File, int, int]]:
        """Each file that has a part of it, and from where to where."""
        numbers = range(self.begin.at, min(self.end.at + 1, len(self.archive.pieces)))
        for at in reversed(numbers) if reverse else numbers:
            file = self.archive.open(at)
            if file is None:
                continue  # removed as too old, just now
            try:
                end = self.end.offset if at == self.end.at else file.size
            except (OSError, Unreadable) as error:
                self.complain(error)
                continue
            start = self.begin.offset if at == self.begin.at else 0
            if start < end:
                yield at, file, start, end

    # -- what is told -------------------------------------------------------------------------------------------

    @property
    def first_place(self) -> Place:
        """Where `begin` is, in the words of who asked to go on there: lines are counted from it."""
        if self._after is not None:
            return self._after
        pieces, at = self.archive.pieces, self.begin.at
        try:
            if at < len(pieces):
                return places.place_in(self.archive.open(at), pieces[at].sequence, self.begin.offset)
        except (OSError, Unreadable) as error:
            self.complain(error)
        return Place(self.archive.sequence, 0, 0, 0, 0)

    def tell_place(self, place: Place) -> None:
        """Raises Gone."""
        self._outbox.tell("place", service=self.service, stream=self.stream, at=place.text)

    def note(self, text: str, hint: str = "") -> None:
        """Raises Gone."""
        self._outbox.tell("note", service=self.service, text=f"{self.service}: {text} ({self.path})", hint=hint)

    def complain(self, error: Exception) -> None:
        """A file that cannot be read is told, and the others are given. Raises Gone."""
        self.note(f"cannot read all of its log: {getattr(error, 'strerror', None) or error}")
