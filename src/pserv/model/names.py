"""What a name says: "web:2" is the second instance of web, "@tag" several. Which there are is in `rules`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pserv.model.errors import NoSuchService


def service_of(key: str) -> str:
    """The service of an instance: "web" of "web:2" and of "web"."""
    return key.partition(":")[0]


def number_of(key: str) -> int | None:
    """The number of an instance, from 1; None for a service without instances."""
    number = key.partition(":")[2]
    return int(number) if number else None


def is_pattern(name: str) -> bool:
    """Whether it stands for all that match, be it none."""
    return name.startswith("@") or any(mark in name for mark in "*?[")


def no_such(
    pattern: str,
    names: Iterable[str],
    tags: Iterable[str] = (),
    left_out: Mapping[str, Iterable[str]] | None = None,
    *,
    verb: str = "find",
) -> NoSuchService:
    """The error for a pattern that matches none of these names and tags."""
    import difflib

    from pserv.model.errors import NoSuchService  # not for each command that looks at a name

    if left_out and pattern in left_out:
        profiles = list(left_out[pattern])
        reason = f"it is declared only with profile {' or '.join(profiles)}"
        return NoSuchService(f"cannot {verb} {pattern}: {reason}", f"pserv up --profile {profiles[0]}")
    reason = "no such service"
    known = {name.lower(): name for name in names}
    if pattern.startswith("@"):
        reason = "no service has this tag"
        known = {f"@{tag}".lower(): f"@{tag}" for tag in tags}
    elif is_pattern(pattern):
        reason = "it matches no service"
    if pattern.endswith((".yaml", ".yml", ".toml")):
        hint = f"a file is named with -c: -c {pattern}"
    elif close := difflib.get_close_matches(pattern.lower(), known, n=1):
        hint = f"did you mean {known[close[0]]}?"
    elif known:
        hint = f"there are: {', '.join(list(known.values())[:10])}{', …' if len(known) > 10 else ''}"
    else:
        hint = "no service has a tag" if pattern.startswith("@") else "no service is declared"
    return NoSuchService(f"cannot {verb} {pattern}: {reason}", hint)
