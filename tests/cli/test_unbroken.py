"""A follower that goes on after a supervisor was replaced: each line once, whatever was on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from pserv.api.client import Client
from pserv.cli.unbroken import REPLACEMENTS, Unbroken
from pserv.model.errors import Unreachable

Item = dict[str, Any]


def line(text: str, service: str = "web") -> Item:
    return {"type": "line", "service": service, "stream": "stdout", "text": text}


def place(at: str, service: str = "web") -> Item:
    return {"type": "place", "service": service, "stream": "stdout", "at": at}


class Supervisors:
    """A client whose streams end one after the other, as if their supervisor had died; then nobody is there."""

    def __init__(self, *streams: list[Item]) -> None:
        self.asked: list[dict[str, object]] = []
        self._streams = list(streams)

    def stream_raw(self, _name: str, values: dict[str, object]) -> Iterator[Item]:
        if not self._streams:
            raise Unreachable("nobody")
        self.asked.append(values)
        return self._dying(self._streams.pop(0))

    def _dying(self, items: list[Item]) -> Iterator[Item]:
        yield from items
        raise Unreachable("died")


def followed(supervisors: Supervisors) -> list[str]:
    """The texts until nobody is there any more."""
    items = iter(Unbroken(cast(Client, supervisors), {"names": [], "lines": 5}))
    texts: list[str] = []
    with pytest.raises(Unreachable, match="died"):
        texts.extend(item["text"] for item in items)
    return texts


def test_it_goes_on_after_the_last_place_and_leaves_out_what_was_given() -> None:
    supervisors = Supervisors(
        [place("1:1:0"), line("a"), line("b"), place("1:1:4"), line("c")],
        [place("1:1:4"), line("c"), line("d"), place("1:1:8")],
        [place("1:1:8"), line("e")],
    )
    assert followed(supervisors) == ["a", "b", "c", "d", "e"]
    assert supervisors.asked[0]["lines"] == 5
    assert [asked.get("after") for asked in supervisors.asked] == [
        None,
        ["web/stdout/1:1:4"],
        ["web/stdout/1:1:8"],
    ]
    assert supervisors.asked[1]["lines"] == 0


def test_a_second_death_before_anything_new_doubles_nothing() -> None:
    supervisors = Supervisors(
        [place("1:1:0"), line("a"), line("b")],
        [place("1:1:0"), line("a")],
        [place("1:1:0"), line("a"), line("b"), line("c")],
    )
    assert followed(supervisors) == ["a", "b", "c"]


def test_another_file_is_given_from_its_beginning() -> None:
    supervisors = Supervisors([place("1:1:0"), line("a"), line("b")], [place("1:2:0"), line("x"), line("y")])
    assert followed(supervisors) == ["a", "b", "x", "y"]


def test_services_have_places_of_their_own() -> None:
    supervisors = Supervisors(
        [place("1:1:0"), place("1:2:0", "db"), line("a"), line("x", "db")],
        [place("1:1:0"), place("1:2:0", "db"), line("x", "db"), line("y", "db"), line("a"), line("b")],
    )
    assert followed(supervisors) == ["a", "x", "y", "b"]
    assert supervisors.asked[1]["after"] == ["web/stdout/1:1:0", "db/stdout/1:2:0"]


def test_supervisors_that_say_nothing_are_not_asked_for_ever() -> None:
    supervisors = Supervisors([place("1:1:0")], *([[]] * 1000))
    assert followed(supervisors) == []
    assert len(supervisors.asked) <= REPLACEMENTS + 3
