"""`pserv config --explain OPTION`: what an option is, as on the page of all options."""

from __future__ import annotations

from pserv.cli import terminal

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pserv.cli.parse import Arguments
    from pserv.cli.terminal import Screen
    from pserv.config.explaining import Explanation

_LABEL = 12


def explain(arguments: Arguments, option: str) -> int:
    """Tells of one option. Raises UsageError where there is none of that name."""
    from pserv.config.explaining import explain as explained

    told = explained(option)
    if arguments.flag("json"):
        import msgspec

        from pserv.cli import json_output

        json_output.show(msgspec.to_builtins(told))
        return 0
    screen = terminal.out()
    for line in _lines(screen, told):
        screen.line(line)
    return 0


def _lines(screen: Screen, told: Explanation) -> Iterator[str]:
    yield f"{screen.paint(told.option, 'bold')}: an option of {told.of}"
    yield from _folded(screen, told.text, 2)
    yield ""
    change = {True: "acts at once on a running service", False: "restarts a running service", None: ""}[told.live]
    if told.of == "the daemon" and told.live:
        change = "acts at once"
    facts = [("value", told.value), ("default", told.default), ("a change", change), ("example", told.example)]
    for label, text in facts:
        if text:
            first, *more = _folded(screen, text, _LABEL)
            yield f"  {screen.paint(f'{label:<{_LABEL - 2}}', 'dim')}{first.strip()}"
            yield from more
    if told.options:
        yield ""
        yield screen.paint("options", "bold")
        width = min(max(map(len, told.options)), 22)
        for name, text in told.options.items():
            first, *more = _folded(screen, text, width + 4) or [""]
            yield f"  {name:<{width}}  {first.strip()}"
            yield from more


def _folded(screen: Screen, text: str, indent: int) -> list[str]:
    lines = terminal.wrap(text, max(screen.width - indent, 30)) if screen.width else [text]
    return [" " * indent + line for line in lines]
