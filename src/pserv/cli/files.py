"""Commands about the configuration's files: check, config; and reading them for `up`."""

from __future__ import annotations

import os

from pserv.cli import terminal
from pserv.cli.target import connect, files

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.config.origins import Origin
    from pserv.model.spec import Document

_FEW = 4
"""So many files are named; of more only the first."""
WIDEST = 56
"""Characters of a line up to which comments stand in one column."""


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
    read = [_short(source.path) for source in document.files] or [_short(paths[0])]
    shown = ", ".join(read) if len(read) <= _FEW else f"{read[0]} and {len(read) - 1} files more"
    screen.line(f"{shown}: {services}, {screen.paint('no mistakes', 'green')}")
    for note in document.notes:
        terminal.tell(f"note: {note}")
    return 0


def effective(arguments: Arguments) -> int:
    """The values in effect, each with where it comes from; or with --running those that the daemon works from."""
    if option := arguments.text("explain"):
        from pserv.cli.explain import explain

        return explain(arguments, option)
    if arguments.flag("running"):
        return _running(arguments)
    from pserv.config import annotated
    from pserv.config.effective import effective
    from pserv.config.loader import read
    from pserv.config.origins import Origins

    document, configuration = read(files(arguments), environ=os.environ, cwd=os.getcwd(), uid=os.geteuid())
    plain = effective(document)
    if arguments.words:
        plain = {"services": _selected(plain["services"], arguments.words)}
    origins = annotated.origins_of(plain, Origins(configuration))
    plain = annotated.without_secrets(plain, origins)
    wanted = not arguments.flag("no-origins")
    if arguments.flag("json"):
        import msgspec

        from pserv.cli import json_output

        told = {".".join(path): msgspec.to_builtins(found) for path, found in origins.items()}
        json_output.show({**plain, "origins": told} if wanted else plain)
        return 0
    here = os.getcwd()
    _show(annotated.lines(plain, lambda path: _comment(origins.get(path, ()), here) if wanted else ""))
    return 0


def _comment(origins: Iterable[Origin], here: str) -> str:
    return ", ".join(origin.text(here) for origin in origins)


def _show(lines: Iterable[tuple[str, str]]) -> None:
    """Lines and the comments at their ends, these one below the other where the lines are not too long."""
    screen = terminal.out()
    rows = list(lines)
    column = max([len(line) for line, comment in rows if comment and len(line) <= WIDEST], default=0)
    for line, comment in rows:
        shown = f"{' ' * max(column - len(line), 0)}  {screen.paint(f'# {comment}', 'dim')}" if comment else ""
        screen.line(line + shown)


def schema(arguments: Arguments) -> int:
    """The JSON Schema of a configuration file."""
    del arguments  # it takes none
    import json

    from pserv.config.schema import json_schema

    terminal.out().stream.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0


def _running(arguments: Arguments) -> int:
    wanted = not arguments.flag("no-origins")
    document: dict[str, Any] = connect(arguments).call_raw("config", {"origins": wanted})
    origins: dict[str, str] = document.pop("origins", {})
    trouble = document.pop("trouble", ())
    if arguments.words:
        document = {"services": _selected(document["services"], arguments.words)}
        within = tuple(f"services.{name}." for name in document["services"])
        origins = {option: at for option, at in origins.items() if f"{option}.".startswith(within)}
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({**document, "origins": origins} if wanted else document)
    else:
        from pserv.config import annotated

        _show(annotated.lines(document, lambda path: _place(origins, path)))
    for text in trouble:
        terminal.tell(terminal.printable(text))
    return 0


def _place(origins: dict[str, str], path: tuple[str, ...]) -> str:
    """Where a value stands, or all that it is in; "" where nobody wrote it."""
    names = (".".join(path[:length]) for length in range(len(path), 0, -1))
    return next((origins[name] for name in names if name in origins), "")


def _selected(services: dict[str, Any], names: list[str]) -> dict[str, Any]:
    from fnmatch import fnmatchcase

    from pserv.model.names import no_such

    chosen: dict[str, Any] = {}
    for name in names:
        found = {
            key: spec
            for key, spec in services.items()
            if fnmatchcase(key, name) or name.removeprefix("@") in (spec.get("tags") or () if name[:1] == "@" else ())
        }
        if not found:
            tags = {tag for spec in services.values() for tag in spec.get("tags") or ()}
            raise no_such(name, services, tags, verb="show")
        chosen |= found
    return chosen


def _short(path: str) -> str:
    """The path as seen from here, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) and not relative.startswith("..") else path
