"""The page of all options, made from model/spec.py: what stands there of an option stands in its line."""

from __future__ import annotations

from typing import Final

from pserv.config.effective import written
from pserv.config.expected import EXPECTED
from pserv.config.probing import FORMS, PROBES
from pserv.config.schema import first_sentence
from pserv.config.shapes import COMMANDS, DAEMON, PAIRS, SERVICE, SHORT, Option, Shape

_PAGE: Final = """# Options

<!-- Written by docs/generate.py from src/pserv/model/spec.py: change it there. -->

A configuration is one file, `pserv.yaml` or `pserv.toml`, or several of them. Its keys are `name`, `include`,
`daemon`, `defaults` (any option of a service, for all that do not set it), `env` (variables of every service, below
`defaults` and its own), `env_file` (for every service, below its own), `secrets` ([where they come
from](secrets.md)), `groups`, `services`, and `x-…`, which is not read and is a place for anchors. In keys `-` and `_`
are the same. Relative paths are relative to the file they stand in.

A duration is written `500ms`, `10s`, `5m`, `2h`, `1d`, `1h30m`, or as a number of seconds; a size `64KB`, `10MB`,
`1GiB`, or as a number of bytes (KB and KiB are 1024 bytes); a signal `TERM`, `SIGTERM`, `15` or `RTMIN+1`.

Values have the type of their option, whatever YAML thinks of them: `VERSION: 1.10` stays `1.10`, `umask: 022` is octal,
`restart: no` is a word. Where a change of an option acts at once on a running service it is marked *live*; any other
change restarts that service at the next reload.

## Several files

Files named by `-c`, in the order given, are laid over each other; so is a `pserv.override.yaml` over the `pserv.yaml`
that it stands beside. Files in one folder, and those that a file names in `include: [more.yaml, apps/,
"conf/*.yaml"]`, stand side by side: each thing is declared once among them. What lies over what follows one rule,
also for `env` at the top (below `defaults`), `defaults` (below every service) and `extends` (another service's options
below one's own, from here or from a `file`):

- structs and mappings merge, key by key; single values and lists replace; so do `depends_on`, and one way to say what
  runs, to probe or to stop another;
- `!replace` before a mapping replaces all of it, `!append` before a list adds to the one below (YAML only).

A service with `profiles: [dev]` is there only when one of its profiles is asked for: `--profile dev` with `up`,
`daemon`, `reload`, `check` and `config`, or PSERV_PROFILES; a later reload keeps them. `groups: {back: [db,
"work*"]}` gives services a tag (`pserv stop @back`) without a line at each.

`pserv config` prints the values in effect as one file, each with where it comes from (`# pserv.override.yaml:4`,
`# pserv.yaml:12, HOST from .env:3`, `# default`), secrets masked; with `--running` those that the daemon works from,
and which of them the files say otherwise by now; `pserv config --explain log.rotate.size` tells about an option.

## Variables

`$VAR` and `${VAR}` are replaced when the file is read, from the environment of `pserv up`, `daemon`, `check` or
`config` (at a reload that of the daemon), then from the `.env` beside the file. The forms are those of compose, and may
be nested:

| form | means |
|---|---|
| `${VAR}`, `$VAR` | the value; a mistake when VAR is not set |
| `${VAR:-default}`, `${VAR-default}` | the default when VAR is not set (with `:` also when it is empty) |
| `${VAR:?why}`, `${VAR?why}` | the value; else a mistake that says why |
| `${VAR:+other}`, `${VAR+other}` | `other` when VAR is set (with `:` and not empty), else nothing |
| `$$` | a `$` |

`.env` holds lines `NAME=value`, with quotes, comments and `export` as in compose; within single quotes a `$` is a `$`.
A change of it counts as a change of the file. The text of `shell` is left alone (sh finds the service's own variables),
and so is the `pattern` of a log probe. Keys are not replaced.

`${pserv.host}` (this machine), `${pserv.config_dir}` (the main file's folder) and `${pserv.run_dir}` (that of the
daemon's socket) are replaced where variables are. `${pserv.instance}` (from 1), `${pserv.index}` (from 0),
`${pserv.port}`, `${pserv.name}` (`web:2`) and `${pserv.service}` (`web`) are replaced in programs, arguments,
variables, paths and probes, for each instance; a shell finds PSERV_SERVICE, PSERV_INSTANCE, PSERV_INDEX and PORT among
its variables, as every process of a service does. `pserv show NAME --env` prints all variables of a service, each with
where it comes from; with `--diff` what differs from what the running one got.
`pserv scale web=4` holds until a reload changes `instances`.
"""


def options_page() -> str:
    """docs/options.md."""
    parts = [_PAGE, _section("A service", SERVICE, "services.NAME"), _section("The daemon", DAEMON, "daemon")]
    return "\n".join(parts)


_OF_SEVERAL: Final = ("list", "needs", "hooks", "sockets", "env_files", "secrets")


def _section(title: str, shape: Shape, path: str) -> str:
    lines = [f"## {title}", "", first_sentence(shape), ""]
    lines += ["| option | value | default | | what |", "|---|---|---|---|---|"]
    structs: list[tuple[str, Shape]] = []
    for option in shape.options.values():
        lines.append(_row(option))
        inner = option.shape.item if option.shape.kind in _OF_SEVERAL else option.shape
        if inner is not None and inner.kind == "struct" and inner.cls not in PAIRS:
            # All hooks have the same options.
            name = "HOOK" if option.shape.kind == "hooks" else option.name
            name += {"needs": ".SERVICE", "sockets": ".NAME", "secrets": ".NAME"}.get(option.shape.kind, "")
            if (name, inner.cls) not in [(known, each.cls) for known, each in structs]:
                structs.append((name, inner))
    sections = [_section(f"`{path}.{name}`", inner, f"{path}.{name}") for name, inner in structs]
    return "\n".join([*lines, "", *sections])


def _row(option: Option) -> str:
    default = written(option.shape, option.default, defaults=False)
    shown = (
        "" if default in (None, "", [], {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    )
    mark = {True: "live", False: "restarts", None: ""}[option.live]
    cells = (f"`{option.name}`", value_text(option.shape), shown, mark, option.text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def value_text(shape: Shape) -> str:
    """What a value of this shape looks like, in Markdown."""
    if shape.either:
        return ", or ".join(value_text(each) for each in shape.either)
    if shape.choices:
        return ", ".join(f"`{word}`" for word in shape.choices)
    if shape.cls in PROBES:
        return f"options below, a command, or only {', '.join(f'`{form}`' for form in FORMS)}"
    if shape.kind == "struct":
        if shape.cls in COMMANDS:
            return " or ".join(each for each in ("signal", "command") if each in shape.options) + ", or options below"
        short = SHORT.get(shape.cls)
        return f"options below, or only `{short}`" if short else "options below"
    if shape.kind == "list" and shape.item:
        item = shape.item
        return "a list" if item.kind == "struct" else f"a list of: {value_text(item)}"
    text = EXPECTED[shape.kind].split(":")[0]
    if shape.low is not None and shape.high is not None and shape.kind in ("integer", "number"):
        text += f", {shape.low:g} to {shape.high:g}"
    return text
