"""The journal: what a worker noted, its successor finds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.logger.journal import Journal


@pytest.fixture
def memory() -> Iterator[int]:
    fd = os.memfd_create("journal")
    yield fd
    os.close(fd)


def journal(memory: int) -> Journal:
    """As a worker opens it: with a descriptor of its own."""
    return Journal(os.dup(memory))


def test_an_empty_one_names_nobody(memory: int) -> None:
    assert journal(memory).owner() == (0, "")
    assert journal(memory).find(1) == (-1, 0)


def test_the_owner_is_found(memory: int) -> None:
    first = journal(memory)
    first.own(7, "/var/log/a very long name")
    first.own(8, "/var/log/bö")
    assert journal(memory).owner() == (8, "/var/log/bö")


Steps = list[tuple[int, int | None]]


@given(steps=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 1 << 40) | st.none()), max_size=500))
def test_records_are_found_by_every_successor(steps: Steps) -> None:
    memory = os.memfd_create("journal")
    known: dict[int, tuple[int, int]] = {}
    current = journal(memory)
    for number, (stream, printed) in enumerate(steps):
        if printed is None:
            current.forget(stream)
            known.pop(stream, None)
        else:
            current.record(stream, number, printed)
            known[stream] = (number, printed)
        if number % 100 == 99:
            current.close()
            current = journal(memory)
    for stream in range(1, 401):
        assert current.find(stream) == known.get(stream, (-1, 0))
    current.close()
    os.close(memory)


def test_thousands_of_streams_and_their_space_is_used_again(memory: int) -> None:
    current = journal(memory)
    for stream in range(1, 5001):
        current.record(stream, stream, 1)
    size = os.fstat(memory).st_size
    for stream in range(1, 5001):
        current.forget(stream)
        current.record(stream + 5000, stream, 2)
    assert os.fstat(memory).st_size == size
    assert journal(memory).find(10_000) == (5000, 2)
