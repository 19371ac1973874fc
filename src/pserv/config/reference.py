"""JSON Schema and the options page, made from model/spec.py. What stands there about an option stands in its line."""

from __future__ import annotations

from typing import Any, Final

from pserv.config.effective import written
from pserv.config.probing import BESIDE, FORMS, PROBES
from pserv.config.scalars import CONDITION_ALIASES, EXPECTED, FALSE, OUTPUT_WORDS, POLICY_ALIASES, SERVICE_PORT, TRUE
from pserv.config.shapes import COMMANDS, DAEMON, HOOK, PAIRS, SERVICE, SHORT, Option, Shape
from pserv.model.probe import KINDS, Http

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": ["string", "number", "boolean"]}
_DURATION: Final = r"^ *([0-9][0-9._]* *(ms|s|m|h|d|w|[a-z]+) *)+$|^ *[0-9.][0-9._eE+-]*$"
_NAME: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"

_WORDS: Final[Json] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_KINDS: Final[dict[str, Json]] = {
    "text": _TEXT,
    "program": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1},
    "bool": {"anyOf": [{"type": "boolean"}, {"enum": [*sorted(TRUE), *sorted(FALSE)]}]},
    "duration": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION}]},
    "schedule": {
        "anyOf": [
            {"type": "string", "pattern": r"^ *(@[A-Za-z]+|@every +[^ ].*|[^ @]+( +[^ ]+){4,5}) *$"},
            {
                "type": "object",
                "properties": {
                    "cron": _TEXT,
                    "every": _TEXT,
                    "timezone": _TEXT,
                    "overlap": {"enum": ["skip", "queue", "kill"]},
                    "missed": {"enum": ["skip", "run"]},
                },
                "additionalProperties": False,
            },
        ]
    },
    "timezone": {"type": "string", "minLength": 1},
    "size": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^ *[0-9._]+ *[KMGTPkmgtp]?i?[Bb]? *$"},
        ]
    },
    "signal": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 64},
            {"type": "string", "pattern": r"^ *(SIG)?[A-Za-z0-9]+([+-][0-9]+)? *$"},
        ]
    },
    "octal": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(0o)?[0-7]+$"}]},
    "words": _WORDS,
    "port": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"const": SERVICE_PORT}]},
    "command": _WORDS,
    "arguments": _WORDS,
    "environment": {
        "anyOf": [
            {"type": "object", "additionalProperties": _TEXT},
            {"type": "array", "items": {"type": "string", "pattern": "="}},
        ]
    },
    "output": {
        "anyOf": [{"enum": [*OUTPUT_WORDS, None]}, {"type": "string", "pattern": r"[./]"}],
    },
    "map": {"type": "object"},
    "address": {"type": ["string", "integer"]},
    "call": {
        "anyOf": [
            *_WORDS["anyOf"],
            {
                "type": "object",
                "properties": {"command": _WORDS, "shell": _TEXT},
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    },
    "any": {},
}


def json_schema() -> Json:
    """The schema of a configuration file (draft 2020-12), for editors: what it flags is wrong."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pserv configuration",
        "description": "pserv.yaml or pserv.toml: the services of one machine and how they are kept alive.",
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^x-": {"description": "Not read: a place for anchors and other tools' data."}},
        "properties": {
            "name": {
                "type": "string",
                "pattern": _NAME,
                "description": "Name of this daemon; by default its folder's.",
            },
            "daemon": {"$ref": "#/$defs/daemon"},
            "defaults": {"$ref": "#/$defs/service", "description": "Options of all services that do not set them."},
            "include": {**_WORDS, "description": "Further files, folders or globs, relative to this file."},
            "groups": {
                "type": "object",
                "additionalProperties": _WORDS,
                "description": "Tags for several services at once: names or globs.",
            },
            "services": {
                "description": "The services, by name; or a list of them, each with its name.",
                "anyOf": [
                    {
                        "type": "object",
                        "propertyNames": {"pattern": _NAME},
                        "additionalProperties": {"$ref": "#/$defs/service"},
                    },
                    {
                        "type": "array",
                        "items": {"allOf": [{"$ref": "#/$defs/service"}, {"required": ["name"]}]},
                    },
                    {"type": "null"},
                ],
            },
        },
        "$defs": {
            "service": _struct_schema(SERVICE),
            "hook": _short_forms(HOOK),
            "daemon": _struct_schema(DAEMON),
            "variable": {"type": "string", "pattern": r"\$", "description": "A text with ${VARIABLE} in it."},
        },
    }


def _struct_schema(shape: Shape) -> Json:
    properties = {option.name: _option_schema(option) for option in shape.options.values()}
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    dashed = {f"^{name.replace('_', '-')}$": value for name, value in properties.items() if "_" in name}
    if dashed:
        schema["patternProperties"] = dashed
    if description := _first_sentence(shape):
        schema["description"] = description
    return schema


def _first_sentence(shape: Shape) -> str:
    return (shape.cls.__doc__ or "").split(". ")[0].strip().removesuffix(".") + "."


def _option_schema(option: Option) -> Json:
    schema = dict(_shape_schema(option.shape))
    if option.text:
        schema["description"] = option.text
    default = written(option.shape, option.default, defaults=False)
    if default not in (None, "", [], {}):
        schema["default"] = default
    return schema


def _shape_schema(shape: Shape) -> Json:
    schema = _required_schema(shape)
    if not _takes_any_text(schema):
        forms = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        schema = {"anyOf": [*forms, {"$ref": "#/$defs/variable"}]}
    if shape.optional and "type" in schema and len(schema) == 1:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {"type": [*types, "null"]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]} if shape.optional else schema


def _takes_any_text(schema: Json) -> bool:
    """Whether a text with a variable in it passes already."""
    if "anyOf" in schema:
        return any(_takes_any_text(form) for form in schema["anyOf"])
    return not schema or ("string" in schema.get("type", ()) and "pattern" not in schema)


def _required_schema(shape: Shape) -> Json:
    if shape.either:
        return {"anyOf": [_shape_schema(each) for each in shape.either]}
    if shape.kind == "struct":
        return _short_forms(shape)
    if shape.kind == "policy":
        words = "|".join(each for each in shape.choices if each != "never")
        return {
            "anyOf": [{"enum": [*shape.choices, *POLICY_ALIASES]}, {"type": "string", "pattern": f"^({words}):[0-9]+$"}]
        }
    if shape.kind == "condition":
        return {"enum": [*shape.choices, *CONDITION_ALIASES]}
    if shape.choices:
        return {"enum": list(shape.choices)}
    if shape.kind == "needs":
        assert shape.item is not None
        return {"anyOf": [*_WORDS["anyOf"], {"type": "object", "additionalProperties": _shape_schema(shape.item)}]}
    if shape.kind == "sockets":
        assert shape.item is not None
        one = _shape_schema(shape.item)
        forms = [*one["anyOf"], {"type": "array", "items": one}, {"type": "object", "additionalProperties": one}]
        return {"anyOf": forms}
    if shape.kind in ("integer", "number"):
        limits = {"minimum": shape.low, "maximum": shape.high}
        return {"type": shape.kind, **{name: limit for name, limit in limits.items() if limit is not None}}
    if shape.kind == "hooks":
        hook: Json = {"$ref": "#/$defs/hook"}
        return {"anyOf": [hook, {"type": "array", "items": hook}]}
    if shape.kind == "list":
        assert shape.item is not None
        item = _shape_schema(shape.item)
        return (
            {"type": "array", "items": item} if shape.item.cls else {"anyOf": [item, {"type": "array", "items": item}]}
        )
    return _KINDS[shape.kind]


def _short_forms(shape: Shape) -> Json:
    forms = [_struct_schema(shape)]
    if shape.cls in PROBES:
        return {"anyOf": [_probe_schema(shape), *_WORDS["anyOf"]]}
    if shape.cls is Http:
        forms.append({"type": ["string", "integer"]})
    if short := SHORT.get(shape.cls):
        forms.append(_shape_schema(shape.options[short].shape))
    if shape.cls in COMMANDS:
        forms += [_shape_schema(shape.options[name].shape) for name in ("command", "signal") if name in shape.options]
    if pair := PAIRS.get(shape.cls):
        value = _shape_schema(shape.options[pair[1]].shape)
        forms.append({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": value})
    return {"anyOf": forms} if len(forms) > 1 else forms[0]


def _probe_schema(shape: Shape) -> Json:
    """A probe as a mapping: `shell` and `command` are forms of `exec`, and some options may also stand in the kind."""
    schema = _struct_schema(shape)
    beside = {name: value for name, value in schema["properties"].items() if name in BESIDE}
    for name, value in schema["properties"].items():
        for form in value.get("anyOf", ()) if name in KINDS else ():
            if form.get("type") == "object" and name != "exec":
                form["properties"] = {**form["properties"], **beside}
    commands = _KINDS["call"]["anyOf"][-1]["properties"]
    schema["properties"] = {**schema["properties"], **commands}
    return schema


_PAGE: Final = """# Options

<!-- Written by docs/generate.py from src/pserv/model/spec.py: change it there. -->

A configuration is one file, `pserv.yaml` or `pserv.toml`, or several of them. Its keys are `name`, `include`,
`daemon`, `defaults` (any option of a service, for all that do not set it), `groups`, `services`, and `x-…`, which is
not read and is a place for anchors. In keys `-` and `_` are the same. Relative paths are relative to the file they
stand in.

A duration is written `500ms`, `10s`, `5m`, `2h`, `1d`, `1h30m`, or as a number of seconds; a size `64KB`, `10MB`,
`1GiB`, or as a number of bytes (KB and KiB are 1024 bytes); a signal `TERM`, `SIGTERM`, `15` or `RTMIN+1`.

Values have the type of their option, whatever YAML thinks of them: `VERSION: 1.10` stays `1.10`, `umask: 022` is octal,
`restart: no` is a word. Where a change of an option acts at once on a running service it is marked *live*; any other
change restarts that service at the next reload.

## Several files

Files named by `-c`, in the order given, are laid over each other; so is a `pserv.override.yaml` over the `pserv.yaml`
that it stands beside. Files in one folder, and those that a file names in `include: [more.yaml, apps/,
"conf/*.yaml"]`, stand side by side: each thing is declared once among them. What lies over what follows one rule,
also for `defaults` (below every service) and `extends` (another service's options below one's own, from here or from
a `file`):

- structs and mappings merge, key by key; single values and lists replace; so do `depends_on`, and one way to say what
  runs, to probe or to stop another;
- `!replace` before a mapping replaces all of it, `!append` before a list adds to the one below (YAML only).

A service with `profiles: [dev]` is there only when one of its profiles is asked for: `--profile dev` with `up`,
`daemon`, `reload`, `check` and `config`, or PSERV_PROFILES; a later reload keeps them. `groups: {back: [db,
"work*"]}` gives services a tag (`pserv stop @back`) without a line at each.

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

`${pserv.instance}` (from 1), `${pserv.index}` (from 0), `${pserv.port}`, `${pserv.name}` (`web:2`) and
`${pserv.service}` (`web`) are replaced in programs, arguments, variables, paths and probes, for each instance; a shell
finds PSERV_SERVICE, PSERV_INSTANCE, PSERV_INDEX and PORT among its variables, as every process of a service does.
`pserv scale web=4` holds until a reload changes `instances`.
"""


def options_page() -> str:
    """docs/options.md."""
    parts = [_PAGE, _section("A service", SERVICE, "services.NAME"), _section("The daemon", DAEMON, "daemon")]
    return "\n".join(parts)


def _section(title: str, shape: Shape, path: str) -> str:
    lines = [f"## {title}", "", _first_sentence(shape), ""]
    lines += ["| option | value | default | | what |", "|---|---|---|---|---|"]
    structs: list[tuple[str, Shape]] = []
    for option in shape.options.values():
        lines.append(_row(option))
        inner = option.shape.item if option.shape.kind in ("list", "needs", "hooks", "sockets") else option.shape
        if inner is not None and inner.kind == "struct" and inner.cls not in PAIRS:
            # All hooks have the same options.
            name = "HOOK" if option.shape.kind == "hooks" else option.name
            name += {"needs": ".SERVICE", "sockets": ".NAME"}.get(option.shape.kind, "")
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
    cells = (f"`{option.name}`", _value_text(option.shape), shown, mark, option.text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value_text(shape: Shape) -> str:
    if shape.either:
        return ", or ".join(_value_text(each) for each in shape.either)
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
        return "a list" if item.kind == "struct" else f"a list of: {_value_text(item)}"
    text = EXPECTED[shape.kind].split(":")[0]
    if shape.low is not None and shape.high is not None and shape.kind in ("integer", "number"):
        text += f", {shape.low:g} to {shape.high:g}"
    return text
