"""`$VAR` and `${VAR:-default}` in one text, by the rules of compose. Where values come from is `variables`'.

What is made is a *template*: a `$$` stays as it is, a `$` in a value becomes one, and `${pserv.…}` is left where it is
not known yet, so that `rules.instances` can fill each instance's own facts in and find out which `$` are literal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pserv.config.findings import Wrong, short, shown

Look = Callable[[str], str | None]
"""The value of a variable; None when it is not set."""

MAX_LENGTH: Final = 1 << 20
"""Characters that one text may become: a value may be used many times in a default of a default."""

MAX_DEPTH: Final = 50
"""`${` in the default of a default."""

OURS: Final = "pserv."
SECRETS: Final = "secrets."

_FIRST: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_NAME: Final = _FIRST | frozenset("0123456789")
_INSTEAD: Final = {
    "PORT": "${pserv.port} where the service declares port: 3001, or ${PORT:-3001}",
    "PSERV_SERVICE": "${pserv.service}",
    "PSERV_INSTANCE": "${pserv.instance}",
    "PSERV_INDEX": "${pserv.index}",
}
"""Variables that only the service's own processes have, and what stands for them in the file."""


def template(text: str, look: Look) -> str:
    """The text with its variables filled in. Raises Wrong for one that is not set, and for a `$` without a meaning."""
    return _Text(text, look, escaped=True).whole()


def variable(text: str, look: Look) -> str:
    """The same for the value of a variable of a service, the one place where `${secrets.NAME}` may stand."""
    return _Text(text, look, escaped=True, secrets=True).whole()


def final(text: str, look: Look) -> str:
    """The same for a text that nothing is filled into later: `$$` has become `$`."""
    return _Text(text, look, escaped=False).whole()


def private(text: str, look: Look) -> str:
    """The same for a text that may be a password: what is Wrong with it is told without a word of it."""
    return _Text(text, look, escaped=False, private=True).whole()


