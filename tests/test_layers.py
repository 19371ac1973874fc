"""Imports point one way: what each folder may import of ours, and what is never in the daemon."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pserv"

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "rules": ("rules", "model"),
    "config": ("config", "model", "rules", "system.packing"),
    "keeper": ("keeper",),
    "logger": ("logger", "keeper.channel", "keeper.protocol", "keeper.quickjson"),
    "system": (
        *("system", "model", "keeper.channel", "keeper.loop", "keeper.protocol"),
        *("keeper.host", "keeper.memory", "keeper.quickjson"),
        *("logger.tail", "logger.journal", "logger.index", "logger.rotated", "logger.rotation"),
        *("logger.retention", "logger.calls"),
    ),
    "supervisor": (
        *("supervisor", "system", "rules", "model"),
        *("keeper.channel", "keeper.protocol", "keeper.memory", "keeper.quickjson"),
        *("keeper.host", "keeper.strays", "keeper.cgroup"),
        "keeper.inheriting",
    ),
    "api.operations": ("model",),
    "api.client": ("api", "model", "keeper.quickjson"),
    "api": (
        *("api", "supervisor", "system", "rules", "model"),
        *("keeper.loop", "keeper.protocol", "keeper.memory", "keeper.quickjson"),
    ),
    "export": ("model", "system.archive", "system.places", "system.scan"),
    "convert": ("convert", "model", "config"),
    "cli": (
        *("cli", "api.client", "api.failures", "api.operations", "api.routes", "model", "config", "convert", "boot"),
        "keeper.quickjson",
    ),
}

NEVER_IN_RULES = {"os", "time", "asyncio", "socket", "random", "threading", "subprocess", "select"}


def modules(top: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of all modules of one folder, or of the module of this name."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        if name.split(".")[0] == top:
            yield name, ast.parse(path.read_text())


def tops() -> list[str]:
    """The folders, and the modules beside them. (No syntax trees: each worker of a test run collects all tests.)"""
    return sorted(path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(module: str) -> tuple[str, ...] | None:
    fits = [name for name in MAY_IMPORT if module == name or module.startswith(f"{name}.")]
    return MAY_IMPORT[max(fits, key=len)] if fits else None


@pytest.mark.parametrize("top", tops())
def test_imports_point_one_way(top: str) -> None:
    wrong = []
    for module, tree in modules(top):
        may = allowed(module)
        ours = [name.removeprefix("pserv.") for name in imports(tree) if name.startswith("pserv.")]
        wrong += [
            f"{module} imports {name}"
            for name in ours
            if may is not None and name != "__version__" and not any(f"{name}.".startswith(f"{each}.") for each in may)
        ]
    assert not wrong


def test_decisions_touch_no_system() -> None:
    wrong = [
        (module, name)
        for module, tree in modules("rules")
        for name in imports(tree)
        if name.split(".")[0] in NEVER_IN_RULES
    ]
    assert not wrong


def test_keeper_and_logger_need_the_standard_library_only() -> None:
    wrong = [
        (module, name)
        for module, tree in (*modules("keeper"), *modules("logger"))
        for name in imports(tree)
        if name.split(".")[0] not in sys.stdlib_module_names | {"pserv"}
    ]
    assert not wrong


HEAVY = {
    "_ssl",
    "yaml",
    "click",
    "hashlib",
    "_hashlib",
    "psutil",
    "difflib",
    "subprocess",
    "email",
    "xml",
    "multiprocessing",
}
NEVER_IN_SUPERVISOR = HEAVY | {
    "decimal",
    "platform",
    "uuid",
    "asyncio",
    "ssl",
    "logging",
    "concurrent",
    "contextvars",
    "dataclasses",
    "h11",
    "inspect",
    "json",
    "traceback",
    "random",
    "tempfile",
    "threading",
}
KEEPER_ONLY_LIGHT = HEAVY | {
    "json",
    "re",
    "threading",
    "traceback",
    "typing",
    "asyncio",
    "msgspec",
    "h11",
    "inspect",
    "logging",
    "ctypes",
    "tempfile",
    "shutil",
    "random",
}


def loaded_by(code: str) -> set[str]:
    """The modules a fresh interpreter holds after this code."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_keeper_stays_small() -> None:
    """Its size is what every fork copies, and every page of it can be there three times."""
    found = KEEPER_ONLY_LIGHT & loaded_by("import pserv.boot, pserv.roles; pserv.roles.Roles()")
    assert not found


def test_the_supervisor_holds_nothing_heavy() -> None:
    """asyncio would be 3 MB and 50 ms, libcrypto 5 MB, dataclasses with the inspect they import 1 MB and 20 ms."""
    code = "from pserv import sparing; sparing.load_msgspec()  # as roles.py does"
    found = NEVER_IN_SUPERVISOR & loaded_by(
        f"{code}\nimport pserv.supervisor.main, pserv.api.handlers, pserv.api.server"
    )
    assert not found
