"""A stream of changes that ends with outcomes: shown as it comes, told at its end. Reads `api.operations` as JSON."""

from __future__ import annotations

from pserv.cli import render
from pserv.cli.terminal import Progress, Screen, err, out, printable, tell

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    Items = Callable[[], Iterable[dict[str, Any]]]

REPLACEMENTS = 20
"""So many supervisors may die while one action is waited for."""
UNDER_WAY = {
    "waiting": "waiting",
    "preparing": "starting",
    "starting": "starting",
    "closing": "stopping",
    "stopping": "stopping",
    "ending": "stopping",
    "cleaning": "stopping",
    "backoff": "backoff",
}
"""What is shown of a phase in which something is still to come."""


class Followed:
    """What a stream told: the plan of a reload, the end. `done` is None when the daemon went away before it.

    `ended` is the end of a `run`.
    """

    __slots__ = ("done", "ended", "plan")

    def __init__(self) -> None:
        self.done: dict[str, Any] | None = None
        self.plan: dict[str, Any] | None = None
        self.ended: dict[str, Any] | None = None


def follow(items: Iterable[dict[str, Any]], told: Followed, progress: Progress | None) -> None:
    """Shows changes on the live line, if any, until the stream ends; raises PservError for an error in it."""
    busy: dict[str, str] = {}
    try:
        for item in items:
            kind = item["type"]
            if kind == "change" and progress is not None:
                _note(busy, item["change"])
                progress.show(", ".join(f"{name} {word}" for name, word in busy.items()))
            elif kind == "plan":
                told.plan = item
            elif kind == "ended":
                told.ended = item
            elif kind == "done":
                told.done = item
    finally:
        if progress is not None:
            progress.clear()


def act(begin: Items, verb: str, again: Items | None = None) -> Followed:
    """Begins an action and follows it to its end. Ctrl-C ends the waiting, not the action, and says so.

    `again` is what to follow when the supervisor is replaced meanwhile: the action itself is remembered.
    """
    told = Followed()
    attempts = REPLACEMENTS if again else 0
    try:
        items = begin()
        while True:
            try:
                follow(items, told, Progress(err()))
                return told
            except Exception as error:
                if again is None or not attempts or not _went_away(error):
                    raise
            attempts -= 1
            items = again()
    except KeyboardInterrupt:
        tell(f"no longer waiting; the {verb} goes on", "pserv status")
        raise


def _went_away(error: Exception) -> bool:
    from pserv.model.errors import Unreachable

    return isinstance(error, Unreachable)


def finish(told: Followed, as_json: bool, *, waited: bool = True) -> int:
    """Prints outcomes, or without waiting only where things are; the exit code."""
    done = told.done
    if done is None:
        vanished()
    if as_json:
        from pserv.cli import json_output

        shown = {name: value for name, value in done.items() if name != "type"}
        if told.plan is not None:
            shown["plan"] = {name: value for name, value in told.plan.items() if name != "type"}
        json_output.show(shown)
    else:
        screen = out()
        for outcome in done["outcomes"]:
            screen.line(sentence(screen, outcome) if waited else f"{outcome['service']}: {outcome['state']}")
        if done["message"]:
            tell(done["message"])
    return 0 if done["ok"] else 1


def vanished() -> NoReturn:
    """The stream ended before it told the end."""
    from pserv.model.errors import PservError

    raise PservError("cannot tell how it ended: the daemon closed the connection", "pserv status")


def outcomes(screen: Screen, done: Iterable[dict[str, Any]]) -> None:
    for outcome in done:
        screen.line(sentence(screen, outcome))


def sentence(screen: Screen, outcome: dict[str, Any]) -> str:
    """ "web: running, pid 4242, after 0.8 s"; "worker: failed after 0.2 s: gave up after 5 retries …"."""
    state = str(outcome["state"])
    after = render.span(outcome["after"])
    colour = "red" if not outcome["ok"] else render.LOOKS.get(state, ("", "dim"))[1]
    mark = ""
    if screen.terminal:
        mark = (
            screen.paint(screen.symbol(render.LOOKS.get(state, ("○", ""))[0] if outcome["ok"] else "✗"), colour) + " "
        )
    name, word = screen.paint(outcome["service"], "bold"), screen.paint(state, colour)
    if outcome["ok"]:
        pid = f", pid {outcome['pid']}" if outcome.get("pid") else ""
        loudly = screen.paint(", needed SIGKILL", "yellow") if outcome.get("killed") else ""
        return f"{mark}{name}: {word}{pid}, after {after}{loudly}"
    reason = f": {printable(outcome['reason'])}" if outcome["reason"] else ""
    return f"{mark}{name}: {word} after {after}{reason}"


def _note(busy: dict[str, str], change: dict[str, Any]) -> None:
    if change.get("kind") != "state" or not change.get("service"):
        return
    word = change.get("phase", "")
    if word in UNDER_WAY:
        busy[change["service"]] = UNDER_WAY[word]
    else:
        busy.pop(change["service"], None)
