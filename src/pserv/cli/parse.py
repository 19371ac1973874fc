"""The words of a command line to a command, its options and its words, by the table. Nothing is run here.

GNU habits: options may stand anywhere, `--name=value` and `--name value`, `-n5`, `-fn 5`, `--` ends the options.
"""

from __future__ import annotations

from pserv.cli.command import COMMON, Command, Option
from pserv.cli.table import BY_NAME, COMMANDS

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import NoReturn

VALUED = ("text", "many", "count", "seconds", "choice")


class Arguments:
    """A command line that was read. `words` are what is neither command nor option."""

    __slots__ = ("command", "values", "words")

    def __init__(self, command: Command | None) -> None:
        self.command = command
        self.words: list[str] = []
        self.values: dict[str, str | list[str] | float | bool] = {}

    @property
    def verb(self) -> str:
        return self.command.name if self.command else ""

    def flag(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name)
        return value if isinstance(value, list) else []

    def seconds(self, name: str) -> float | None:
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else None

    def count(self, name: str, default: int) -> int:
        value = self.values.get(name)
        return int(value) if isinstance(value, int | float) else default


def parse(argv: list[str]) -> Arguments:
    """The command line after the program's name; raises UsageError. `command` is None where none was named."""
    arguments = Arguments(None)
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments.words += rest
            break
        if len(word) > 1 and word.startswith("-"):
            _read_option(arguments, word, rest)
        elif arguments.command is None:
            arguments.command = BY_NAME.get(word) or _unknown_command(word)
            if word == "__complete":
                arguments.words = rest
                break
        else:
            arguments.words.append(word)
            if arguments.command.verbatim and rest and not rest[0].startswith("-"):
                arguments.words += rest
                break
    if not arguments.flag("help"):
        _count_words(arguments)
    return arguments


def options_of(command: Command | None) -> tuple[Option, ...]:
    """What may be said with a command, or before any."""
    return command.options if command else (*COMMON, Option("version", "flag", "tell the version", short="V"))


def _read_option(arguments: Arguments, word: str, rest: list[str]) -> None:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        option = next((o for o in options_of(arguments.command) if o.name == name), None)
        if option is None:
            _unknown_option(arguments.command, name)
        if option.kind not in VALUED:
            if equals:
                _refuse(arguments, f"--{name} takes no value")
            arguments.values[name] = True
            return
        _store(arguments, option, value if equals else _next(arguments, f"--{name}", rest))
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = next((o for o in options_of(arguments.command) if o.short == letter), None)
        if option is None:
            _unknown_option(arguments.command, letter)
        if option.kind in VALUED:
            _store(arguments, option, letters or _next(arguments, f"-{letter}", rest))
            return
        arguments.values[option.name] = True


def _next(arguments: Arguments, told: str, rest: list[str]) -> str:
    if not rest:
        _refuse(arguments, f"{told} wants a value")
    return rest.pop(0)


def _store(arguments: Arguments, option: Option, text: str) -> None:
    if option.kind == "many":
        arguments.values[option.name] = [*arguments.texts(option.name), text]
    elif option.kind == "count":
        if not (text.isascii() and text.isdigit()):
            _refuse(arguments, f"--{option.name} wants a number, not {text!r}")
        arguments.values[option.name] = int(text)
    elif option.kind == "seconds":
        arguments.values[option.name] = _seconds(arguments, option, text)
    elif option.kind == "choice":
        arguments.values[option.name] = _choice(arguments, option, text)
    else:
        arguments.values[option.name] = text


def _choice(arguments: Arguments, option: Option, text: str) -> str:
    """A word of a choice, which may be shortened while it can be no other (`warn`), and is the same in capitals."""
    meant = [word for word in option.choices if word.startswith(text.lower())]
    if text.lower() in meant:
        return text.lower()
    if len(meant) != 1:
        said = f"--{option.name} is one of {', '.join(option.choices)}, not {text!r}"
        _refuse(arguments, said, near(text, option.choices))
    return meant[0]


def _seconds(arguments: Arguments, option: Option, text: str) -> float:
    from pserv.model.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        _refuse(arguments, f"--{option.name}: {error}", "a time is written 500ms, 10s or 5m")


def _count_words(arguments: Arguments) -> None:
    command = arguments.command
    if command is None:
        return
    number = len(arguments.words)
    if number < command.least:
        _refuse(arguments, f"it wants {command.words.replace('…', ' …')}")
    if command.most is not None and number > command.most:
        extra = arguments.words[command.most]
        is_file = extra.endswith((".yaml", ".yml", ".toml"))
        _refuse(arguments, f"it takes no {extra!r}", f"a file is named with -c: -c {extra}" if is_file else "")


def _refuse(arguments: Arguments, reason: str, hint: str = "") -> NoReturn:
    from pserv.model.errors import UsageError

    verb = f"pserv {arguments.verb}".strip()
    raise UsageError(f"cannot read the command line of {verb}: {reason}", hint or f"{verb} --help")


def _unknown_command(word: str) -> NoReturn:
    from pserv.model.errors import UsageError

    close = near(word, [command.name for command in COMMANDS if command.group])
    raise UsageError(f"cannot run {word!r}: there is no such command", close or "pserv --help")


def _unknown_option(command: Command | None, name: str) -> NoReturn:
    from pserv.model.errors import UsageError

    verb = f"pserv {command.name}" if command else "pserv"
    dashes = "--" if len(name) > 1 else "-"
    close = near(name, [option.name for option in options_of(command)], "--") if len(name) > 1 else ""
    raise UsageError(f"cannot run {verb}: there is no option {dashes}{name}", close or f"{verb} --help")


def near(word: str, known: list[str] | tuple[str, ...], before: str = "") -> str:
    """ "did you mean …?", or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, 1, 0.5)
    return f"did you mean {before}{found[0]}?" if found else ""
