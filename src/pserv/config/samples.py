"""A line of YAML for each option, as an example. What an option means is in `model.spec`; a test reads each line."""

from __future__ import annotations

from typing import Final

from pserv.config.shapes import COMMANDS, SHORT, Option, Shape

_VALUES: Final = {
    "exec": "/usr/local/bin/serve",
    "args": "[--port, 8080]",
    "shell": '"./work | tee work.txt"',
    "name": "web",
    "description": "The shop's pages",
    "tags": "[workers]",
    "profiles": "[dev]",
    "inherit_env": "[PATH, LANG]",
    "user": "www-data",
    "group": "www-data",
    "supplementary_groups": "[video]",
    "nice": "5",
    "oom_score_adj": "500",
    "pid_file": "/run/web.pid",
    "instances": "4",
    "restart": "on-failure:5",
    "stdout": "/var/log/web.log",
    "stderr": "/var/log/web.err",
    "schedule": '"0 3 * * *"',
    "sockets": "8080",
    "depends_on": "{db: healthy}",
    "success_exit_codes": "[3]",
    "hooks": '{pre_start: "migrate --all"}',
    "watch": "src",
    "reload": "HUP",
    "ready": "http://:8080/health",
    "health": "http://:8080/health",
    "stop": "QUIT",
    "log.rotate": "{size: 50MB, keep: 7}",
    "log.rate": "10000/s",
    "log.rate.lines": "10000/s",
    "log.rotate.compress": "gzip",
    "watch.ignore": '["*.tmp"]',
    "backoff": "{initial: 2s}",
    "backoff.factor": "1.5",
    "backoff.jitter": "0.2",
    "watch.paths": "[src, conf.ini]",
    "stop.steps": "[{QUIT: 30s}, {TERM: 5s}]",
    "extends": "base",
    "extends.service": "base",
    "extends.file": "../base.yaml",
    "reload.signal": "HUP",
    "exit_when": "all-done",
    "sockets.NAME.listen": "127.0.0.1:8080",
    "port": "8080",
    "sockets.NAME.user": "www-data",
    "sockets.NAME.group": "www-data",
    "sockets.NAME.backlog": "128",
    "type": "notify",
    "PROBE.exec": '"pg_isready -q"',
    "PROBE.fd": "3",
    "PROBE.http": "{path: /health, port: 8080}",
    "PROBE.tcp": "5432",
    "PROBE.unix": "/run/web.sock",
    "PROBE.unix.path": "/run/web.sock",
    "PROBE.file": "/run/web.ready",
    "PROBE.file.path": "/run/web.ready",
    "PROBE.log": '"listening on"',
    "PROBE.log.pattern": '"listening on"',
    "PROBE.http.path": "/health",
    "PROBE.http.host": "localhost",
    "PROBE.http.method": "HEAD",
    "PROBE.tcp.host": "localhost",
    "PROBE.http.headers": "{Accept: text/plain}",
    "PROBE.http.status": "[200-299]",
    "PROBE.http.body": '"ok"',
    "PROBE.tcp.port": "5432",
    "PROBE.http.port": "8080",
    "hooks.KIND.user": "www-data",
    "hooks.KIND.shell": '"./migrate && ./seed"',
    "reload.shell": '"kill -HUP $(cat web.pid)"',
    "sockets.NAME.type": "datagram",
    "env_file": "[app.env, {path: local.env, required: false}]",
    "env_file.path": "app.env",
    "secrets": '{DB_PASSWORD: {exec: "pass show db"}}',
    "secrets.NAME.exec": '"vault kv get -field=password secret/db"',
    "secrets.NAME.file": "/run/secrets/db_password",
    "secrets.NAME.env": "CI_DB_PASSWORD",
    "secrets.NAME.dir": "/run/secrets",
    "secrets.NAME.path": "/run/web/password",
    "secrets.NAME.refresh": "1h",
    "secrets.NAME.on_change": "HUP",
    "secrets.NAME.provider": "vault",
    "secrets.NAME.key": "db/password",
}
"""Where the kind of a value does not say enough, by the option's dotted name."""

