"""Files in, the accepted document or all mistakes out, in a short-lived child: of the daemon's start, and of a reload.

As a program it reads one JSON request from stdin, `{"files": [...], "profiles": [...], "skip_invalid": bool}`,
and answers on stdout `{"pserv": version, "document": {...}}` with exit code 0, or
`{"mistakes": [...], "on_invalid": "..."}` with 2.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

import pserv
from pserv.config import check_secrets, places
from pserv.config.bases import Bases
from pserv.config.check import Check
from pserv.config.declared import Declared
from pserv.config.files import Reading
from pserv.config.filling import fill
from pserv.config.findings import Findings, TooMany
from pserv.config.fragments import Configuration
from pserv.config.remembered import Remembered
from pserv.config.variables import Variables
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document, ServiceSpec, SourceFile, checksum
from pserv.model.status import Placed


class Request(msgspec.Struct, frozen=True):
    """What the child is asked: files and folders as `places.find` gave them; the profiles are else PSERV_PROFILES."""

    files: tuple[str, ...]
    profiles: tuple[str, ...] | None = None
    skip_invalid: bool = False
    known: dict[str, int] | None = None
    """Services as they run, each with a checksum of its spec: of all others it is told where their options stand."""
    remembered: str | None = None
    """The file in which is kept what unchanged files were parsed to."""


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer when there is a configuration to run."""

    pserv: str
    document: Document
    origins: dict[str, dict[str, Placed]] = {}


class Rejected(msgspec.Struct, frozen=True):
    """The answer when there is none; `on_invalid` is what the files say to do then, "" where that cannot be read."""

    mistakes: tuple[Mistake, ...]
    on_invalid: str = ""


@contextmanager
def _all_kept() -> Iterator[None]:
    """Without the collector of cycles: of what is made here nearly all is kept, and looking through it again and again
    costs a fifth of the time for a thousand services. Nor is it looked through at once afterwards, as something new."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # all is of the oldest generation now
        gc.enable()


def load(
    paths: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: str,
    uid: int,
    profiles: Sequence[str] | None = None,
    skip_invalid: bool = False,
) -> Document:
    """The accepted document of these files and folders, as `read` gives it."""
    return read(paths, environ=environ, cwd=cwd, uid=uid, profiles=profiles, skip_invalid=skip_invalid)[0]


@_all_kept()
def read(
    paths: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: str,
    uid: int,
    profiles: Sequence[str] | None = None,
    skip_invalid: bool = False,
    remembered: Remembered | None = None,
) -> tuple[Document, Configuration]:
    """The accepted document of these files and folders, and what was read; raises InvalidConfig with all mistakes.

    Each path is laid over those before it. With `skip_invalid` a service with mistakes is left out, with a note, and
    so is what depends on it. Mistakes that are no single service's are never left out: a wrong `defaults.user` would
    run everything as root.
    """
    findings = Findings()
    configuration = Configuration(findings)
    absolute = [os.path.normpath(os.path.join(cwd, path)) for path in paths]
    wanted = tuple(environ.get("PSERV_PROFILES", "").replace(",", " ").split()) if profiles is None else tuple(profiles)
    sources: tuple[SourceFile, ...] = ()
    left_out: dict[str, tuple[str, ...]] = {}
    looked_for: dict[str, int] = {}
    try:
        facts = _facts(absolute[0], environ, uid)
        sources, left_out, looked_for = _read(absolute, environ, facts, wanted, findings, configuration, remembered)
        root = places.root_folder(absolute[0])
        Check(findings, configuration.services, left_out, root, uid).run()
        check_secrets.run(findings, configuration.services, environ)
    except TooMany:
        raise _rejected(findings, configuration) from None
    if findings.mistakes and not (skip_invalid and not findings.general):
        raise _rejected(findings, configuration)
    skipped = _skipped(findings, configuration)
    services = {name: each.spec for name, each in configuration.services.items() if name not in skipped}
    document = Document(
        name=configuration.name or places.identity(absolute[0]),
        root=root,
        files=sources,
        looked_for=looked_for,
        daemon=configuration.daemon,
        services=services,
        profiles=wanted,
        left_out=left_out,
        private=_private(configuration),
        notes=(*_emptiness(services), *skipped.values(), *_of_services(findings.notes, skipped)),
    )
    return document, configuration


def _read(
    paths: Sequence[str],
    environ: Mapping[str, str],
    facts: Mapping[str, str],
    profiles: Sequence[str],
    findings: Findings,
    configuration: Configuration,
    remembered: Remembered | None,
) -> tuple[tuple[SourceFile, ...], dict[str, tuple[str, ...]], dict[str, int]]:
    """What was read, the `.env` of the first file last; the services of other profiles; what was looked for."""
    mistakes: list[Mistake] = []
    variables = Variables(environ, _folder(paths[0]), mistakes, facts)
    reading = Reading(mistakes, lambda root: fill(root, variables, findings), remembered)
    files = list(reading.layers(_with_override(paths)))
    findings.take(mistakes)
    for file in files:
        configuration.add(file)

    def declared_in(path: str) -> Mapping[str, Declared]:
        more: list[Mistake] = []
        other = Configuration(findings)
        if file := Reading(more, lambda root: fill(root, variables, findings)).alone(path):
            other.add(file)
            sources.append(file.source)
        findings.take(more)
        return other.services

    sources = [file.source for file in files]
    left_out = configuration.build(profiles, Bases(findings, declared_in))
    configuration.private = variables.private
    looked_for = dict.fromkeys([variables.path, *places.beside(paths[0])], 0)
    return (*sources, *((variables.source,) if variables.source else ())), left_out, {**looked_for, **reading.folders}


def _private(configuration: Configuration) -> dict[str, tuple[str, ...]]:
    if not configuration.private:
        return {}
    from pserv.config.private import private  # late: few need it

    return private(configuration)


def _facts(main: str, environ: Mapping[str, str], uid: int) -> dict[str, str]:
    """Pserv's own facts that are the same for all services."""
    run_dir = places.run_dir(places.identity(main), environ, uid)
    return {"pserv.host": os.uname().nodename, "pserv.config_dir": _folder(main), "pserv.run_dir": run_dir}


