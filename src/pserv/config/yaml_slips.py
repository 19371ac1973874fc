"""What the YAML parser refuses, in words that say what to do; the commonest slips have their own. Reads nothing."""

from __future__ import annotations

import re
from typing import Final

import yaml

from pserv.model.mistakes import Mistake

_INI: Final = re.compile(r"\[[A-Za-z][\w:. @-]*\][ \t]*\n[^\[\n]*=")


def refused(error: yaml.YAMLError, file: str, text: str) -> Mistake:
    """The mistake that the parser stopped at."""
    return (
        _explained(error, file, text) if isinstance(error, yaml.MarkedYAMLError) else _character_of(error, file, text)
    )


def _explained(error: yaml.MarkedYAMLError, file: str, text: str) -> Mistake:
    """The parser's words for the commonest slips, in words that say what to do."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    problem = error.problem or "cannot be read"
    message, hint = _problem(problem, error.context or "", _character(text, line, column))
    if "mapping values are not allowed" in problem and _glued(text, line - 1):
        hint = f"write a blank after the colon in line {line - 1}"
    if _INI.match(text.lstrip()):
        message, hint = "this is an INI file, of supervisord or systemd", "write services: {web: {command: …}}"
    start = error.context_mark
    if start and start.line + 1 != line and "block" not in (error.context or "block"):
        message += f" (it begins in line {start.line + 1})"
    return Mistake(f"not YAML: {message}", hint, file, line, column)


def _glued(text: str, line: int) -> bool:
    """Whether a line looks like `key:value`, which is one text and goes on in the next line."""
    lines = text.splitlines()
    key, colon, value = lines[line - 1].strip().partition(":") if 0 < line <= len(lines) else ("", "", "")
    return bool(colon) and key.replace("-", "_").isidentifier() and bool(value) and not value[0].isspace()


def _character(text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    return here[column - 1] if 0 < column <= len(here) else ""


def _problem(problem: str, context: str, char: str) -> tuple[str, str]:
    quote = "put the value in quotes"
    if "cannot start any token" in problem:
        if char == "\t":
            return "a tab where YAML wants spaces", "indent with spaces"
        return f"a value cannot begin with {char!r}", quote
    if "scanning an alias" in context and not char.isalnum():
        return "a value cannot begin with '*'", quote
    if "mapping values are not allowed" in problem:
        return "a ':' that cannot stand here", f"{quote} if the ':' belongs to it; else check the indentation"
    if "unexpected ':'" in problem:
        return "a ':' in a bare text inside of brackets", f"{quote}, or write a blank after the ':'"
    if "could not find expected ':'" in problem:
        return "a key without ': '", "write `key: value`, with a blank after the colon"
    if "expected key" in problem:
        return "something that is neither a key nor the end of the mapping", "check the indentation and the quotes"
    if "expected '-' indicator" in problem:
        return "a key where the list goes on", "check the indentation: items begin with `- `"
    if "expected ',' or" in problem:
        return f"a list or mapping in brackets is not closed by {problem[-3:]}", f"close it with {problem[-3:]}"
    if "unexpected end of stream" in problem:
        return "the file ends inside of a quoted text", "close the quote"
    if "escape" in problem:
        return "an escape that YAML does not know in double quotes", "use single quotes: a backslash is plain there"
    if "expected <document start>" in problem:
        return "a line further left than the first one", "begin all top-level keys in the same column"
    if "node content" in problem:
        return "a bracket that closes nothing, or a list that is not closed", "check the brackets"
    return f"{context}: {problem}" if context else problem, "check this line and the one before it"


def _character_of(error: yaml.YAMLError, file: str, text: str) -> Mistake:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Mistake(f"not YAML: {error}", "", file)
    before = text[:position]
    line = before.count("\n") + 1
    shown = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
    return Mistake(
        f"not YAML: the control character {shown}",
        "remove it, or write it as an escape in double quotes",
        file,
        line,
        position - (before.rfind("\n") + 1) + 1,
    )
