"""What a NAME on the command line means."""

from __future__ import annotations

import pytest

from pserv.model.errors import ExitCode, NoSuchService
from pserv.model.spec import ServiceSpec
from pserv.rules.selection import select

SPECS = {
    "web": ServiceSpec(exec="web", tags=("front", "http")),
    "worker-1": ServiceSpec(exec="w", tags=("workers",)),
    "worker-2": ServiceSpec(exec="w", tags=("workers", "http")),
    "db": ServiceSpec(exec="db"),
}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["web", "worker-1", "worker-2", "db"]),
        (["db", "web"], ["web", "db"]),
        (["@http"], ["web", "worker-2"]),
        (["worker-*"], ["worker-1", "worker-2"]),
        (["worker-?", "@workers", "worker-1"], ["worker-1", "worker-2"]),
        (["[dw]*b"], ["web", "db"]),
        (["*"], ["web", "worker-1", "worker-2", "db"]),
    ],
)
def test_select(patterns: list[str], names: list[str]) -> None:
    assert select(patterns, SPECS) == names


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("wbe", "cannot find wbe: no such service", "did you mean web?"),
        ("WEB", "cannot find WEB: no such service", "did you mean web?"),
        ("web.yaml", "cannot find web.yaml: no such service", "a file is named with -c: -c web.yaml"),
        ("@worker", "cannot find @worker: no service has this tag", "did you mean @workers?"),
        ("@x", "cannot find @x: no service has this tag", "there are: @front, @http, @workers"),
        ("x*", "cannot find x*: it matches no service", "there are: web, worker-1, worker-2, db"),
        ("", "cannot find : no such service", "there are: web, worker-1, worker-2, db"),
    ],
)
def test_nothing_is_found(pattern: str, message: str, hint: str) -> None:
    with pytest.raises(NoSuchService) as caught:
        select(["db", pattern], SPECS)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.exit_code is ExitCode.NO_SUCH_SERVICE


def test_nothing_is_declared() -> None:
    assert select([], {}) == []
    for pattern, hint in (("web", "no service is declared"), ("@web", "no service has a tag")):
        with pytest.raises(NoSuchService) as caught:
            select([pattern], {})
        assert caught.value.hint == hint


def test_many_are_not_all_listed() -> None:
    many = {f"service-{number:02}": ServiceSpec(exec="x") for number in range(50)}
    with pytest.raises(NoSuchService) as caught:
        select(["zzz"], many)
    assert caught.value.hint.endswith("service-09, …")
