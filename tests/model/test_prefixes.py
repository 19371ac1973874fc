"""What stands before lines of several services."""

from __future__ import annotations

import io

from pserv.model.prefixes import Prefixes


def test_names_are_as_wide_as_the_widest_and_one_that_comes_later_widens_what_follows() -> None:
    prefixes = Prefixes(["web", "worker:1"])
    assert [prefixes.before(name) for name in ("web", "worker:1")] == ["web      | ", "worker:1 | "]
    assert prefixes.before("a-late-one") == "a-late-one | "
    assert prefixes.before("db") == "db         | "
    assert prefixes.before("web") == "web      | "


def test_a_colour_is_a_names_own_whoever_prints_first() -> None:
    first, second = (Prefixes(["web", "db"], bar="│", coloured=True) for _ in range(2))
    assert first.before("db") == "\x1b[33mdb  │\x1b[0m "
    second.before("web")
    assert first.before("web") == second.before("web") == "\x1b[36mweb │\x1b[0m "
    assert first.before("db") == second.before("db")


def test_names_are_looked_at_when_a_prefix_is_wanted() -> None:
    names = iter(["web"])
    Prefixes(names)
    assert next(names) == "web"


def test_what_is_no_terminal_gets_no_colours() -> None:
    assert Prefixes.on(io.StringIO(), ["web"]).before("web") == "web | "
    assert Prefixes.on(None, ["web"]).before("web") == "web | "
