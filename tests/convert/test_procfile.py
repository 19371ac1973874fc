"""Procfiles: what each line becomes, and that whatever stands there is no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.config.loader import load
from pserv.convert import procfile
from pserv.convert.written import option


def options(line: str) -> dict[str, Any]:
    (entry,) = procfile.read(f"x: {line}\n", "Procfile", "/nowhere").entries
    return entry.options


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gunicorn app:app", {"command": "gunicorn app:app"}),
        ("gunicorn -b :$PORT app", {"command": "gunicorn -b :${pserv.port} app", "port": 5000}),
        ("puma -p ${PORT}", {"command": "puma -p ${pserv.port}", "port": 5000}),
        ("puma -p ${PORT:-3000}", {"shell": "exec puma -p ${PORT:-3000}", "port": 5000}),
        ("cd app && run", {"shell": "cd app && run"}),
        ("cd app", {"shell": "cd app"}),
        ("run $ARGS", {"shell": "exec run $ARGS"}),
        ("exec run $ARGS", {"shell": "exec run $ARGS"}),
        ("run $(cat args)", {"shell": "run $(cat args)"}),
        ("A=1 B=x,y run", {"command": "run", "env": {"A": "1", "B": "x,y"}}),
        ("A='a b' run", {"shell": "A='a b' run"}),
        ("run 'a b", {"shell": "run 'a b"}),
    ],
)
def test_a_line_runs_without_a_shell_where_that_is_the_same(line: str, expected: dict[str, Any]) -> None:
    assert options(line) == expected


def test_ports_are_those_of_foreman() -> None:
    found = procfile.read("web: a\njob: b $PORT\nplain: c\n", "Procfile", "/nowhere").entries
    assert [entry.options.get("port") for entry in found] == [5000, 5100, None]


def test_a_dotenv_beside_it_is_read_as_foreman_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1")
    (entry,) = procfile.read("web: a", "Procfile", str(tmp_path)).entries
    assert entry.options["env_file"] == ".env"


def test_lines_that_are_none_and_names_that_are_there_are_told() -> None:
    found = procfile.read("# c\n\nweb: a\nno line\nweb: b\n-x: c\nrelease: m\n", "Procfile", "/nowhere")
    assert [entry.name for entry in found.entries] == ["web", "release"]
    assert len(found.remarks) == 3
    assert "line 4" in found.remarks[0]
    assert found.entries[1].options["type"] == "oneshot"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip))
def test_any_line_is_read_by_us_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    """Whatever it is: a shell gets the very line, and a command its words."""
    found = procfile.read(f"x: {line}", "Procfile", "/nowhere")
    if not found.entries or "$" in line:
        return
    (entry,) = found.entries
    path = Path(tmp_path_factory.getbasetemp(), "pserv.yaml")
    written = "\n".join(text for name, value in entry.options.items() for text in option(name, value, 4))
    path.write_text(f"services:\n  x:\n{written}\n")
    spec = load([str(path)], environ={}, cwd="/", uid=0).services["x"]
    if "shell" in entry.options:
        assert spec.shell in (line.strip(), f"exec {line.strip()}")
    else:
        assert spec.command
