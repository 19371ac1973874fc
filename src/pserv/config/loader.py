"""Files in, the accepted document or all mistakes out, in a short-lived child: of the daemon's start, and of a reload.

As a program it reads one JSON request from stdin, `{"files": [...], "skip_invalid": bool}`, and answers on stdout
`{"pserv": version, "document": {...}}` with exit code 0, or `{"mistakes": [...], "on_invalid": "..."}` with 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import msgspec

import pserv
from pserv.config import places
from pserv.config.check import Check
from pserv.config.files import load_files
from pserv.config.filling import fill
from pserv.config.findings import Findings, TooMany
from pserv.config.fragments import Configuration
from pserv.config.variables import Variables
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document, ServiceSpec, SourceFile


class Request(msgspec.Struct, frozen=True):
    """What the child is asked: files and folders as `places.find` gave them."""

    files: tuple[str, ...]
    skip_invalid: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """The answer when there is a configuration to run."""

    pserv: str
    document: Document


class Rejected(msgspec.Struct, frozen=True):
    """The answer when there is none; `on_invalid` is what the files say to do then, "" where that cannot be read."""

    mistakes: tuple[Mistake, ...]
    on_invalid: str = ""


def load(
    paths: Sequence[str], *, environ: Mapping[str, str], cwd: str, uid: int, skip_invalid: bool = False
) -> Document:
    """The accepted document of these files and folders; raises InvalidConfig with all mistakes.

    With `skip_invalid` a service with mistakes is left out, with a note, and so is what depends on it. Mistakes
    that are no single service's are never left out: a wrong `defaults.user` would run everything as root.
    """
    findings = Findings()
    configuration = Configuration(findings)
    absolute = [os.path.normpath(os.path.join(cwd, path)) for path in paths]
    sources: tuple[SourceFile, ...] = ()
    try:
        sources = _read(absolute, environ, findings, configuration)
        root = places.root_folder(absolute[0])
        Check(findings, configuration.services, root, uid).run()
    except TooMany:
        raise _rejected(findings, configuration) from None
    if findings.mistakes and not (skip_invalid and not findings.general):
        raise _rejected(findings, configuration)
    skipped = _skipped(findings, configuration)
    services = {name: each.spec for name, each in configuration.services.items() if name not in skipped}
    return Document(
        name=configuration.name or places.identity(absolute[0]),
        root=root,
        files=sources,
        daemon=configuration.daemon,
        services=services,
        notes=(*_emptiness(services), *skipped.values(), *_of_services(findings.notes, skipped)),
    )


def _read(
    paths: Sequence[str], environ: Mapping[str, str], findings: Findings, configuration: Configuration
) -> tuple[SourceFile, ...]:
    """What was read, the `.env` of the first file last."""
    mistakes: list[Mistake] = []
    files = load_files(paths, mistakes)
    variables = Variables(environ, _folder(paths[0]), mistakes)
    findings.take(mistakes)
    for file in files:
        fill(file.root, variables, findings)
        configuration.add(file)
    configuration.build()
    return (*(file.source for file in files), *((variables.source,) if variables.source else ()))


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path)


def _rejected(findings: Findings, configuration: Configuration) -> InvalidConfig:
    return InvalidConfig(findings.mistakes, on_invalid=configuration.daemon.on_invalid)


def _skipped(findings: Findings, configuration: Configuration) -> dict[str, str]:
    """A note for each service that is left out: it has mistakes, or needs one that has."""
    notes = {
        name: f"services.{name} is left out: {mistakes[0]}" for name, mistakes in findings.invalid_services.items()
    }
    services: dict[str, ServiceSpec] = {name: each.spec for name, each in configuration.services.items()}
    changed = bool(notes)
    while changed:
        changed = False
        for name, spec in services.items():
            needs = (need for need, edge in spec.depends_on.items() if edge.required)
            if name not in notes and (need := next((need for need in needs if need in notes), None)):
                notes[name] = f"services.{name} is left out: it depends on {need}"
                changed = True
    return notes


def _emptiness(services: Mapping[str, ServiceSpec]) -> list[str]:
    return [] if services else ["no service is declared"]


def _of_services(notes: Sequence[str], skipped: Mapping[str, str]) -> list[str]:
    prefixes = tuple(f"services.{name}." for name in skipped)
    return [note for note in notes if not (prefixes and note.startswith(prefixes))]


def answer(
    files: Sequence[str], skip_invalid: bool, *, environ: Mapping[str, str], cwd: str, uid: int
) -> tuple[bytes, int]:
    """The child's reply, and its exit code."""
    try:
        document = load(files, environ=environ, cwd=cwd, uid=uid, skip_invalid=skip_invalid)
    except InvalidConfig as error:
        return msgspec.json.encode(Rejected(error.mistakes, error.on_invalid)), 2
    return msgspec.json.encode(Accepted(pserv.__version__, document)), 0


def main() -> int:
    """Entry of `python -m pserv.config.loader`."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    reply, code = answer(asked.files, asked.skip_invalid, environ=os.environ, cwd=os.getcwd(), uid=os.geteuid())
    sys.stdout.buffer.write(reply)
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
