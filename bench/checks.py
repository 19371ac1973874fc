"""What `pserv check` takes for 1000 services in 200 files: CPU beyond an interpreter that does nothing.

`python bench/checks.py [ROUNDS]` measures this alone, with Pserv of the interpreter that runs it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Book
from stage import BenchError, Stage

FILES = 200
EACH = 5
"""Services in a file."""

SERVICE = """
  web-{n}:
    command: python3 -m http.server {port} --bind 127.0.0.1
    description: "The web server number {n}"
    env:
      DATABASE_URL: "postgres://db:5432/app{n}"
      LOG_LEVEL: ${{LOG_LEVEL:-info}}
    tags: [front, web]
    depends_on: [web-{before}]
    health:
      http: {{path: /health, port: {port}}}
      interval: 10s
    stop: {{signal: QUIT, timeout: 30s}}
    log: {{rotate: {{size: 10MB, keep: 7}}}}
"""
MAIN = "include: apps\ndefaults: {restart: on-failure:5, env: {LANG: C.UTF-8}}\nservices: {web-0: {command: 'true'}}\n"


def checks(stage: Stage, book: Book, rounds: int) -> None:
    """The interpreter alone and with `check`, in turn."""
    folder = stage.folder / "check"
    folder.mkdir()
    main = write(folder)
    for _ in range(rounds):
        book.add("check.1000", "pserv", beyond(stage.pserv_bin / "python", main))


def write(folder: Path) -> Path:
    """The configuration; its main file."""
    (folder / "apps").mkdir()
    for file in range(FILES):
        numbers = range(file * EACH + 1, file * EACH + EACH + 1)
        services = (SERVICE.format(n=n, port=8000 + n, before=n - 1) for n in numbers)
        (folder / f"apps/{file:03}.yaml").write_text(f"services:{''.join(services)}")
    main = folder / "pserv.yaml"
    main.write_text(MAIN)
    return main


def beyond(python: Path, main: Path) -> float:
    """Seconds of processor time that `check` of these files takes more than an interpreter that does nothing."""
    check = _seconds([str(python), "-m", "pserv", "check", "-c", str(main)])
    return check - _seconds([str(python), "-c", ""])


def _seconds(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder))
        took = [beyond(Path(sys.executable), file) for _ in range(rounds)]
    middle, least = statistics.median(took) * 1000, min(took) * 1000
    print(f"check of {FILES * EACH} services: {middle:.0f} ms CPU, least {least:.0f}")


if __name__ == "__main__":
    main()
