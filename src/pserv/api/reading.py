"""Lines of the services' logs for a client, read by a process of their own. How a file is read is in `system.logs`."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec

from pserv.api import operations as op
from pserv.keeper import quickjson
from pserv.model.errors import PservError, Refused, UsageError
from pserv.model.moments import parse_moment
from pserv.model.spec import ServiceSpec
from pserv.supervisor.main import Session
from pserv.system import launches, places
from pserv.system.outbox import END
from pserv.system.streams import Reader

MAX_LINE: Final = 1 << 20
"""Bytes of one line from a reader."""
LINES: Final = 10
"""How many of the last are given to who does not say what is wanted."""
FEW: Final = 5
"""So many services are named in one note."""
READERS: Final = 32
"""So many may be at work at once."""
_ERROR: Final = b'{"type":"error"'

_LINE: msgspec.json.Decoder[op.Line | op.Place | op.Note] = msgspec.json.Decoder(op.Line | op.Place | op.Note)


def pieces(session: Session, names: Iterable[str], request: op.Logs) -> AsyncIterator[bytes]:
    """Whole lines of JSON, as many as come together: nothing here looks into them. Raises UsageError, Refused."""
    if len(session.readers) >= READERS:
        raise Refused(f"cannot read logs: {READERS} others are read at this moment", "try again")
    chosen, notes = _choose(session, list(names), request)
    asked = _asked(session, chosen, request)
    if request.names and not asked["files"] and not request.follow:
        raise Refused(f"cannot read logs of {', '.join(request.names)}: what it prints is not kept", "stdout: PATH")
    return _pieces(session, asked, b"".join(msgspec.json.encode(note) + b"\n" for note in notes))


async def lines(session: Session, names: Iterable[str], request: op.Logs) -> AsyncIterator[op.Line]:
    """The same, a line each; notes are left out. Raises UsageError, PservError."""
    async for piece in _pieces(session, _asked(session, list(names), request)):
        for line in piece.splitlines():
            item = _LINE.decode(line)
            if isinstance(item, op.Line):
                yield item


async def _pieces(session: Session, asked: dict[str, Any], notes: bytes = b"") -> AsyncIterator[bytes]:
    """From a process of their own, so that a disk that hangs or a slow client holds up nobody; `notes` before them."""
    if notes:
        yield notes
    if not asked["files"]:
        return
    _, fds = await session.keeper.request({"op": "fork", "role": "reader", "argument": quickjson.dumps(asked)})
    sock = socket.socket(fileno=fds[0])
    session.readers.add(sock)
    try:
        async with Reader(session.tasks, sock) as reader:
            rest, first = b"", True
            while data := await reader.read():
                rest += data
                cut = rest.rfind(b"\n") + 1
                if not cut:
                    if len(rest) > MAX_LINE:
                        raise PservError("cannot read logs: a line has no end")
                    continue
                piece, rest = rest[:cut], rest[cut:]
                if first and piece.startswith(_ERROR):
                    raise _refusal(piece)
                first = False
                over = piece.endswith(END)
                if piece := piece.removesuffix(END):
                    yield piece
                if over:
                    return
        raise _unfinished(asked)
    finally:
        session.readers.discard(sock)


def _refusal(piece: bytes) -> PservError:
    """What the reader could not make sense of."""
    told = msgspec.json.decode(piece.split(b"\n", 1)[0], type=op.Error)
    return UsageError(told.message, told.hint)


def _unfinished(asked: dict[str, Any]) -> PservError:
    if asked.get("grep"):
        return UsageError(
            f"cannot search for {asked['grep']!r}: it takes too long on one of the lines",
            "an expression without repetitions inside repetitions, such as (a+)+",
        )
    return PservError("cannot go on reading: the process that reads logs was killed", "pserv logs, once more")


def _asked(session: Session, names: list[str], request: op.Logs) -> dict[str, Any]:
    """What `system.logs.reader` takes, of services whose logs can tell what is asked for. Raises UsageError."""
    supervisor = session.supervisor
    after = _after(request.after)
    if request.follow and (request.reverse or request.until is not None):
        raise UsageError(
            f"cannot follow {'in reverse' if request.reverse else 'until a moment'}: what comes has no end"
        )
    run = _run(request.run)
    files = []
    for name in names:
        spec = supervisor.specs[name]
        paths = {path: part for part, path in reversed(launches.log_files(name, spec, supervisor.places))}
        files += [
            {"service": name, "stream": part, "path": path, "after": after.get((name, part))}
            for path, part in reversed(paths.items())
            if request.stream in (None, part) or is_json(spec)
        ]
    if run == 0 and len(names) == 1:
        run = supervisor.lives[names[0]].run
    chosen = request.since or request.until or request.grep or request.level or request.run
    return {
        "files": files,
        "lines": request.lines if request.lines is not None or chosen else LINES,
        "since": _moment("since", request.since),
        "until": _moment("until", request.until),
        "run": run,
        **{
            field: getattr(request, field)
            for field in ("follow", "grep", "invert", "level", "reverse", "places", "stream")
            if getattr(request, field)
        },
    }


def is_json(spec: ServiceSpec) -> bool:
    """Whether each line tells its stream, its run and perhaps its level."""
    return getattr(spec.log, "format", "plain") == "json"


def _refusal_of(spec: ServiceSpec, request: op.Logs) -> tuple[str, str, str] | None:
    """What a log of this service cannot tell: what was asked of `{}`, why not, and what to declare."""
    if is_json(spec):
        return None
    if request.level is not None:
        return "cannot choose lines of {} by level", "its log does not tell levels", "log: {format: json, parse: json}"
    joined = spec.stderr is None or spec.stderr == spec.stdout
    if request.stream is not None and joined:
        hint = "log: {format: json}, or another path for stderr"
        return f"cannot tell {request.stream} of {{}} apart", "both streams are in one file", hint
    return None


def _choose(session: Session, names: list[str], request: op.Logs) -> tuple[list[str], list[op.Note]]:
    """Those whose logs can tell what is asked for. The others are left out, which is noted, where all were meant and
    some can. Raises UsageError."""
    specs, at = session.supervisor.specs, session.supervisor.places
    kept = [name for name in names if launches.log_files(name, specs[name], at)]
    refusals = {name: refusal for name in kept if (refusal := _refusal_of(specs[name], request)) is not None}
    if not refusals:
        return names, []
    first, (what, why, hint) = next(iter(refusals.items()))
    if request.names or len(refusals) == len(kept):
        raise UsageError(f"{what.format(first)}: {why}", hint)
    told = ", ".join(list(refusals)[:FEW]) + (f" and {len(refusals) - FEW} more" if len(refusals) > FEW else "")
    return [name for name in names if name not in refusals], [op.Note(first, f"{what.format(told)}: {why}", hint)]


def _run(text: str | None) -> int | None:
    """A run's id; 0 means the last."""
    if text is None:
        return None
    if text == "last":
        return 0
    number = text.rpartition("/")[2]  # an id as `status --json` has it ends with the number
    if not (number.isascii() and number.isdigit()) or not int(number):
        raise UsageError(f"cannot read the run {text!r}: it is a number, a run_id of pserv status --json, or last")
    return int(number)


def _moment(which: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_moment(text, time.time())
    except ValueError as error:
        raise UsageError(f"cannot read --{which}: {error}") from None


def _after(texts: Iterable[str]) -> dict[tuple[str, str], str]:
    """The places at which a follower goes on. Raises UsageError."""
    found = {}
    for text in texts:
        try:
            name, stream, at = text.split("/")
            places.parse(at)
        except ValueError:
            raise UsageError(f"cannot go on after {text!r}: this is no place in a log") from None
        found[name, stream] = at
    return found
