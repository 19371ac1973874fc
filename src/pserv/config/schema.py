"""The JSON Schema of a configuration, made from model/spec.py: what stands there of an option stands in its line."""

from __future__ import annotations

from itertools import combinations

from pserv.config.effective import written
from pserv.config.kind_schemas import DECIMAL, DIGITS, KINDS, NAME, WORDS, Json
from pserv.config.overriding import ONE_OF
from pserv.config.probing import BESIDE, PROBES
from pserv.config.scalars import (
    CONDITION_ALIASES,
    POLICY_ALIASES,
)
from pserv.config.shapes import COMMANDS, DAEMON, HOOK, PAIRS, SERVICE, SHORT, SOURCE, Option, Shape
from pserv.model.probe import KINDS as PROBE_KINDS
from pserv.model.probe import Http


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
                "pattern": NAME,
                "description": "Name of this daemon; by default its folder's.",
            },
            "daemon": {"$ref": "#/$defs/daemon", "description": "Options of the daemon itself."},
            "defaults": {"$ref": "#/$defs/service", "description": "Options of all services that do not set them."},
            "secrets": {
                "type": "object",
                "additionalProperties": _struct_schema(SOURCE),
                "description": "Where secrets come from, by names that services refer to.",
            },
            "env": {
                **_shape_schema(SERVICE.options["env"].shape),
                "description": "Variables of every service, below `defaults` and its own.",
            },
            "env_file": {
                **_shape_schema(SERVICE.options["env_file"].shape),
                "description": "Files of variables of every service, below its own.",
            },
            "include": {**WORDS, "description": "Further files, folders or globs, relative to this file."},
            "groups": {
                "type": "object",
                "additionalProperties": WORDS,
                "description": "Tags for several services at once: names or globs.",
            },
            "services": {
                "description": "The services, by name; or a list of them, each with its name.",
                "anyOf": [
                    {
                        "type": "object",
                        "propertyNames": {"pattern": NAME},
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
            "service": _struct_schema(SERVICE, "service"),
            "hook": _short_forms(HOOK),
            "daemon": _struct_schema(DAEMON, "daemon"),
            **{kind: _or_variable(form) for kind, form in KINDS.items()},
            "variable": {"type": "string", "pattern": r"\$", "description": "A text with ${VARIABLE} in it."},
        },
    }


def _struct_schema(shape: Shape, place: str = "") -> Json:
    """`place`: its name among the definitions, where it has one."""
    properties = {option.name: _option_schema(option) for option in shape.options.values()}
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    dashed = {
        f"^{name.replace('_', '-')}$": {"$ref": f"#/$defs/{place}/properties/{name}"} if place else value
        for name, value in properties.items()
        if "_" in name
    }
    if dashed:
        schema["patternProperties"] = dashed
    if shape is SERVICE:
        schema["allOf"] = [{"not": {"required": list(pair)}} for pair in combinations(ONE_OF, 2)]
    if description := first_sentence(shape):
        schema["description"] = description
    return schema


def first_sentence(shape: Shape) -> str:
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
    if shape.kind in KINDS and not shape.positive:
        named = {"$ref": f"#/$defs/{shape.kind}"}
        return {"anyOf": [named, {"type": "null"}]} if shape.optional else named
    schema = _required_schema(shape)
    if shape.positive and shape.kind == "duration":
        schema = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, *schema["anyOf"][1:]]}
    schema = _or_variable(schema)
    if shape.optional and "type" in schema and len(schema) == 1:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {"type": [*types, "null"]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]} if shape.optional else schema


def _or_variable(schema: Json) -> Json:
    """The same, or a text with a variable in it."""
    if _takes_any_text(schema):
        return schema
    forms = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return {"anyOf": [*forms, {"$ref": "#/$defs/variable"}]}


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
        return {"anyOf": [*WORDS["anyOf"], {"type": "object", "additionalProperties": _shape_schema(shape.item)}]}
    if shape.kind == "sockets":
        assert shape.item is not None
        one = _shape_schema(shape.item)
        forms = [one, {"type": "array", "items": one}, {"type": "object", "additionalProperties": one}]
        return {"anyOf": forms}
    if shape.kind == "secrets":
        assert shape.item is not None
        one = _shape_schema(shape.item)
        return {"anyOf": [*WORDS["anyOf"], {"type": "object", "additionalProperties": one}]}
    if shape.kind in ("integer", "number"):
        limits = {"minimum": shape.low, "maximum": shape.high}
        number = {"type": shape.kind, **{name: limit for name, limit in limits.items() if limit is not None}}
        return {"anyOf": [number, DIGITS if shape.kind == "integer" else DECIMAL]}
    if shape.kind == "hooks":
        hook: Json = {"$ref": "#/$defs/hook"}
        return {"anyOf": [hook, {"type": "array", "items": hook}]}
    if shape.kind in ("list", "env_files"):
        assert shape.item is not None
        item = _shape_schema(shape.item)
        return (
            {"type": "array", "items": item}
            if shape.item.cls and shape.kind == "list"
            else {"anyOf": [item, {"type": "array", "items": item}]}
        )
    return KINDS[shape.kind]


def _short_forms(shape: Shape) -> Json:
    forms = [_struct_schema(shape)]
    if shape.cls in PROBES:
        return {"anyOf": [_probe_schema(shape), *WORDS["anyOf"]]}
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
        for form in value.get("anyOf", ()) if name in PROBE_KINDS else ():
            if form.get("type") == "object" and name != "exec":
                form["properties"] = {**form["properties"], **beside}
    commands = KINDS["call"]["anyOf"][-1]["properties"]
    schema["properties"] = {**schema["properties"], **commands}
    return schema
