"""The story of one service as text: `status NAME`, `why NAME`, `show NAME`. Reads `model.status` as JSON."""

from __future__ import annotations

import time

from pserv.cli import render
from pserv.cli.terminal import Screen, printable, wrap

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

HISTORY = 8
"""So many of the last changes are told; `pserv events NAME` has all."""


NEWS = {"ready": "green", "unready": "yellow", "healthy": "green", "unhealthy": "red"}
"""Colours of what may be told of a service that goes on running."""


def tell(screen: Screen, story: dict[str, Any], now: float) -> list[str]:
    """All about a service."""
    service = story["service"]
    lines = [_title(screen, service, story)]
    lines += _fields(screen, _facts(story, now))
    if story["why"]:
        lines += ["", *_section(screen, "Why", story["why"])]
    crash = story.get("crash")
    if crash:
        lines += ["", *_crash(screen, crash, now)]
    for which, results in service.get("probes", {}).items():
        lines += ["", *_probe(screen, which, results, now)]
    history = story["history"][-HISTORY:]
    if history:
        lines += ["", screen.paint("History", "bold"), *("  " + change(screen, each, now) for each in history)]
    if story["lines"]:
        lines += ["", *_section(screen, "Last lines", story["lines"], fold=False)]
    return lines


def reasons(screen: Screen, story: dict[str, Any]) -> list[str]:
    """The chain of sentences of `pserv why`: the state first, what comes next last."""
    service = story["service"]
    symbol, colour = render.look(service)
    mark = screen.paint(screen.symbol(symbol) + " ", colour) if screen.terminal else ""
    first, *more = list(story["why"]) or [f"{render.state_word(service)}: {service['reason']}"]
    if service.get("trouble") and service["trouble"] not in more:
        more.append(service["trouble"])
    width = len(service["name"]) + 4
    head, *folded = _folded(screen, printable(first), width)
    lines = [f"{mark}{screen.paint(service['name'], 'bold')}: {head}", *("    " + piece for piece in folded)]
    for sentence in more:
        lines += ["  " + piece for piece in _folded(screen, printable(sentence), 2)]
    return lines


def change(screen: Screen, told: dict[str, Any], now: float, names: bool = False) -> str:
    """One row of history."""
    at = told["at"]
    clock = time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"
    if now - at > 43_200:
        clock = time.strftime("%Y-%m-%d ", time.localtime(at)) + clock
    what = told.get("phase") if told["kind"] == "state" else told["kind"]
    _, colour = render.LOOKS.get(str(what), ("", NEWS.get(str(what), "")))
    parts = [screen.paint(clock, "dim")]
    if names:
        parts.append(screen.paint(told["service"], "bold") if told["service"] else "-")
    parts.append(screen.paint(str(what), *([colour] if colour else [])))
    if told.get("pid"):
        parts.append(f"pid {told['pid']}")
    if told.get("reason"):
        parts.append(screen.paint(screen.symbol("·"), "dim") + " " + printable(told["reason"]))
    return " ".join(parts)


def clock(at: float, now: float) -> str:
    """A time on the wall here; with its day where that was not the last half."""
    told = time.strftime("%H:%M:%S", time.localtime(at))
    return time.strftime("%Y-%m-%d ", time.localtime(at)) + told if now - at > 43_200 else told


def launch(screen: Screen, name: str, told: dict[str, Any]) -> list[str]:
    """The exact exec of a service."""
    import shlex

    who = told["user"] + (f":{told['group']}" if told["group"] else "")
    if told["groups"]:
        who += " and " + ", ".join(told["groups"])
    facts = [
        ("exec", shlex.join(told["argv"])),
        ("in", told["cwd"]),
        ("as", who),
        ("umask", told["umask"]),
        ("nice", "" if told["nice"] is None else str(told["nice"])),
        ("oom", "" if told["oom_score_adj"] is None else str(told["oom_score_adj"])),
        ("stdout", told["stdout"]),
        ("stderr", told["stderr"]),
        ("terminal", "yes" if told["tty"] else ""),
        ("inherits", told["inherits"]),
    ]
    lines = [screen.paint(name, "bold"), *_fields(screen, facts)]
    if told["env"]:
        lines += [
            "",
            *_section(screen, "Environment", [f"{k}={v}" for k, v in sorted(told["env"].items())], fold=False),
        ]
    if told["steps"]:
        lines += ["", *_section(screen, "Before exec", told["steps"])]
    return lines


def _title(screen: Screen, service: dict[str, Any], story: dict[str, Any]) -> str:
    symbol, colour = render.look(service)
    mark = screen.paint(screen.symbol(symbol), colour) + " " if screen.terminal else ""
    description = f" - {printable(story['description'])}" if story["description"] else ""
    return mark + screen.paint(service["name"], "bold") + description


