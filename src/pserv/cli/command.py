"""What a command of the command line is, and an option of it. Which there are is in `table`.

Read at every start of `pserv`, so: plain classes, no imports.
"""

from __future__ import annotations


class Option:
    """One option. `kind` is flag, text, many (text, repeatable), count, seconds, or a choice of words in `choices`."""

    __slots__ = ("choices", "kind", "metavar", "name", "short", "text")

    def __init__(
        self,
        name: str,
        kind: str,
        text: str,
        metavar: str = "",
        short: str = "",
        choices: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.metavar = metavar or "|".join(choices)
        self.short = short
        self.choices = choices


class Command:
    """One command. `words` tells what they are ("[NAME…]"), `least` and `most` how many, `completes` what Tab offers.

    `run` names the function that does it, "module:function" below `pserv.cli`. With `verbatim` the words after the
    first, or after `--`, are not ours to read.
    """

    __slots__ = ("completes", "group", "least", "most", "name", "options", "run", "text", "verbatim", "words")

    def __init__(
        self,
        name: str,
        group: str,
        text: str,
        run: str,
        options: tuple[Option, ...] = (),
        *,
        words: str = "",
        least: int = 0,
        most: int | None = None,
        completes: str = "",
        verbatim: bool = False,
    ) -> None:
        self.name = name
        self.group = group
        self.text = text
        self.run = run
        self.options = (*options, *COMMON)
        self.words = words
        self.least = least
        self.most = most if words else 0
        self.completes = completes
        self.verbatim = verbatim


COMMON = (
    Option("config", "many", "the configuration: a file or a folder; may be given again", "FILE", "c"),
    Option("socket", "text", "talk to the daemon at this socket", "PATH"),
    Option("json", "flag", "print JSON"),
    Option("help", "flag", "tell about this command", short="h"),
)
