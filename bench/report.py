"""The results as a table for the terminal, as Markdown for the README, and as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from typing import Any

from figures import FIGURES, Book, Figure
from stage import SUPERVISOR

Row = tuple[str, str, str, str, str, str]
HEAD: Row = ("", "floor", "supervisord", "Pserv", "Pserv ÷ supervisord", "wanted")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rows(book: Book) -> list[Row]:
    """A row of cells for every figure that was measured."""
    found = []
    for figure in FIGURES:
        values = book.values(figure)
        if values:
            found.append(_row(figure, values))
    return found


def _row(figure: Figure, values: dict[str, float]) -> Row:
    pserv, other = values.get("pserv"), values.get("supervisord")
    ratio = f"{pserv / other:.3g}" if pserv is not None and other else ""
    title = f"{figure.title} ({figure.unit})" if figure.unit else figure.title
    return (title, _number(values.get("floor")), _number(other), _number(pserv), ratio, _verdict(figure, values))


def _verdict(figure: Figure, values: dict[str, float]) -> str:
    told = []
    known = {limit.of for limit in figure.limits} | {"floor", "supervisord", "pserv"}
    others = [f"{name} {_number(value)}" for name, value in values.items() if name not in known]
    for limit in figure.limits:
        held = limit.holds(values["pserv"], values) if "pserv" in values else None
        other = "" if limit.of in ("", "floor", "supervisord") else f" ({_number(values.get(limit.of))})"
        told.append(f"{limit}{other}{'' if held is None else ' ✓' if held else ' ✗'}")
    return ", ".join([*told, *others])


def table(book: Book) -> str:
    """For the terminal: aligned columns."""
    lines = [HEAD, *rows(book)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, len(HEAD) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(book: Book) -> str:
    """For the README; without the columns of what is wanted."""
    lines = ["| " + " | ".join(HEAD[:-1]) + " |", "|---|" + "---:|" * (len(HEAD) - 2)]
    lines += ["| " + " | ".join(row[:-1]) + " |" for row in rows(book)]
    return "\n".join(lines)


def facts() -> dict[str, Any]:
    """What the figures depend on. `load` is the load average before the run: above 0.3 somebody else worked."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "against": SUPERVISOR,
    }


def as_json(book: Book, about: dict[str, Any]) -> str:
    """Everything: facts, figures with ratio and verdicts, raw samples (seconds, bytes, counts), failures."""
    figures: dict[str, Any] = {}
    for figure in FIGURES:
        values = book.values(figure)
        if values:
            figures[figure.key] = {
                "title": figure.title,
                "unit": figure.unit,
                **values,
                "ratio": values["pserv"] / values["supervisord"]
                if values.get("supervisord") and "pserv" in values
                else None,
                "wanted": {
                    str(limit): limit.holds(values["pserv"], values) if "pserv" in values else None
                    for limit in figure.limits
                },
            }
    whole = {"about": about, "figures": figures, "samples": book.samples, "failures": book.failures}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def from_json(text: str) -> Book:
    """The book of an earlier run."""
    whole = json.loads(text)
    book = Book()
    book.samples, book.failures = whole["samples"], whole["failures"]
    return book
