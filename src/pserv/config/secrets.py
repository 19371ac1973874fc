"""The ways to write `env_file` and `secrets`, and what a provider makes of a key. Nothing is read here.

What makes no sense together is `check_secrets`'.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict, replace

from pserv.config.findings import Findings, Path, Wrong, shown
from pserv.config.nodes import Mapping, Node, Scalar, Sequence
from pserv.config.scalars import filled
from pserv.config.shapes import SECRET, SOURCE, Shape, build
from pserv.model.secrets import KEY, KINDS, Secret, Source

if TYPE_CHECKING:
    from pserv.config.decode import Decoder

FIRST: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
CHARACTERS: Final = FIRST | frozenset("0123456789.-")
LONGEST: Final = 128

_SOURCES: Final = 'write {exec: "pass show app"}, {file: ./password.txt}, {env: NAME} or {dir: /run/secrets}'
_EXAMPLE: Final = 'write {exec: "pass show app"}, {file: ./password.txt}, {env: NAME} or {provider: vault, key: app}'


def env_files(decoder: Decoder, shape: Shape, node: Node, path: Path) -> tuple[Any, ...]:
    """One file, or several: each a path or a mapping. Raises Wrong."""
    assert shape.item is not None
    found = []
    for index, item in enumerate(node.items if isinstance(node, Sequence) else [node]):
        here = (*path, index) if isinstance(node, Sequence) else path
        read = decoder.option(shape.item, item, here)
        if isinstance(read, dict) and "path" in read:
            found.append(build(shape.item, read))
        elif isinstance(read, dict) and isinstance(item, Mapping) and "path" not in item.pairs:
            raise Wrong("does not say which file", "write {path: app.env, required: false}", item)
    return tuple(found)


def several(decoder: Decoder, findings: Findings, shape: Shape, node: Node, path: Path) -> dict[str, Any]:
    """The secrets of a service: by name where each comes from; or a list of names that the top level declares."""
    if isinstance(node, Mapping):
        return _named(decoder, findings, SECRET, node, path)
    found = {}
    for item in node.items if isinstance(node, Sequence) else [node]:
        if not isinstance(item, Scalar) or item.is_null:
            raise Wrong(f"{item.called} where the name of a secret is expected", "write [NAME], or {NAME: {file: …}}")
        found[_name(item.text, item)] = Secret(provider=filled(item, shape))
    return found


def providers(decoder: Decoder, findings: Findings, node: Mapping) -> dict[str, Source]:
    """The top level's `secrets`."""
    return _named(decoder, findings, SOURCE, node, ("secrets",))


def provided(name: str, secret: Secret, provider: Source) -> Secret:
    """The secret with the source that its provider makes of its key. Raises Wrong where the key has no place in it."""
    key, usual = secret.key or name, Secret()
    fields = {
        field: value
        for field, value in asdict(provider).items()
        if getattr(secret, field) == getattr(usual, field) or field in KINDS
    }
    texts = [*(provider.exec or ()), provider.file or "", provider.env or ""]
    if provider.dir is not None:
        fields["key"] = key
    elif not any(KEY in text for text in texts) and secret.key is not None and not _takes_more(provider):
        raise Wrong("its provider has no place for a key", f"write {KEY} into the provider's {_kind(provider)}")
    if provider.exec is not None:
        fields["exec"] = _command(provider.exec, key, more=secret.key is not None)
    for field in ("file", "env"):
        if getattr(provider, field) is not None:
            fields[field] = getattr(provider, field).replace(KEY, key)
    return replace(secret, **{"provider": None, "key": None, **fields})


def _kind(provider: Source) -> str:
    return next(kind for kind in KINDS if getattr(provider, kind) is not None)


def _takes_more(provider: Source) -> bool:
    """Whether a key can be the last word of its command."""
    return provider.exec is not None and provider.exec[:2] != _SHELL


_SHELL: Final = ("/bin/sh", "-c")


def _command(words: tuple[str, ...], key: str, *, more: bool) -> tuple[str, ...]:
    """With the key where it belongs: in its place, else as the last word."""
    if words[:2] == _SHELL:
        return (*words[:2], words[2].replace(KEY, shlex.quote(key)))
    if any(KEY in word for word in words):
        return tuple(word.replace(KEY, key) for word in words)
    return (*words, key) if more else words


def _named(decoder: Decoder, findings: Findings, shape: Shape, node: Mapping, path: Path) -> dict[str, Any]:
    found = {}
    for name, key, value in node:
        here = (*path, name)
        try:
            _name(name, key)
            if isinstance(value, Scalar) and value.is_null:
                raise Wrong("does not say where it comes from", _example(shape), key)
            if isinstance(value, Mapping):
                _check(shape, value)
        except Wrong as wrong:
            findings.add(here, wrong.message, wrong.hint, wrong.node or value)
            continue
        read = decoder.option(shape, value, here)
        if isinstance(read, dict):
            found[name] = build(shape, {**({"deliver": "file"} if "path" in read else {}), **read})
    return found


def _check(shape: Shape, node: Mapping) -> None:
    """Raises Wrong where it does not say exactly one place that it comes from."""
    if any(text.replace("-", "_") not in shape.options for text, _, _ in node):
        return  # which is told when it is read
    ways = (*KINDS, "provider") if "provider" in shape.options else KINDS
    said = [name for name in node.pairs if name in ways]
    if not said:
        raise Wrong("does not say where it comes from", _example(shape))
    if len(said) > 1:
        raise Wrong(f"{said[1]} is set beside {said[0]}", f"keep one of {' and '.join(said)}", node.pairs[said[1]][0])
    if "key" in node.pairs and said[0] not in ("provider", "dir"):
        hint = "remove it: a key is what a provider, or dir, calls it"
        raise Wrong(f"key is set beside {said[0]}", hint, node.pairs["key"][0])
    deliver = node.pairs.get("deliver")
    if "path" in node.pairs and deliver is not None and isinstance(deliver[1], Scalar) and deliver[1].text != "file":
        hint = "remove one of the two: a path is that of its file"
        raise Wrong(f"path is set beside deliver: {deliver[1].text}", hint, deliver[1])


def _example(shape: Shape) -> str:
    return _EXAMPLE if "provider" in shape.options else _SOURCES


def _name(name: str, node: Node) -> str:
    if not name or name[0] not in FIRST or not CHARACTERS.issuperset(name) or len(name) > LONGEST:
        raise Wrong(f"{shown(name)} cannot be the name of a secret", "use letters, digits, '_', '.' and '-'", node)
    return name