def _with_override(paths: Sequence[str]) -> list[str]:
    """Beside a main file pserv.yaml a pserv.override.yaml is read after it."""
    found = [override for override in places.overrides(paths[0]) if override not in paths]
    return [paths[0], *found, *paths[1:]]


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


def answer(asked: Request, *, environ: Mapping[str, str], cwd: str, uid: int) -> tuple[bytes, int]:
    """The child's reply, and its exit code."""
    remembered = None if asked.remembered is None else Remembered(asked.remembered)
    try:
        document, configuration = read(
            asked.files,
            environ=environ,
            cwd=cwd,
            uid=uid,
            profiles=asked.profiles,
            skip_invalid=asked.skip_invalid,
            remembered=remembered,
        )
    except InvalidConfig as error:
        return msgspec.json.encode(Rejected(error.mistakes, error.on_invalid)), 2
    if remembered is not None:
        remembered.keep()
    origins = {} if asked.known is None else _origins(document, configuration, asked.known)
    return msgspec.json.encode(Accepted(pserv.__version__, document, origins)), 0


def _origins(
    document: Document, configuration: Configuration, known: Mapping[str, int]
) -> dict[str, dict[str, Placed]]:
    from pserv.config.origins import Origins  # late: only a reload asks

    origins = Origins(configuration)
    changed = [name for name, spec in document.services.items() if known.get(name) != checksum(spec)]
    told = {name: origins.placed(name, document.root) for name in changed}
    return {**told, "": origins.placed_of_daemon(document.root)}


def main() -> int:
    """Entry of `python -m pserv.config.loader`."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    reply, code = answer(asked, environ=os.environ, cwd=os.getcwd(), uid=os.geteuid())
    sys.stdout.buffer.write(reply)
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