def _facts(story: dict[str, Any], now: float) -> list[tuple[str, str]]:
    """(what, value) of each line; those without a value are not shown."""
    service = story["service"]
    told = [("state", _state(service, now)), ("reason", printable(service["reason"])), *_present(service, now)]
    if story.get("schedule"):
        told.append(("schedule", story["schedule"]))
        told.append(("next runs", ", ".join(each["text"] for each in story["next_runs"])))
        ends = [f"{clock(each['at'], now)} {each['text']}" for each in story["last_runs"]]
        told.append(("last runs", "; ".join(ends)))
    if last := service.get("last_exit"):
        ago = render.duration(max(now - last["at"], 0.0))
        told.append(("last end", f"{printable(last['text'])}, {ago} ago, after {render.duration(last['uptime'])}"))
    left = service.get("retries_left")
    told.append(("restarts", str(service["restarts"]) + ("" if left is None else f", {left} left")))
    return told + _declared(story)


def _state(service: dict[str, Any], now: float) -> str:
    state = render.state_word(service)
    if service.get("since") is not None:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(service["since"]))
        state += f" since {since} ({render.duration(max(now - service['since'], 0.0))})"
    if service["state"] == "running" and not service["ready"]:
        state += ", not ready"
    return state + (f", {service['health']}" if service.get("health") else "")


def _present(service: dict[str, Any], now: float) -> list[tuple[str, str]]:
    """What a service does, says and uses now."""
    told = []
    if service.get("next") is not None:
        at_the_end = service["state"] == "running"
        told.append(("ends" if at_the_end else "next", f"in {render.duration(max(service['next'] - now, 0.0))}"))
    for hook in service.get("hooks") or ():
        told.append(("hook", f"{printable(hook['title'])} for {render.duration(max(now - hook['since'], 0.0))}"))
    told += [(word, printable(service.get(word, ""))) for word in ("says", "trouble")]
    if service.get("dropped_lines"):
        told.append(("dropped", f"{service['dropped_lines']} lines of output, {render.size(service['dropped_bytes'])}"))
    if service.get("pid") is not None:
        several = service.get("processes") or 1
        told.append(("pid", str(service["pid"]) + (f" and {several - 1} more" if several > 1 else "")))
        used = [render.share(service.get("cpu")) + " CPU", render.size(service.get("memory")) + " memory"]
        told.append(("uses", ", ".join(each for each in used if not each.startswith("- "))))
    return told


def _declared(story: dict[str, Any]) -> list[tuple[str, str]]:
    note = f"the declaration changed since this run began: pserv restart {story['service']['name']}"
    return [
        ("policy", story["policy"]),
        ("command", printable(story["command"])),
        ("in", story["cwd"]),
        ("as", story["user"]),
        ("listens", ", ".join(map(printable, story.get("sockets") or ()))),
        ("needs", ", ".join(story["depends_on"])),
        ("needed by", ", ".join(story["needed_by"])),
        ("tags", ", ".join(story["tags"])),
        ("stdout", story["stdout"]),
        ("stderr", "" if story["stderr"] == story["stdout"] else story["stderr"]),
        ("note", note if story.get("stale") else ""),
    ]


def _fields(screen: Screen, facts: list[tuple[str, str]]) -> list[str]:
    lines = []
    for name, value in facts:
        if value:
            pieces = _folded(screen, value, 13)
            lines.append("  " + screen.paint(f"{name:>9}", "dim") + "  " + pieces[0])
            lines += [" " * 13 + piece for piece in pieces[1:]]
    return lines


def _section(screen: Screen, title: str, told: Any, fold: bool = True) -> list[str]:
    lines = [screen.paint(title, "bold")]
    for each in told:
        text = printable(each)
        lines += ["  " + piece for piece in (_folded(screen, text, 2) if fold else [text])]
    return lines


def _crash(screen: Screen, crash: dict[str, Any], now: float) -> list[str]:
    ago = render.duration(max(now - crash["at"], 0.0))
    head = f"{printable(crash['text'])}, {ago} ago, after {render.duration(crash['uptime'])}"
    used = f"used {crash['user_cpu']:.2f} s user, {crash['system_cpu']:.2f} s system"
    if crash["max_rss"]:
        used += f", {render.size(crash['max_rss'])}"
    ran = crash["max_rss"] or crash["user_cpu"] or crash["system_cpu"]
    return _section(screen, "Last failure", [head, *([used] if ran else []), *crash["lines"]], fold=False)


def _probe(screen: Screen, which: str, results: list[dict[str, Any]], now: float) -> list[str]:
    """The last answers to a probe; those of the present run, and others with their run."""
    lines = [screen.paint(f"Probe {which}", "bold")]
    for each in results:
        clock = time.strftime("%H:%M:%S", time.localtime(each["at"])) + f".{int(each['at'] * 1000) % 1000:03d}"
        mark = screen.paint("ok  " if each["ok"] else "fail", "green" if each["ok"] else "red")
        other = "" if each["run"] == results[-1]["run"] else f", run {each['run']}"
        took = screen.paint(f"in {render.duration(each['duration'])}{other}", "dim")
        lines.append(f"  {screen.paint(clock, 'dim')} {mark} {printable(each['detail'])} {took}")
    return lines


def _folded(screen: Screen, text: str, indent: int) -> list[str]:
    return wrap(text, max(screen.width - indent, 20)) if screen.width else [text]
