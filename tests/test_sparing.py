"""What libraries load and nobody uses: left out, and nothing else is different."""

from __future__ import annotations

import subprocess
import sys

import pytest

SPARED = """
import sys
from pserv import sparing
before = set(sys.modules)
sparing.load_msgspec()
print(*(set(sys.modules) - before))
"""


def said(code: str) -> list[str]:
    """What a fresh interpreter prints."""
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_msgspec_comes_without_what_nobody_uses() -> None:
    found = set(said(SPARED))
    assert "msgspec" in found
    assert not found & {"uuid", "platform", "decimal", "_decimal", "numbers", "textwrap", "msgspec.inspect"}


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("import uuid, decimal; print(uuid.UUID(int=1).int, decimal.Decimal('1.5'))", ["1", "1.5"]),
        (
            "import msgspec; print(msgspec.json.decode(b'[1]', type=tuple[int, ...]), len(msgspec.json.encode({})))",
            None,
        ),
        (
            "import msgspec\nclass S(msgspec.Struct):\n  a: int = 1\nprint(msgspec.json.schema(S)['$ref'])",
            ["#/$defs/S"],
        ),
    ],
)
def test_afterwards_all_is_as_ever(code: str, answer: list[str] | None) -> None:
    assert said(f"from pserv import sparing; sparing.load_msgspec()\n{code}") == (answer or ["(1,)", "2"])


def test_patterns_are_compiled_when_they_are_used() -> None:
    code = """
import re
from pserv import sparing
at_once = re.compile
found = []
sparing.load_without_patterns(lambda: found.append(re.compile("(a)b", re.I)))
print(type(found[0]).__name__, found[0].match("AB")[1], found[0].groups, re.compile is at_once)
"""
    assert said(code) == ["_Pattern", "A", "1", "True"]


def test_a_failure_leaves_the_compiler_as_it_was() -> None:
    code = """
import re
from pserv import sparing
at_once = re.compile
try:
    sparing.load_without_patterns(lambda: 1 / 0)
except ZeroDivisionError:
    print(re.compile is at_once)
"""
    assert said(code) == ["True"]
