"""The options' types in a form to walk over, from model/spec.py: `decode` reads by it, `reference` describes it."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from pserv.model.hooks import Hook, Reload
from pserv.model.listening import Socket
from pserv.model.log import Logging, Rate, Rotate
from pserv.model.needs import Need
from pserv.model.probe import File, Log, Tcp, Unix
from pserv.model.restart import Backoff
from pserv.model.secrets import EnvFile, Secret, Source
from pserv.model.spec import DaemonSpec, Extends, ServiceSpec
from pserv.model.stop import Stop, StopStep
from pserv.model.watching import Watch

SHORT: Final[dict[type, str]] = {
    Stop: "signal",
    Backoff: "initial",
    Logging: "format",
    Rate: "lines",
    Need: "condition",
    Tcp: "port",
    Unix: "path",
    File: "path",
    Log: "pattern",
    Watch: "paths",
    Socket: "listen",
    Extends: "service",
    Rotate: "size",
    EnvFile: "path",
    Secret: "provider",
}
"""Structs that may be written as one value, and the option that it is."""

COMMANDS: Final = (Hook, Reload)
"""Structs that may be written as a COMMAND, in any of its forms."""

PAIRS: Final[dict[type, tuple[str, str]]] = {StopStep: ("signal", "timeout")}
"""Structs that are written as one key and its value, `{QUIT: 30s}`, and the options these are."""

_PLAIN: Final[dict[Any, str]] = {str: "text", int: "integer", float: "number", bool: "bool", Any: "any"}


class Shape:
    """One type. `kind` says how it is read: that of the option's Meta, else the plain type's name.

    Of the rest only what belongs to the kind is set: bounds of numbers, `choices` in the order declared, the `item`
    of a list or map, the `either` of alternatives, the `options` of a struct of class `cls`.
    """

    __slots__ = ("_options", "choices", "cls", "either", "high", "item", "kind", "low", "optional", "positive")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.optional = False
        self.low: float | None = None
        self.high: float | None = None
        self.positive = False
        """More than 0 (a duration)."""
        self.choices: tuple[str, ...] = ()
        self.item: Shape | None = None
        self.either: tuple[Shape, ...] = ()
        self.cls: Any = None
        self._options: dict[str, Option] | None = None

    @property
    def options(self) -> dict[str, Option]:
        """Found out when somebody asks: most structs of options are in no file, and their types take 20 ms to read."""
        if self._options is None:
            self._options = {} if self.cls is None else _options(self.cls)
        return self._options


def build(shape: Shape, written: dict[str, Any]) -> Any:
    """The frozen struct of what was written (see `decode`); the rest has its default."""
    values = {}
    options = shape.options
    for name, value in written.items():
        inner = options[name].shape
        values[name] = build(inner, value) if inner.kind == "struct" and isinstance(value, dict) else value
    return shape.cls(**values)


class Option:
    """One option of a struct; `default` is the value that stands where nothing is declared."""

    __slots__ = ("default", "live", "name", "required", "shape", "text")

    def __init__(self, field: msgspec.structs.FieldInfo) -> None:
        meta = _metas(field.type)
        self.name = field.name
        self.shape = _shape(field.type, "")
        self.text = next((each.description for each in meta if each.description), "")
        self.live: bool | None = next(
            (each.extra["live"] for each in meta if each.extra and "live" in each.extra), None
        )
        self.required = field.required
        if field.default_factory is not msgspec.NODEFAULT:
            self.default = field.default_factory()
        else:
            self.default = None if field.required else field.default


def shape_of_struct(cls: type[msgspec.Struct]) -> Shape:
    """The shape of a struct of options; its kind is "struct"."""
    shape = Shape("struct")
    shape.cls = cls
    return shape


@cache
def _options(cls: type[msgspec.Struct]) -> dict[str, Option]:
    return {field.name: Option(field) for field in msgspec.structs.fields(cls)}


def _metas(hint: Any) -> list[msgspec.Meta]:
    return [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, msgspec.Meta)]


def _shape(hint: Any, kind: str) -> Shape:
    metas = _metas(hint)
    if metas:
        inner = next((each.extra["kind"] for each in metas if each.extra and "kind" in each.extra), "")
        shape = _shape(hint.__origin__, kind or inner)
        for meta in metas:
            shape.positive = shape.positive or meta.gt == 0
            shape.low = meta.ge if meta.ge is not None else shape.low
            shape.high = meta.le if meta.le is not None else shape.high
        return shape
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(arguments, kind)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return shape_of_struct(hint)
    if origin is Literal:
        shape = Shape(kind or "choice")
        shape.choices = arguments
    elif origin is tuple or origin is dict:
        shape = Shape(kind or ("list" if origin is tuple else "map"))
        shape.item = _shape(arguments[0 if origin is tuple else 1], "")
    else:
        shape = Shape(kind or _PLAIN[hint])
    return shape


def _union(arguments: tuple[Any, ...], kind: str) -> Shape:
    members = [each for each in arguments if each is not type(None)]
    if len(members) == 1:
        shape = _shape(members[0], kind)
    else:
        shape = Shape("either")
        shape.either = tuple(_shape(each, kind) for each in members)
    shape.optional = len(members) < len(arguments)
    return shape


SERVICE: Final = shape_of_struct(ServiceSpec)
DAEMON: Final = shape_of_struct(DaemonSpec)
HOOK: Final = shape_of_struct(Hook)
SECRET: Final = shape_of_struct(Secret)
SOURCE: Final = shape_of_struct(Source)
