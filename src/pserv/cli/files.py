"""Commands about the configuration's files: check, config; and reading them for `up`."""

from __future__ import annotations

import os

from pserv.cli import terminal
from pserv.cli.target import connect, files

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.model.spec import Document


def accepted(paths: list[str]) -> Document:
    """The configuration of these files; raises InvalidConfig with all mistakes."""
    from pserv.config.loader import load

    return load(paths, environ=os.environ, cwd=os.getcwd(), uid=os.geteuid())


def check(arguments: Arguments) -> int:
    """Every mistake, or how much was found to be right."""
    paths = files(arguments)
    document = accepted(paths)
    if arguments.flag("json"):
        from pserv.cli import json_output

        read = [source.path for source in document.files]
        json_output.show({"ok": True, "files": read, "services": len(document.services), "notes": document.notes})
        return 0
    screen = terminal.out()
    number = len(document.services)
    services = "1 service" if number == 1 else f"{number} services"
    shown = ", ".join(_short(source.path) for source in document.files) or _short(paths[0])
    screen.line(f"{shown}: {services}, {screen.paint('no mistakes', 'green')}")
    for note in document.notes:
        terminal.tell(f"note: {note}")
    return 0


def effective(arguments: Arguments) -> int:
    """The values in effect: those of the files, or with --running those that the daemon works from."""
    document = _running(arguments) if arguments.flag("running") else _of_files(arguments)
    if arguments.words:
        document = {"services": _selected(document["services"], arguments.words)}
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(document)
        return 0
    import yaml

    terminal.out().stream.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))
    return 0


def schema(arguments: Arguments) -> int:
    """The JSON Schema of a configuration file."""
    del arguments  # it takes none
    import json

    from pserv.config.schema import json_schema

    terminal.out().stream.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0


def _running(arguments: Arguments) -> dict[str, Any]:
    document: dict[str, Any] = connect(arguments).call_raw("config", {})
    return document


def _of_files(arguments: Arguments) -> dict[str, Any]:
    from pserv.config.effective import effective

    return effective(accepted(files(arguments)))


def _selected(services: dict[str, Any], names: list[str]) -> dict[str, Any]:
    from fnmatch import fnmatchcase

    from pserv.model.errors import NoSuchService

    chosen: dict[str, Any] = {}
    for name in names:
        found = {
            key: spec
            for key, spec in services.items()
            if fnmatchcase(key, name) or name.removeprefix("@") in (spec.get("tags") or () if name[:1] == "@" else ())
        }
        if not found:
            raise NoSuchService(f"cannot show {name}: there is no such service", "pserv config")
        chosen |= found
    return chosen


def _short(path: str) -> str:
    """The path as seen from here, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) and not relative.startswith("..") else path