_KINDS: Final = {
    "duration": "30s",
    "timezone": "Europe/Berlin",
    "size": "64KB",
    "limit": "1GB",
    "count": "10",
    "period": "daily",
    "signal": "INT",
    "octal": "027",
    "path": "/srv/shop",
    "command": '"serve --port 8080"',
    "call": '"migrate --all"',
    "hooks": '"migrate --all"',
    "environment": "{MODE: prod}",
    "reaction": "reload",
    "integer": "5",
    "condition": "healthy",
}

_BESIDE_IT: Final = {
    f"sockets.NAME.{of_a_file}": "listen: unix:/run/web.sock" for of_a_file in ("mode", "user", "group", "type")
} | {"secrets.NAME.key": "provider: vault"}
"""What must stand beside an option itself."""

_BESIDE: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "hooks.KIND": ("command: migrate", ("command", "shell")),
    "reload": ("command: ./reload.sh", ("command", "shell", "signal")),
    "sockets.NAME": ("listen: 8080", ("listen",)),
    "extends": ("service: base", ("service",)),
    "env_file": ("path: app.env", ("path",)),
    "secrets.NAME": ("exec: pass show db", ("exec", "file", "env", "dir", "provider")),
    "PROBE": ("tcp: 5432", ("http", "tcp", "unix", "exec", "file", "log", "fd")),
    "PROBE.file": ("path: /run/web.ready", ("path",)),
    "watch": ("paths: [src]", ("paths",)),
    "PROBE.http": ("port: 8080", ("port",)),
    "PROBE.tcp": ("port: 5432", ("port",)),
}
"""What must stand beside an option, unless one of these does, by the name of what they all belong to."""


_CALLED: Final = {"sockets": "http", "depends_on": "db", "secrets": "DB_PASSWORD"}
"""What a user may have named."""


def example(names: list[str], option: Option) -> str:
    """The option as it may stand in a file, in the options that it belongs to: "log: {rotate: {size: 50MB}}"."""
    value = _value(_general(names), option)
    for depth in range(len(names) - 1, 0, -1):
        name = {"KIND": "pre_start"}.get(names[depth], names[depth])
        beside, without = _BESIDE.get(_general(names[:depth]), ("", ()))
        if depth == len(names) - 1:
            beside = _BESIDE_IT.get(_general(names), beside)
        before = f"{beside}, " if beside and name not in without else ""
        value = f"{{{before}{_CALLED.get(names[0], name) if name == 'NAME' else name}: {value}}}"
    return f"{names[0]}: {value}"


def _value(name: str, option: Option) -> str:
    shape = option.shape
    last = name.removeprefix("daemon.")
    if last in _VALUES:
        return _VALUES[last]
    if shape.choices:
        return next(each for each in shape.choices if each != option.default)
    if shape.kind == "bool":
        return "false" if option.default else "true"
    if shape.cls in COMMANDS:
        return _KINDS["call"]
    if shape.cls in SHORT:
        inner = shape.options[SHORT[shape.cls]]
        return _value(f"{name}.{inner.name}", inner)
    return _KINDS.get(shape.kind) or _first(shape)


def _first(shape: Shape) -> str:
    """A mapping with the first option that it may have."""
    for name, inner in shape.options.items():
        return f"{{{name}: {_value(name, inner)}}}"
    return "…"


def _general(names: list[str]) -> str:
    """The dotted name, with a word for what a user names and for what is alike."""
    parts = list(names)
    if parts[0] in ("depends_on", "secrets", "sockets") and len(parts) > 1:
        parts[1] = "NAME"
    if parts[0] == "hooks" and len(parts) > 1:
        parts[1] = "KIND"
    if parts[0] in ("ready", "health") and len(parts) > 1:
        parts[0] = "PROBE"
    return ".".join(parts)