class _Text:
    """A text that is being read, from the left."""

    __slots__ = ("_at", "_depth", "_escaped", "_look", "_made", "_private", "_secrets", "_text")

    def __init__(self, text: str, look: Look, *, escaped: bool, secrets: bool = False, private: bool = False) -> None:
        self._text = text
        self._look = look
        self._escaped = escaped
        self._secrets = secrets
        self._private = private
        self._at = 0
        self._made = 0
        self._depth = 0

    def whole(self) -> str:
        return self._until("", wanted=True)

    def _until(self, end: str, *, wanted: bool) -> str:
        """What stands before `end`, filled; where it is not `wanted` only its end is looked for."""
        parts = []
        text = self._text
        start = self._at
        while True:
            if self._at >= len(text):
                if end:
                    raise Wrong("has a '${' without its '}'", "close it, or write $${ for a literal ${")
                break
            if end and text[self._at] == end:
                break
            if text[self._at] != "$":
                self._at = self._at + 1 if end else _next(text, self._at)
                continue
            parts.append(text[start : self._at])
            parts.append(self._counted(self._reference(wanted=wanted)))
            start = self._at
        parts.append(text[start : self._at])
        self._at += len(end)
        return "".join(parts)

    def _counted(self, part: str) -> str:
        self._made += len(part)
        if self._made > MAX_LENGTH:
            raise Wrong("becomes longer than a million characters", "look at what its variables hold")
        return part

    def _reference(self, *, wanted: bool) -> str:
        """What begins with the `$` where we are."""
        text = self._text
        self._at += 1
        following = text[self._at : self._at + 1]
        if following == "$":
            self._at += 1
            return "$$" if self._escaped else "$"
        if following == "{":
            self._at += 1
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise Wrong(f"has '${{' within '${{' more than {MAX_DEPTH} deep", "give the parts names of their own")
            part = self._braced(wanted=wanted)
            self._depth -= 1
            return part
        if following == "(" and self._private:
            raise Wrong("a '$(' stands in its value, which only a shell understands", "write $$( for a literal $(")
        if following == "(":
            message = f"{shown(text)} has '$(' in it, which only a shell understands"
            raise Wrong(message, f'write shell: "{short(text)}", or $$( for a literal $(')
        if following not in _FIRST:
            raise Wrong("a '$' stands before nothing that is a name", "write $$ for a literal $")
        name = self._name()
        value = self._look(name) if wanted else ""
        if value is None and self._private:
            raise Wrong("a '$' in its value stands before nothing that is set", "write $$ for a literal $")
        return self._value(name, value, f"${name}") if wanted else ""

    def _braced(self, *, wanted: bool) -> str:
        start = self._at
        name = self._name()
        if name and self._text.startswith(".", self._at):
            return self._fact(start, wanted=wanted)
        if not name:
            raise Wrong("'${' stands before nothing that is a name", "write ${NAME}, or $${ for a literal ${")
        colon = self._text.startswith(":", self._at)
        self._at += colon
        form = self._text[self._at : self._at + 1]
        self._at += 1
        if form == "}" and not colon:
            return self._value(name, self._look(name), f"${{{name}}}") if wanted else ""
        if not form:
            raise Wrong("has a '${' without its '}'", "close it, or write $${ for a literal ${")
        if form not in "-?+":
            forms = "${V}, ${V:-default}, ${V-default}, ${V:?error}, ${V?error}, ${V:+other} and ${V+other}"
            written = name if self._private else short(self._text[start : self._at])
            raise Wrong(f"'${{{written}' is no form that there is", f"there are {forms}")
        value = self._look(name) if wanted else None
        present = bool(value) if colon else value is not None
        if form == "-":
            default = self._until("}", wanted=wanted and not present)
            return self._quoted(value or "") if present else default
        if form == "+":
            other = self._until("}", wanted=wanted and present)
            return other if present else ""
        reason = self._until("}", wanted=wanted and not present)
        if wanted and not present:
            raise Wrong(f"needs {name}: {reason}" if reason else f"needs {name}, which is not set", _how_to_set(name))
        return self._quoted(value or "")

    def _fact(self, start: int, *, wanted: bool) -> str:
        """`${pserv.host}` is known now, `${pserv.port}` is for later."""
        end = self._text.find("}", self._at)
        if end < 0:
            raise Wrong("has a '${' without its '}'", "close it, or write $${ for a literal ${")
        self._at = end + 1
        fact = self._text[start:end]
        if fact.startswith(SECRETS) and not self._private:
            if self._secrets:
                return f"${{{fact}}}"
            hint = f"write it in env, as the value of a variable: {{NAME: ${{{short(fact)}}}}}"
            raise Wrong(f"${{{short(fact)}}} can stand in env only: elsewhere others could see it", hint)
        if wanted and not fact.startswith(OURS) and self._private:
            raise Wrong("a '${' in its value has a dot, and stands for nothing", "write $${ for a literal ${")
        if wanted and not fact.startswith(OURS):
            raise Wrong(
                f"there is no ${{{short(fact)}}}", "with a dot there are Pserv's own facts: ${pserv.instance} …"
            )
        value = self._look(fact) if wanted else None
        return f"${{{fact}}}" if value is None else self._quoted(value)

    def _name(self) -> str:
        start = self._at
        text = self._text
        if text[start : start + 1] in _FIRST:
            while text[self._at : self._at + 1] in _NAME and self._at < len(text):
                self._at += 1
        return text[start : self._at]

    def _value(self, name: str, value: str | None, written: str) -> str:
        if value is None:
            raise Wrong(f"{name} is not set", f"{_instead(name)}; for a literal $ write ${written}")
        return self._quoted(value)

    def _quoted(self, value: str) -> str:
        return value.replace("$", "$$") if self._escaped else value


def _next(text: str, at: int) -> int:
    """Where the next `$` stands; the length where none does."""
    found = text.find("$", at)
    return len(text) if found < 0 else found


def _instead(name: str) -> str:
    if name in _INSTEAD:
        return f"write {_INSTEAD[name]}"
    if name.startswith("PSERV_"):
        return 'only the program has it among its variables: write {shell: "…"}'
    return f"{_how_to_set(name)}, or write ${{{name}:-default}}"


def _how_to_set(name: str) -> str:
    return f"set {name} in .env or in the environment"
