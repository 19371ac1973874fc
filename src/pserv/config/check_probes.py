"""Mistakes within a probe, and between a probe and the rest of its service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from pserv.config.findings import shown
from pserv.model import units
from pserv.model.probe import KINDS, Http, Probe
from pserv.model.spec import ServiceSpec

Wrong = tuple[tuple[str, ...], str, str]
"""The option, from `ready` or `health` on; what is wrong; a hint."""

SHORTEST: Final = 0.1
"""Seconds between two questions at least."""
LONGEST_PATTERN: Final = 4096
"""Characters of a regular expression: compiling one of a million takes seconds and a hundred megabytes."""
_STATUS: Final = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?\Z")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FORMS: Final = "write one of http, tcp, unix, exec, file and log, such as tcp: {port: 5432}"


def mistakes(spec: ServiceSpec) -> Iterator[Wrong]:
    """All mistakes of both probes."""
    for which in ("ready", "health"):
        probe: Probe | None = getattr(spec, which)
        if probe is None:
            continue
        kinds = [kind for kind in KINDS if getattr(probe, kind, None) is not None]
        if not kinds:
            yield (which,), "does not say what to ask", _FORMS
        elif len(kinds) > 1:
            yield (which, kinds[1]), f"set beside {kinds[0]}", "keep one: a probe asks one question"
        else:
            kind = kinds[0]
            for option, message, hint in _KINDS.get(kind, _nothing)(probe):
                yield (which, kind, *option), message, hint
        yield from _times(which, probe, spec)
        yield from _beside(which, probe, spec)


def _times(which: str, probe: Probe, spec: ServiceSpec) -> Iterator[Wrong]:
    if probe.interval is not None and probe.interval < SHORTEST:
        yield (which, "interval"), "is shorter than 100ms", "write 100ms or more"
    if probe.timeout == 0:
        yield (which, "timeout"), "leaves no time for an answer", "write 1s or more"
    limit = spec.time_to_start
    if limit is not None and probe.initial_delay >= limit:
        message = (
            f"{units.write_duration(probe.initial_delay)} is as long as start_timeout, {units.write_duration(limit)}"
        )
        yield (which, "initial_delay"), message, "raise start_timeout, or remove it: early failures do not count"


def _beside(which: str, probe: Probe, spec: ServiceSpec) -> Iterator[Wrong]:
    """What the rest of the service makes of it."""
    if spec.type == "oneshot":
        yield (which,), "has no meaning for a oneshot, which is ready when it has ended", "remove it"
    elif spec.type == "notify" and which == "ready":
        yield (
            (which,),
            "set beside type: notify, where the service says itself that it is ready",
            "remove one of the two",
        )
    if probe.log is not None and not any(_readable(each) for each in (spec.stdout, spec.stderr)):
        yield (which, "log"), f"reads what is written to files, and stdout is {spec.stdout}", "write stdout: log"


def _readable(output: str | None) -> bool:
    return output is not None and output not in ("null", "inherit", "syslog") and not output.startswith("/dev/")


def _http(probe: Probe) -> Iterator[Wrong]:
    http = probe.http or Http()
    yield from _port(http.port, http.host, "http://:8080/health")
    if not http.path.startswith("/") or not _printable(http.path):
        yield ("path",), f"{shown(http.path)} is no path of a URL", "write it from its first /, blanks as %20"
    if not _TOKEN.match(http.method):
        yield ("method",), f"{shown(http.method)} is no method", "write GET, HEAD, POST, or another word"
    for span in http.status:
        found = _STATUS.match(span)
        if found is None or (found[2] and found[2] < found[1]):
            yield ("status",), f"{shown(span)} is neither a status nor a range of them", "write [200, 300-399]"
    for name, value in http.headers.items():
        if not _TOKEN.match(name) or any(char in value for char in "\r\n\0"):
            yield ("headers",), f"{shown(name)} cannot be sent as a header", "write NAME: value, on one line"


def _tcp(probe: Probe) -> Iterator[Wrong]:
    if probe.tcp is not None:
        yield from _port(probe.tcp.port, probe.tcp.host, "tcp:5432")


def _port(port: int | None, host: str, example: str) -> Iterator[Wrong]:
    if port is None:
        yield (), "has no port", f"write the port that it listens on: {example}"
    if not host or not _printable(host) or "/" in host:
        yield ("host",), f"{shown(host)} is no host", "write a name or an address, without a port"


def _log(probe: Probe) -> Iterator[Wrong]:
    if probe.log is None:
        return
    if len(probe.log.pattern) > LONGEST_PATTERN:
        told = f"has {len(probe.log.pattern)} characters, more than {LONGEST_PATTERN}"
        yield ("pattern",), told, "write a part of the line that tells it apart"
        return
    try:
        re.compile(probe.log.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        told = f"{shown(probe.log.pattern)} is no regular expression: {error}"
        yield ("pattern",), told, "put a \\ before what is meant literally: . * + ? ( ) [ ] { } ^ $ |"
    else:
        if not probe.log.pattern:
            yield ("pattern",), "is an empty text, which any line has", "write what the line says"


def _nothing(probe: Probe) -> Iterator[Wrong]:
    return iter(())


def _printable(text: str) -> bool:
    return text.isprintable() and not any(char.isspace() for char in text)


_KINDS: Final[dict[str, Callable[[Probe], Iterator[Wrong]]]] = {"http": _http, "tcp": _tcp, "log": _log}
