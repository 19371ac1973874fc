"""The table of `pserv status`, and the words for one row. Reads the API's answer as it came: `model.status` as JSON."""

from __future__ import annotations

from pserv.cli.terminal import Screen, printable, wrap
from pserv.model.units import show_duration, show_size

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LOOKS = {
    "running": ("●", "green"),
    "starting": ("◐", "yellow"),
    "waiting": ("◐", "yellow"),
    "backoff": ("↻", "yellow"),
    "stopping": ("◐", "yellow"),
    "stopped": ("○", "dim"),
    "exited": ("✓", "dim"),
    "failed": ("✗", "red"),
}
COLUMNS = ("NAME", "STATE", "READY", "HEALTH", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY")
RIGHT = ("PID", "UPTIME", "RESTARTS", "CPU", "MEMORY")
DISPENSABLE = ("CPU", "RESTARTS", "MEMORY", "READY", "UPTIME", "PID", "HEALTH")
"""What a narrow terminal goes without, first to go first."""
LEAST_WHY = 28
"""Columns for a reason beside its row; with fewer it goes below."""


def table(screen: Screen, services: Sequence[dict[str, Any]], now: float) -> list[str]:
    """The lines of the table. `now` is seconds since the epoch."""
    cells = [_cells(service) for service in services]
    reasons = [why(service, now) for service in services]
    indent = 2 if screen.terminal else 0
    widths = {name: max([len(name), *(len(row[name]) for row in cells)]) for name in COLUMNS}
    columns = [name for name in COLUMNS if name != "HEALTH" or any(service.get("health") for service in services)]
    shown = _fitting(columns, widths, screen.width, indent)
    used = indent + sum(widths[name] for name in shown) + 2 * len(shown)
    title = "".join(_padded(name, name, widths) + "  " for name in shown)
    told = any(reasons)
    beside = told and (screen.width is None or screen.width - used >= LEAST_WHY)
    lines = [screen.paint((" " * indent + title + ("WHY" if beside else "")).rstrip(), "dim")]
    for service, row, reason in zip(services, cells, reasons, strict=True):
        text = _row(screen, service, row, shown, widths)
        if reason and beside:
            pieces = wrap(reason, screen.width - used) if screen.width else [reason]
            lines.append(text + pieces[0])
            lines += [" " * used + piece for piece in pieces[1:]]
            continue
        lines.append(text.rstrip())
        if reason:
            lines += [" " * (indent + 2) + piece for piece in wrap(reason, max((screen.width or 80) - indent - 2, 20))]
    return lines


def look(service: dict[str, Any]) -> tuple[str, str]:
    """Symbol and colour of a service."""
    symbol, colour = LOOKS.get(service["state"], ("○", "dim"))
    if service["state"] == "running":
        if service.get("health") == "unhealthy":
            return symbol, "red"
        if not service["ready"]:
            return "◐", "yellow"
    return symbol, colour


def state_word(service: dict[str, Any]) -> str:
    if service["state"] == "running" and service.get("reloading"):
        return "reloading"
    return str(service["state"])


def wrong(service: dict[str, Any]) -> bool:
    """Whether something is not as it was asked for: exit code 1 of `status`."""
    return service["state"] in ("failed", "backoff") or service.get("health") == "unhealthy"


def why(service: dict[str, Any], now: float) -> str:
    """The reason, where there is something to tell; one line."""
    told = [service["reason"]] if service["reason"] and _telling(service) else []
    if service["state"] == "backoff" and service.get("next") is not None:
        told.append(f"again in {show_duration(max(service['next'] - now, 0.0))}")
    if service.get("trouble"):
        told.append(service["trouble"])
    return printable("; ".join(told))


def share(cpu: float | None) -> str:
    """CPU as a share of one processor: 0.5 is "50%"."""
    if cpu is None:
        return "-"
    return f"{cpu * 100:.1f}%" if cpu < 0.0995 else f"{cpu * 100:.0f}%"


def size(number: int | None) -> str:
    return "-" if number is None else show_size(number)


def duration(seconds: float | None) -> str:
    return "-" if seconds is None else show_duration(seconds)


def span(seconds: float) -> str:
    """A short time, for outcomes: "0.8 s", "12 s", "3m 5s"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else show_duration(seconds)


def _telling(service: dict[str, Any]) -> bool:
    return (
        service["state"] in ("failed", "backoff", "waiting", "starting", "stopping")
        or service.get("health") == "unhealthy"
        or (service["state"] == "stopped" and service["goal"] == "up")
    )


def _cells(service: dict[str, Any]) -> dict[str, str]:
    alive = service.get("pid") is not None
    return {
        "NAME": printable(service["name"]),
        "STATE": state_word(service),
        "READY": "yes" if service["ready"] else "no" if alive else "-",
        "HEALTH": service.get("health") or "-",
        "PID": str(service["pid"]) if alive else "-",
        "UPTIME": duration(service.get("uptime")),
        "RESTARTS": str(service["restarts"]),
        "CPU": share(service.get("cpu")),
        "MEMORY": size(service.get("memory")),
    }


def _fitting(columns: Iterable[str], widths: dict[str, int], width: int | None, indent: int) -> tuple[str, ...]:
    shown = list(columns)
    for name in DISPENSABLE:
        if width is None or indent + sum(widths[n] for n in shown) + 2 * (len(shown) - 1) <= width:
            break
        if name in shown:
            shown.remove(name)
    return tuple(shown)


def _padded(name: str, text: str, widths: dict[str, int]) -> str:
    return text.rjust(widths[name]) if name in RIGHT else text.ljust(widths[name])


def _row(
    screen: Screen, service: dict[str, Any], row: dict[str, str], shown: Iterable[str], widths: dict[str, int]
) -> str:
    symbol, colour = look(service)
    parts = [screen.paint(screen.symbol(symbol), colour) + " "] if screen.terminal else []
    for name in shown:
        text = _padded(name, row[name], widths)
        if name == "STATE" or row[name] == "unhealthy":
            text = screen.paint(text, colour)
        elif row[name] == "-":
            text = screen.paint(text, "dim")
        parts.append(text + "  ")
    return "".join(parts)
