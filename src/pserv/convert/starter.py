"""A commented pserv.yaml from what is found in a folder: what is taken from where, as text that `check` accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from pserv.config.files import EXAMPLE
from pserv.convert import compose, frameworks, procfile
from pserv.convert.entries import Entry, Find
from pserv.convert.written import comment, option
from pserv.model.mistakes import Mistake

SCHEMA: Final = "pserv.schema.json"

_HEAD: Final = f"""# yaml-language-server: $schema={SCHEMA}
# The line above is for editors: `pserv schema > {SCHEMA}` makes the file that it names.
#
# {{source}}
# Look through it, then: pserv check (all mistakes at once), pserv up (start and follow; Ctrl-C stops).
# Every option: docs/options.md, or pserv schema.
"""

_HELLO: Final = """
services:
  # A service: its name, and what it runs. Put your own program here.
  hello:
    shell: 'while true; do echo "hello from pserv"; sleep 5; done'

  # More of what a service may say; remove the # where you need it.
  # web:
  #   command: python3 -m http.server ${pserv.port}
  #   port: 8000               # the variable PORT, and where probes ask
  #   depends_on: [hello]      # started when that one is ready
  #   env: {MODE: production}
  #   restart: on-failure:5    # never, on-failure (the default), always
  #   health: http://:8000/
  #   stop: {signal: TERM, timeout: 10s}
"""


class Starter(msgspec.Struct):
    """What would be written, and what is told of it."""

    text: str
    entries: list[Entry] = []
    remarks: list[str] = []
    """What was found and is not taken."""
    notes: list[str] = []


Check = Callable[[str], Sequence[Mistake]]
"""The mistakes of a configuration of this text; those with a `file` are of others that it reads, such as `.env`."""


def make(folder: str, environ: Mapping[str, str], check: Check) -> Starter:
    """The starter for a folder. What `check` finds a mistake in is written as a comment, with that mistake."""
    starter = _collected(folder, environ)
    while True:
        _settle(starter.entries)
        starter.text, lines = _text(starter)
        mistakes = check(starter.text)
        changed = False
        for mistake in mistakes:
            if mistake.file:
                continue
            entry = next((each for each, first, last in lines if first <= mistake.line <= last), None)
            for each in [entry] if entry else starter.entries:
                changed = changed or not each.off
                each.off = each.off or mistake.message.removeprefix(f"services.{each.name}.")
        if not changed:
            starter.remarks += [str(mistake) for mistake in mistakes]
            return starter


def _collected(folder: str, environ: Mapping[str, str]) -> Starter:
    """What says itself what runs is taken before what only hints at it."""
    starter = Starter("")
    inside = frameworks.Folder(folder)
    known = {**dict.fromkeys(_variables(inside.text(".env")), ""), **environ}
    for name in procfile.NAMES:
        if inside.has(name):
            if starter.entries:
                starter.remarks.append(f"{name} is not taken: {procfile.NAMES[0]} says what runs")
            else:
                _take(starter, procfile.read(inside.text(name), name, folder))
    said = bool(starter.entries)
    for name in compose.NAMES:
        if inside.has(name):
            _take(starter, compose.read(inside.text(name), name, folder, known))
            break
    said = said or any(not entry.off for entry in starter.entries)
    for found in frameworks.find(inside):
        if said:
            starter.remarks.append(f"{found.source} is not taken: {starter.entries[0].origin} says what runs")
        else:
            _take(starter, found)
    return starter


def _variables(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield line.strip().removeprefix("export ").partition("=")[0].strip()


def _take(starter: Starter, found: Find) -> None:
    starter.notes += found.notes
    starter.remarks += [f"{found.source}: {remark}" for remark in found.remarks]
    for entry in found.entries:
        same = next((each for each in starter.entries if each.name == entry.name), None)
        if same is None:
            starter.entries.append(entry)
        elif same.origin != entry.origin:
            starter.remarks.append(f"{entry.origin}: {entry.name} is not taken: it is {same.origin}'s already")


def _settle(entries: list[Entry]) -> None:
    """Nobody waits for what is not declared, or for a health that nothing tells."""
    declared = {entry.name: entry for entry in entries if not entry.off}
    for entry in entries:
        needs = entry.options.get("depends_on")
        if not isinstance(needs, dict):
            continue
        for name, need in list(needs.items()):
            if name not in declared:
                del needs[name]
                entry.remarks.append(f"depends_on: [{name}]  as soon as {name} is declared")
            elif "health" not in declared[name].options and (
                need == "healthy" or (isinstance(need, dict) and need.get("condition") == "healthy")
            ):
                needs[name] = "ready"
                entry.remarks.append(f"depends_on.{name} was service_healthy: {name} has no health probe here")
        if not needs:
            del entry.options["depends_on"]


def _text(starter: Starter) -> tuple[str, list[tuple[Entry, int, int]]]:
    """The file, and of each service the first and last line."""
    sources = list(dict.fromkeys(entry.origin.partition(":")[0] for entry in starter.entries))
    if not sources:
        source = "Nothing was found here that says what to run, so this is an example to start from."
        lines = _HEAD.format(source=source).splitlines()
        for remark in starter.remarks:
            lines += comment(remark, 0)
        return "\n".join([*lines, _HELLO.strip("\n"), ""]), []
    lines = _HEAD.format(source=f"Made by `pserv init` from {', '.join(sources)}.").splitlines()
    for note in starter.notes:
        lines += comment(note, 0)
    if starter.remarks:
        lines += ["#", "# Not taken:"]
        for remark in starter.remarks:
            lines += comment(f"- {remark}", 0)
    lines += ["", "services:"]
    if all(entry.off for entry in starter.entries):
        lines[-1] += " {}"
        lines += comment(f"Nothing is declared yet. Turn comments below into services, such as {EXAMPLE}", 0)
    places = []
    for entry in starter.entries:
        first = len(lines) + 1
        lines += _service(entry)
        places.append((entry, first, len(lines)))
        lines.append("")
    return "\n".join(lines), places


def _service(entry: Entry) -> Iterator[str]:
    yield from comment(f"{entry.origin}{'' if not entry.off else f'. Not declared: {entry.off}'}", 2)
    body = [f"{entry.name}:"]
    for name, value in entry.options.items():
        body += option(name, value, 2)
    for remark in dict.fromkeys(entry.remarks):
        body += comment(remark, 2)
    margin = "  # " if entry.off else "  "
    yield from (f"{margin}{line}".rstrip() for line in body)
