"""Mistakes in `env_file` and `secrets`, between them and `env`, and in the env files themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from pserv.config import check_instances, env_files, secrets
from pserv.config.declared import Declared
from pserv.config.findings import Findings, Wrong, short, shown
from pserv.config.hints import suggestion
from pserv.model.mistakes import Mistake
from pserv.model.secrets import NAME_OF_FILE, EnvFile, Secret, Source
from pserv.model.spec import ServiceSpec
from pserv.rules import references

Found = tuple[tuple[str, ...], str, str]
"""The option, what is wrong, a hint."""


def complete(declared: Declared, providers: Mapping[str, Source], findings: Findings) -> None:
    """Puts in the place of each secret's provider the source that it is."""
    found: dict[str, Secret] = {}
    for name, secret in declared.spec.secrets.items():
        try:
            found[name] = _from(providers, name, secret) if secret.provider is not None else secret
            if secret.provider is not None:
                declared.provided[name] = secret.provider
        except Wrong as wrong:
            findings.service = declared.name
            path = ("services", declared.name, "secrets", name)
            findings.add(path, wrong.message, wrong.hint, declared.at("secrets", name))
            findings.service = ""
            found[name] = secret
    declared.spec = replace(declared.spec, secrets=found)


def _from(providers: Mapping[str, Source], name: str, secret: Secret) -> Secret:
    wanted = secret.provider or ""
    if wanted not in providers:
        known = ", ".join(map(short, providers)) or "none is declared"
        hint = suggestion(wanted, tuple(providers)) or f'write at the top secrets: {{{short(wanted)}: {{exec: "…"}}}}'
        raise Wrong(f"there is no {shown(wanted)} among the top level's secrets ({known})", hint)
    return secrets.provided(name, secret, providers[wanted])


def run(findings: Findings, services: Mapping[str, Declared], environ: Mapping[str, str]) -> None:
    """All services; each env file is read once."""
    read: dict[EnvFile, list[Mistake]] = {}
    for declared in services.values():
        spec = declared.spec
        findings.service = declared.name
        for option, message, hint in _of(spec):
            findings.add(("services", declared.name, *option), message, hint, declared.at(*option))
        if spec.env_file:
            first = check_instances.first(declared.name, spec)
            for file in first.env_file:
                _look_into(declared, file, findings, read, environ)
        for what, message in _notes(spec):
            findings.notes.append(f"services.{declared.name}.{what}: {message}")
    findings.service = ""


def _look_into(
    declared: Declared,
    file: EnvFile,
    findings: Findings,
    read: dict[EnvFile, list[Mistake]],
    environ: Mapping[str, str],
) -> None:
    """What is wrong in a file is told where it stands, once; that there is none, where it is asked for."""
    if file.required and not os.path.lexists(file.path):
        hint = f"write it, or env_file: {{path: {os.path.basename(file.path)}, required: false}}"
        path = ("services", declared.name, "env_file")
        findings.add(path, f"there is no {file.path}", hint, declared.at("env_file"))
    elif file not in read:
        read[file] = []
        env_files.read([file], environ, read[file])
        findings.take(read[file])


def _of(spec: ServiceSpec) -> Iterator[Found]:
    for variable, value in spec.env.items():
        for name in references.asked_for(value):
            if name not in spec.secrets:
                near = suggestion(name, tuple(spec.secrets))
                hint = near or f"declare it: secrets: {{{short(name)}: {{file: …}}}}"
                yield ("env", variable), f"the service has no secret {shown(name)}", hint
    for option in ("shell", "exec", "args", "command"):
        if name := next(iter(references.written_in(getattr(spec, option))), ""):
            known = "sh knows it" if name in spec.secrets else "sh knows what is declared under secrets"
            yield (option,), f"${{secrets.{short(name)}}} is not replaced here", f"write ${short(name)}: {known}"
    paths: dict[str, str] = {}
    for name, secret in spec.secrets.items():
        variable = name if secret.deliver == "env" else NAME_OF_FILE.format(name)
        if variable in spec.env and secret.deliver != "none":
            yield ("secrets", name), f"would set {variable}, which env sets, too", "rename one, or write deliver: none"
        if secret.path is not None and (other := paths.setdefault(secret.path, name)) != name:
            yield ("secrets", name), f"its file would be that of {other}, {secret.path}", "give each its own path"


def _notes(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    used = {name for value in spec.env.values() for name in references.asked_for(value)}
    for name, secret in spec.secrets.items():
        if secret.deliver == "none" and name not in used:
            yield f"secrets.{name}", f"is delivered nowhere: no variable has ${{secrets.{name}}}"
        if secret.on_change != "restart" and secret.refresh is None:
            yield f"secrets.{name}.on_change", "has no effect without refresh"
        told = secret.on_change not in ("restart", "none") and secret.refresh is not None
        if told and secret.deliver != "file":
            yield f"secrets.{name}.on_change", "a signal changes no variable of what runs: write deliver: file"
        if secret.kind in ("file", "dir") and not os.path.lexists(secret.where(name)):
            yield f"secrets.{name}", f"there is no {secret.where(name)} now"
