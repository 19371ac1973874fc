"""Shell completion: the scripts to source, and what they ask with each Tab. Silent and quick when no daemon runs."""

from __future__ import annotations

import os
import sys

from pserv.cli import terminal
from pserv.cli.command import Option
from pserv.cli.parse import VALUED, Arguments, options_of
from pserv.cli.table import BY_NAME, COMMANDS, SIGNALS

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

PATIENCE = 0.5
"""Seconds; who presses Tab does not wait longer."""

BASH = r"""_pserv() {
    local line=${COMP_LINE:0:COMP_POINT} current before value
    local -a typed
    read -ra typed <<< "$line"
    [[ $line == *[[:space:]] ]] && typed+=("")
    current=${typed[-1]}
    # Bash splits words at : and = and replaces only what comes after: cut off the rest. It splits at @ too, but
    # replaces that with what follows (it is one of readline's special prefixes).
    before=${current%"${current##*[:=]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        COMPREPLY+=("${value#"$before"}")
    done < <(command "${typed[0]}" __complete "${typed[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
    return 0
}
complete -F _pserv pserv
"""
ZSH = r"""#compdef pserv
_pserv() {
    local -a found
    local line
    for line in "${(@f)$(command pserv __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    (( ${#found} )) && _describe pserv found
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _pserv pserv
"""
FISH = r"""function __pserv_complete
    set -l typed (commandline -opc) (commandline -ct)
    command pserv __complete $typed[2..] 2>/dev/null
end
complete -c pserv -f -a '(__pserv_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(arguments: Arguments) -> int:
    """Prints the script for a shell."""
    shell = arguments.words[0]
    if shell not in SCRIPTS:
        from pserv.model.errors import UsageError

        raise UsageError(f"cannot complete in {shell!r}: bash, zsh and fish are known", "pserv completion bash")
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({"shell": shell, "script": SCRIPTS[shell]})
        return 0
    terminal.out().stream.write(SCRIPTS[shell])
    return 0


def complete(arguments: Arguments) -> int:
    """Prints what may stand for the last word: a candidate a line, with a tab and a few words about it."""
    words = arguments.words or [""]
    try:
        for value, text in candidates(words[:-1], words[-1]):
            print(f"{value}\t{text}")
    except Exception:  # an error in the middle of somebody's prompt helps nobody
        return 1
    return 0


def candidates(before: list[str], word: str) -> Iterator[tuple[str, str]]:
    """Candidates for `word`, which comes after `before`, and what they are."""
    read, pending, ended = _read(before)
    if pending is not None:
        yield from _starting(word, _values(read, pending, word))
    elif word.startswith("--") and "=" in word:
        name, _, typed = word[2:].partition("=")
        option = next((o for o in options_of(read.command) if o.name == name), None)
        if option is not None:
            yield from ((f"--{name}={value}", text) for value, text in _starting(typed, _values(read, option, typed)))
    elif word.startswith("-") and not ended:
        yield from _starting(word, ((f"--{option.name}", option.text) for option in options_of(read.command)))
    elif read.command is None:
        yield from _starting(word, ((command.name, command.text) for command in COMMANDS if command.group))
    else:
        yield from _starting(word, _words(read))


def _read(words: list[str]) -> tuple[Arguments, Option | None, bool]:
    """What was typed so far, the option that wants a value, and whether options have ended. Forgives everything."""
    read = Arguments(None)
    pending: Option | None = None
    for word in words:
        if pending is not None:
            if pending.kind == "many":
                read.values[pending.name] = [*read.texts(pending.name), word]
            else:
                read.values[pending.name] = word
            pending = None
        elif word == "--":
            return read, None, True
        elif word.startswith("--") and "=" in word:
            name, _, value = word[2:].partition("=")
            option = next((o for o in options_of(read.command) if o.name == name), None)
            if option is not None:
                read.values[name] = [*read.texts(name), value] if option.kind == "many" else value
        elif word.startswith("-"):
            option = next((o for o in options_of(read.command) if word in (f"--{o.name}", f"-{o.short}")), None)
            pending = option if option is not None and option.kind in VALUED else None
        elif read.command is None:
            read.command = BY_NAME.get(word)
        else:
            read.words.append(word)
    return read, pending, False


def _values(read: Arguments, option: Option, word: str) -> Iterable[tuple[str, str]]:
    if option.choices:
        return [(choice, "") for choice in option.choices]
    if option.metavar == "NAME":
        return _services(read, tags=False)
    return _files(word) if option.metavar in ("FILE", "PATH") else []


def _words(read: Arguments) -> Iterable[tuple[str, str]]:
    command = read.command
    kind = command.completes if command else ""
    if kind == "shell" and not read.words:
        return [(shell, "") for shell in SCRIPTS]
    if kind == "signal" and not read.words:
        return [(name, "") for name in SIGNALS]
    if kind in ("service", "signal") and not (command and command.verbatim and read.words):
        named = set(read.words)
        return [(name, text) for name, text in _services(read, tags=True) if name not in named]
    return []


def _services(read: Arguments, *, tags: bool) -> list[tuple[str, str]]:
    """Names and tags of the running daemon; none if there is none."""
    from pserv.api.client import Client
    from pserv.cli import target
    from pserv.model.errors import PservError

    try:
        path = target.socket(read)
        if not os.path.exists(path):
            return []
        client = Client(path, connect_timeout=PATIENCE)
        services: dict[str, dict[str, Any]] = client.call_raw("config", {}, timeout=PATIENCE)["services"]
    except (PservError, OSError):
        return []
    scaling = read.verb == "scale"
    found = []
    for name, spec in services.items():
        wanted = spec.get("instances")
        if not scaling or wanted is not None:
            found.append((f"{name}=" if scaling else name, str(spec.get("description", ""))))
        if not scaling and tags and wanted is not None:
            found += [(f"{name}:{number}", "") for number in range(1, wanted + 1)]
    if scaling:
        return found
    members: dict[str, list[str]] = {}
    for name, spec in services.items():
        for tag in spec.get("tags", ()):
            members.setdefault(f"@{tag}", []).append(name)
    return found + ([(tag, ", ".join(names)) for tag, names in members.items()] if tags else [])


def _files(word: str) -> list[tuple[str, str]]:
    folder, name = os.path.split(word)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries)
    except OSError:
        return []
    hidden = name.startswith(".")
    shown = [(entry, folds) for entry, folds in found if hidden or not entry.startswith(".")]
    return [(os.path.join(folder, entry) + ("/" if folds else ""), "") for entry, folds in shown]


def _starting(word: str, found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    encoding = sys.stdout.encoding or "ascii"
    for value, text in found:
        if value.startswith(word):
            yield value, text.replace("\n", " ").encode(encoding, "replace").decode(encoding)
