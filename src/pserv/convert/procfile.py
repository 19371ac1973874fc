"""A Procfile to services: foreman's and Heroku's `name: command line` lines."""

from __future__ import annotations

import os
import re
from typing import Final

from pserv.config.places import is_name
from pserv.convert.entries import Entry, Find

NAMES: Final = ("Procfile", "Procfile.dev")
BASE_PORT: Final = 5000
"""foreman's: the first process gets it, each further one a hundred more."""

_LINE: Final = re.compile(r"([A-Za-z0-9_.-]+)[ \t]*:[ \t]*(\S.*)\Z")


def read(text: str, source: str, folder: str) -> Find:
    """The services of a Procfile; `folder` is where it stands."""
    find = Find(source)
    number = 0
    for index, written in enumerate(text.splitlines(), 1):
        line = written.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None or not is_name(found[1]):
            find.remarks.append(f"line {index} is not taken: it is not `name: command`")
        elif any(entry.name == found[1] for entry in find.entries):
            find.remarks.append(f"line {index} is not taken: there is a {found[1]} already")
        else:
            find.entries.append(_service(found[1], found[2], f"{source}:{index}", number))
            number += 1
    if os.path.exists(os.path.join(folder, ".env")):
        for entry in find.entries:
            entry.put("env_file", ".env")
    return find


def _service(name: str, line: str, origin: str, number: int) -> Entry:
    entry = Entry(name, origin)
    entry.runs(line)
    if name == "web" or re.search(r"\$\{?PORT\b", line):
        entry.options["port"] = BASE_PORT + 100 * number
    if name == "release":
        entry.options |= {"type": "oneshot", "autostart": False}
        entry.remarks.append("Heroku runs it before a deploy; here: pserv run release")
    return entry
