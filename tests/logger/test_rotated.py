"""Names of rotated files: what is made can be taken apart, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.logger.rotated import Rotated, family, name_of, parse, readable

LAST = 253402300799


@given(
    st.text(min_size=1).filter(lambda name: "/" not in name),
    st.integers(0, 10**12),
    st.integers(0, LAST),
    st.integers(0, LAST),
    st.sampled_from(["", ".gz", ".zst"]),
)
def test_what_is_made_is_taken_apart(base: str, number: int, first: int, last: int, packing: str) -> None:
    name = name_of(base, number, first, last) + packing
    assert parse(base, name) == Rotated(number, first, last, packing, name)


def test_the_name_says_sequence_and_time_span() -> None:
    assert name_of("web.log", 17, 1795404247.9, 1795407300) == "web.log.00000017.20261123T032407Z-20261123T041500Z"


@pytest.mark.parametrize("at", [-1e9, LAST + 1, 1e15])
def test_a_clock_out_of_its_mind_makes_a_name_all_the_same(at: float) -> None:
    assert parse("a", name_of("a", 1, at, at)) is not None


@pytest.mark.parametrize(
    "name",
    [
        "web.log",
        "web.log.1",
        "web.log.1.gz",
        "web.log.00000017",
        "web.log.0000017.20261123T032407Z-20261123T041500Z",
        "web.log.00000017.20261123T032407Z",
        "web.log.00000017.20261323T032407Z-20261123T041500Z",
        "web.log.00000017.20261123T032407Z-20261123T041500Z.gz.part",
        "web.log.00000017.20261123T032407Z-20261123T041500Z.xz",
        "web.log.x0000017.20261123T032407Z-20261123T041500Z",
        "web.err.00000017.20261123T032407Z-20261123T041500Z",
        "web.log.٠٠٠٠٠٠١٧.20261123T032407Z-20261123T041500Z",
        ".web.log.index",
    ],
)
def test_what_is_another_file(name: str) -> None:
    assert parse("web.log", name) is None


def test_a_family_is_listed_in_the_order_of_its_sequence(tmp_path: Path) -> None:
    names = [name_of("a.log", number, 2000 - number, 2000 - number) for number in (3, 1, 10**8, 2)]
    for name in [*names, names[1] + ".gz", name_of("b.log", 5, 1, 1), "a.log", "a.log.1"]:
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a.log")
    found = family(str(tmp_path / "a.log"))
    assert [(one.number, one.packing) for one in found] == [(1, ""), (1, ".gz"), (2, ""), (3, ""), (10**8, "")]
    assert [(one.number, one.packing) for one in readable(found)] == [(1, ".gz"), (2, ""), (3, ""), (10**8, "")]
    assert family(str(tmp_path / "link")) == found
    assert family(str(tmp_path / "nowhere" / "a.log")) == []
