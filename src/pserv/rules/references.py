"""What a service gets of its env files and secrets, and what of them is never shown. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from pserv.model.secrets import NAME_OF_FILE, Secret, Values
from pserv.model.spec import ServiceSpec
from pserv.rules.secrecy import MASK, looks_secret

_OPENED = "{secrets."
_WRITTEN = "${secrets."
_HELD = "\0{secrets."
"""What stands for it once `rules.instances` has filled in the rest."""

SHORTEST = 4
"""Characters of a value that is hidden where it is shown; a shorter one stands everywhere by chance."""
_SHORTEST_LINE = 8
"""Characters of one line of a value of several, and of a value of an env file that has no name of a secret."""
CUT = "…"
"""What stands where the rest of a text was left out."""


def needed(spec: ServiceSpec) -> bool:
    """Whether anything is to be read before it can run."""
    return bool(spec.env_file or spec.secrets)


def told(spec: ServiceSpec) -> str:
    """What that is, in words: "app.env, secret DB_PASSWORD"."""
    files = [file.path.rpartition("/")[2] for file in spec.env_file]
    return ", ".join([*files, *(f"secret {name}" for name in spec.secrets)])


def asked_for(value: str) -> Iterator[str]:
    """The names that a template, or what `rules.instances` made of it, asks for by `${secrets.NAME}`."""
    at = 0
    while (brace := value.find(_OPENED, at)) > 0:
        end = value.find("}", brace)
        if end < 0:
            return
        at = brace + 1
        before = value[:brace]
        dollars = len(before) - len(before.rstrip("$"))
        if dollars % 2 or before.endswith("\0"):  # each `$$` is a `$`
            yield value[brace + len(_OPENED) : end]


def written_in(value: Any) -> Iterator[str]:
    """The names in what is no variable's value: a text, words, or nothing."""
    for text in (value,) if isinstance(value, str) else value or ():
        yield from asked_for(text)


def shown(text: str) -> str:
    """A value of `env` as a user wrote it."""
    return text.replace(_HELD, _WRITTEN)


def refers(text: str) -> bool:
    """Whether a value of `env`, the rest of which is filled in, has a secret in it."""
    return _HELD in text


def filled(key: str, spec: ServiceSpec, values: Values, folder: str) -> ServiceSpec:
    """The spec with all variables that its processes get; `folder` is where files of secrets are delivered.

    A variable of `env` stands over one of an env file, and so does PORT of a service with a `port`.
    """
    env = {name: value for name, value, _ in values.files if not (name == "PORT" and spec.port is not None)}
    for name, value in spec.env.items():
        env[name] = _with(value, values.secrets)
    for name, secret in spec.secrets.items():
        if secret.deliver == "env" and name in values.secrets:
            env[name] = _line(values.secrets[name])
        elif secret.deliver == "file":
            env[NAME_OF_FILE.format(name)] = place(key, name, secret, folder)
    return replace(spec, env=env)


def place(key: str, name: str, secret: Secret, folder: str) -> str:
    """Where the file of a secret is, for a service or instance."""
    return secret.path or f"{folder}/{key}/{name}"


def delivered(spec: ServiceSpec) -> dict[str, Secret]:
    """The secrets that are delivered as files."""
    return {name: secret for name, secret in spec.secrets.items() if secret.deliver == "file"}


def variables(spec: ServiceSpec) -> dict[str, str]:
    """The variables by which secrets are delivered, and the name of each."""
    return {
        name if secret.deliver == "env" else NAME_OF_FILE.format(name): name
        for name, secret in spec.secrets.items()
        if secret.deliver != "none"
    }


def _with(value: str, secrets: Mapping[str, str]) -> str:
    """A value of `env` with its secrets in it."""
    first, *rest = value.split(_HELD)
    parts = [first]
    for part in rest:
        name, _, after = part.partition("}")
        parts.append(_line(secrets.get(name, "")) + after)
    return "".join(parts)


def _line(value: str) -> str:
    """Without the end of line that most programs print after it."""
    return value.removesuffix("\n").removesuffix("\r")


def changed(spec: ServiceSpec, old: Values, new: Values) -> tuple[str, ...]:
    """What is different of what this service uses, by names only: "secret DB_PASSWORD changed", "env_file: A added"."""
    found = []
    before, after = ({name: value for name, value, _ in each.files} for each in (old, new))
    for name in {**before, **after}:
        if name not in spec.env and before.get(name) != after.get(name):
            verb = "added" if name not in before else "removed" if name not in after else "changed"
            found.append(f"env_file: {name} {verb}")
    for name in spec.secrets:
        if name in old.secrets and name in new.secrets and old.secrets[name] != new.secrets[name]:
            found.append(f"secret {name} changed")
    return tuple(found)


def hidden(text: str, values: Iterable[Values]) -> str:
    """The text with each known value masked: whole, line by line, or cut off at an end of it or where a `…` stands."""
    known = _hideable(values)
    for value in known:
        text = text.replace(value, MASK)
    return CUT.join(_uncut(part, known) for part in text.split(CUT))


def _uncut(text: str, values: list[str]) -> str:
    """Without the beginning of a value at the end of the text, and the end of one at the beginning."""
    end = max((_common(text, value) for value in values), default=0)
    if end:
        text = text[:-end] + MASK
    begin = max((_common(value, text) for value in values), default=0)
    return MASK + text[begin:] if begin else text


def _common(before: str, after: str) -> int:
    """Characters at the end of the one with which the other begins; 0 where they are too few to tell."""
    begins = after[:SHORTEST]
    at = before.find(begins, max(len(before) - len(after), 0))
    while at >= 0 and not after.startswith(before[at:]):
        at = before.find(begins, at + 1)
    return len(before) - at if 0 <= at <= len(before) - SHORTEST else 0


def _hideable(values: Iterable[Values]) -> list[str]:
    """Longest first, so that one that is part of another does not leave the rest of that."""
    found: set[str] = set()
    for each in values:
        of_files = [(value, SHORTEST if looks_secret(name, value) else _SHORTEST_LINE) for name, value, _ in each.files]
        for value, shortest in (*of_files, *((value, SHORTEST) for value in each.secrets.values())):
            whole = value.strip()
            if len(whole) >= shortest:
                found.add(whole)
            lines = whole.splitlines()
            if len(lines) > 1:
                found.update(line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE)
    return sorted(found, key=len, reverse=True)
