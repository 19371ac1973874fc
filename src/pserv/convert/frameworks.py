"""What a folder's own files say of the programs in it: Django, Flask, FastAPI, node, Rails, Rack, PHP, Rust, Go."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, Final

from pserv.config.hints import yaml_quoted
from pserv.convert.entries import Entry, Find

LARGEST: Final = 1 << 20
"""Bytes of a file that are looked at."""

_APPLICATION: Final = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(FastAPI|Flask|Starlette)\(", re.MULTILINE)
_MODULES: Final = ("main.py", "app.py", "wsgi.py", "asgi.py", "server.py", "run.py")


class Folder:
    """A folder that is looked into, with bounds."""

    def __init__(self, path: str) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        return os.path.isfile(os.path.join(self.path, name))

    def text(self, name: str) -> str:
        """The content of a file; "" where there is none that can be read."""
        try:
            with open(os.path.join(self.path, name), encoding="utf-8", errors="replace") as file:
                return file.read(LARGEST)
        except OSError:
            return ""

    def program(self, name: str) -> str:
        """A program of the folder's virtual environment, where there is one."""
        for folder in (".venv", "venv"):
            if os.access(os.path.join(self.path, folder, "bin", name), os.X_OK):
                return f"{folder}/bin/{name}"
        return name

    def folders(self) -> list[str]:
        try:
            found = sorted(os.scandir(self.path), key=lambda each: each.name)
        except OSError:
            return []
        return [each.name for each in found[:200] if each.is_dir() and not each.name.startswith((".", "node_modules"))]

    @property
    def python_needs(self) -> str:
        """What its Python packages are said to be, in one text."""
        files = ("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "setup.cfg", "requirements/base.txt")
        return "\n".join(self.text(name) for name in files).lower()


def find(folder: Folder) -> Iterator[Find]:
    """What each of the known files gives; nothing is run."""
    for name, read in _FILES.items():
        if folder.has(name):
            found = read(folder, name)
            if found.entries or found.remarks:
                yield found


def _django(folder: Folder, name: str) -> Find:
    project = next((each for each in folder.folders() if folder.has(f"{each}/wsgi.py")), "")
    web = Entry("web", name)
    python = folder.program("python3" if folder.program("python3") != "python3" else "python")
    web.runs(f"{python} manage.py runserver --noreload 127.0.0.1:$PORT")
    web.options |= {"port": 8000, "health": "tcp:${pserv.port}"}
    if project and "gunicorn" in folder.python_needs:
        line = f"{folder.program('gunicorn')} -b 127.0.0.1:${{pserv.port}} {project}.wsgi"
        web.remarks.append(f"in production: command: {line}")
    else:
        web.remarks.append("runserver is Django's own, for development: in production gunicorn or another")
    found = [web]
    if project and folder.has(f"{project}/celery.py"):
        worker = Entry("worker", f"{project}/celery.py")
        worker.runs(f"{folder.program('celery')} -A {project} worker")
        worker.options["stop"] = {"signal": "TERM", "timeout": "60s"}
        worker.remarks.append("TERM lets it finish the tasks at hand; it also needs its broker")
        found.append(worker)
    migrate = Entry("migrate", name, off="whether each start should migrate is yours to say")
    migrate.runs(f"{python} manage.py migrate")
    migrate.options["type"] = "oneshot"
    return Find(name, [*found, migrate])


def _python(folder: Folder, name: str) -> Find:
    """FastAPI, Starlette or Flask, from the module that makes the application."""
    if folder.has("manage.py"):
        return Find(name)
    for module in _modules(folder):
        made = _APPLICATION.search(folder.text(module))
        if made is None:
            continue
        variable, kind = made.groups()
        dotted = module.removesuffix(".py").removeprefix("src/").replace("/", ".").removesuffix(".__init__")
        entry = Entry("web", f"{module}:{folder.text(module)[: made.start()].count(chr(10)) + 1}")
        if kind == "Flask":
            entry.runs(f"{folder.program('flask')} --app {dotted}:{variable} run --port $PORT")
            entry.remarks.append("flask run is for development: in production gunicorn or another")
        else:
            entry.runs(f"{folder.program('uvicorn')} {dotted}:{variable} --port $PORT")
        if module.startswith("src/"):
            entry.options["env"] = {"PYTHONPATH": "src"}
        entry.options |= {"port": 8000, "health": "tcp:${pserv.port}"}
        if kind != "Flask":
            entry.remarks.append("watch: [.] restarts it when its files change, as uvicorn's --reload does")
        return Find(name, [entry])
    scripts = _table(folder.text(name), "project", "scripts") if name == "pyproject.toml" else {}
    entries = [Entry(script, name, off="whether it is a service is yours to say") for script in scripts]
    for entry in entries[:5]:
        entry.runs(folder.program(entry.name))
    return Find(name, entries[:5])


def _modules(folder: Folder) -> list[str]:
    tops = ["", *(f"{each}/" for each in folder.folders() if each not in ("tests", "docs", "venv")), "src/"]
    if os.path.isdir(os.path.join(folder.path, "src")):
        tops += [f"src/{each}/" for each in Folder(os.path.join(folder.path, "src")).folders()]
    return [f"{top}{name}" for top in tops for name in (*_MODULES, "__init__.py") if folder.has(f"{top}{name}")]


def _table(text: str, *path: str) -> dict[str, Any]:
    try:
        data: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _node(folder: Folder, name: str) -> Find:
    try:
        data = json.loads(folder.text(name))
    except (ValueError, RecursionError):
        return Find(name, [], ["is not taken: it is not JSON"])
    scripts = data.get("scripts") if isinstance(data, dict) else None
    scripts = {key: value for key, value in (scripts or {}).items() if isinstance(value, str) and _is_plain(key)}
    chosen = next((key for key in ("start", "dev", "serve") if key in scripts), None)
    runner = next((tool for lock, tool in _LOCKS.items() if folder.has(lock)), "npm")
    find = Find(name)
    if chosen is None and isinstance(main := data.get("main") if isinstance(data, dict) else None, str):
        if folder.has(main):
            find.entries.append(Entry("web", f"{name}: main", {"command": f"node {main}"}))
        return find
    for key in scripts:
        entry = Entry("web" if key == chosen else key.replace(":", "-"), f"{name}: scripts.{key}")
        entry.runs(f"{runner} run {key}")
        entry.remarks.append(f"{key}: {scripts[key]}")
        if key == chosen:
            entry.options["stop"] = {"scope": "group"}
            entry.remarks.append("the group is stopped, as npm does not hand signals on in all versions")
            find.entries.insert(0, entry)
        elif key in _OTHERS:
            entry.off = "another script; declare it if it should run beside the others"
            find.entries.append(entry)
    return find


_LOCKS: Final = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
_OTHERS: Final = ("dev", "serve", "worker", "watch", "queue", "jobs", "css", "api", "server", "client")


def _is_plain(key: str) -> bool:
    return bool(key) and all(char.isalnum() or char in "-_:." for char in key) and key[0].isalnum()


def _ruby(folder: Folder, name: str) -> Find:
    web = Entry("web", name)
    if folder.has("bin/rails"):
        web.origin = "bin/rails"
        web.runs("bin/rails server -p $PORT")
        web.options["env"] = {"PIDFILE": "/dev/null"}
        web.remarks.append("PIDFILE: a stale tmp/pids/server.pid would keep it from starting")
    elif folder.has("config.ru"):
        web.origin = "config.ru"
        web.runs("bundle exec rackup -p $PORT" if folder.has("Gemfile") else "rackup -p $PORT")
    else:
        return Find(name)
    web.options |= {"port": 3000, "health": "tcp:${pserv.port}"}
    entries = [web]
    if "sidekiq" in folder.text("Gemfile"):
        worker = Entry("worker", "Gemfile", {"command": "bundle exec sidekiq", "stop": {"timeout": "30s"}})
        entries.append(worker)
    return Find(web.origin, entries)


def _php(folder: Folder, name: str) -> Find:
    web = Entry("web", name)
    if folder.has("artisan"):
        web.origin = "artisan"
        web.runs("php artisan serve --port=$PORT")
        queue = Entry("queue", "artisan", {"command": "php artisan queue:work"})
        queue.off = "needed where jobs are queued"
        timer = Entry("schedule", "artisan", {"command": "php artisan schedule:run", "schedule": "* * * * *"})
        timer.off = "needed where tasks are scheduled"
        entries = [web, queue, timer]
    else:
        public = next((each for each in ("public", "web", "htdocs") if folder.has(f"{each}/index.php")), "")
        if not public and not folder.has("index.php"):
            return Find(name)
        web.runs(f"php -S 127.0.0.1:$PORT -t {public or '.'}")
        entries = [web]
    web.remarks.append("PHP's own server, for development: in production php-fpm behind nginx")
    web.options |= {"port": 8000, "health": "tcp:${pserv.port}"}
    return Find(web.origin, entries)


def _rust(folder: Folder, name: str) -> Find:
    package = _table(folder.text(name), "package").get("name")
    if not isinstance(package, str) or not folder.has("src/main.rs") or not _is_plain(package):
        return Find(name)
    entry = Entry(package, name, {"command": "cargo run --release"})
    entry.remarks.append(f"once it is built, its program starts faster: target/release/{package}")
    entry.remarks.append("start_timeout: 10m  where it is ready by a probe: the first start builds it")
    return Find(name, [entry])


def _go(folder: Folder, name: str) -> Find:
    if not folder.has("main.go"):
        return Find(name)
    entry = Entry("app", name, {"command": "go run ."})
    entry.remarks.append(f"better build it first, and write command: {yaml_quoted('./app')}: go run hides its signals")
    return Find(name, [entry])


_FILES: Final[dict[str, Callable[[Folder, str], Find]]] = {
    "manage.py": _django,
    "pyproject.toml": _python,
    "requirements.txt": _python,
    "package.json": _node,
    "Gemfile": _ruby,
    "config.ru": _ruby,
    "composer.json": _php,
    "Cargo.toml": _rust,
    "go.mod": _go,
}
