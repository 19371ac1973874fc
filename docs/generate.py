"""Writes every file that is made from code; with --check it writes nothing, and exits 1 naming the stale ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from pserv.api import openapi
from pserv.config import reference
from pserv.config.schema import json_schema
from pserv.rules import diagram

ROOT = Path(__file__).resolve().parent.parent


def options() -> str:
    return reference.options_page()


def schema() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def api() -> str:
    return json.dumps(openapi.document(), indent=2, ensure_ascii=False) + "\n"


def states() -> str:
    return (
        "# The life of a service\n\n"
        "<!-- Written by docs/generate.py from src/pserv/rules: change it there. -->\n\n"
        f"```mermaid\n{diagram.mermaid().strip()}\n```\n\n"
        f"## Transitions\n\n{diagram.transitions().strip()}\n"
    )


GENERATED: tuple[tuple[str, Callable[[], str]], ...] = (
    ("docs/openapi.json", api),
    ("docs/options.md", options),
    ("docs/states.md", states),
    ("schema/pserv.schema.json", schema),
)


def main(arguments: list[str]) -> int:
    stale = []
    for name, content in GENERATED:
        path, wanted = ROOT / name, content()
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"stale: {', '.join(stale)}\nhint: make generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
