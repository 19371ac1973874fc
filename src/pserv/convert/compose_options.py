"""What each option of a service in a compose file is here; what has no counterpart is remarked, with the reason."""

from __future__ import annotations

import pwd
import re
from collections.abc import Callable
from typing import Any, Final

from pserv.config.findings import short
from pserv.convert.entries import Entry
from pserv.model import units

_URL: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1)(?::(\d+))?(/[^\s'\"|]*)?")
_RESTARTS: Final = {"no": "never", "always": "always", "unless-stopped": "always"}
_CONDITIONS: Final = {"service_healthy": "healthy", "service_completed_successfully": "completed"}


def environment(entry: Entry, said: Any) -> dict[str, str]:
    """The variables of a service; one without a value is the environment's, which it has anyway."""
    pairs: list[tuple[str, Any]] = []
    if isinstance(said, dict):
        pairs = list(said.items())
    for item in said if isinstance(said, list) else []:
        name, equals, value = str(item).partition("=")
        pairs.append((name, value if equals else None))
    for name, value in pairs:
        if value is None:
            entry.remarks.append(f"environment: {name}: it has the daemon's environment anyway (inherit_env)")
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in pairs
        if value is not None and name
    }


def _restart(entry: Entry, said: Any) -> None:
    word = "no" if said is False else str(said)
    policy, colon, retries = word.partition(":")
    if policy == "on-failure" and (not colon or retries.isdecimal()):
        entry.options["restart"] = word
    elif policy in _RESTARTS and not colon:
        entry.options["restart"] = _RESTARTS[policy]
    else:
        entry.remarks.append(f"restart: {short(word)} is no policy of compose")


def _depends_on(entry: Entry, said: Any) -> None:
    if isinstance(said, list):
        entry.options["depends_on"] = {str(name): "started" for name in said}
    elif isinstance(said, dict):
        needs: dict[str, Any] = {}
        for name, need in said.items():
            need = need if isinstance(need, dict) else {}
            condition = _CONDITIONS.get(str(need.get("condition")), "started")
            more = {key: need[key] for key in ("required", "restart") if isinstance(need.get(key), bool)}
            needs[name] = {"condition": condition, **more} if more else condition
        entry.options["depends_on"] = needs


def _healthcheck(entry: Entry, said: Any) -> None:
    if not isinstance(said, dict) or said.get("disable") is True or said.get("test") in (["NONE"], "NONE"):
        return
    probe = _test(said.get("test"))
    if probe is None:
        entry.remarks.append("healthcheck: its test is in the image")
        return
    for theirs, ours in (("interval", "interval"), ("timeout", "timeout"), ("retries", "failures")):
        if theirs in said and (value := _number_or_time(said[theirs])) is not None:
            probe[ours] = value
    if "start_period" in said:
        entry.remarks.append("healthcheck.start_period: not needed: failures do not count until it is ready once")
    entry.options["health"] = probe


def _test(test: Any) -> dict[str, Any] | None:
    words = [str(word) for word in test] if isinstance(test, list) else []
    line = test if isinstance(test, str) else words[1] if words[:1] == ["CMD-SHELL"] and len(words) == 2 else ""
    found = _URL.search(line or " ".join(words))
    if found and (line or " ".join(words[1:])).split(" ")[0] in ("curl", "wget") and "|| exit" in f"{line}|| exit":
        return {"http": {"path": found[2] or "/", "port": int(found[1] or 80)}}
    if line:
        return {"shell": line.replace("$$", "$")}
    return {"exec": words[1:]} if words[:1] == ["CMD"] and len(words) > 1 else None


def _number_or_time(said: Any) -> Any:
    if isinstance(said, int):
        return said
    try:
        units.parse_duration(str(said))
    except ValueError:
        return None
    return str(said)


def _ports(entry: Entry, said: Any) -> None:
    ports = [_port(each) for each in said] if isinstance(said, list) else []
    for written, (here, inside) in zip(said if isinstance(said, list) else [], ports, strict=True):
        if here and here != inside:
            entry.remarks.append(f"ports: {_flat(written)}: nothing is mapped here: let it listen on {here} itself")
    same = [int(inside) for here, inside in ports if inside.isdecimal() and here in ("", inside)]
    if len(ports) == 1 and same and 0 < same[0] < 65536 and "PORT" not in entry.options.get("env", {}):
        entry.options["port"] = same[0]
    elif same:
        entry.remarks.append(f"ports: {', '.join(map(str, same))}: it opens them itself")


def _port(said: Any) -> tuple[str, str]:
    """Port on this machine and in the container, as written; "" for one that is not said."""
    if isinstance(said, dict):
        return str(said.get("published", "")), str(said.get("target", ""))
    parts = str(said).partition("/")[0].split(":")
    return (parts[-2] if len(parts) > 1 else ""), parts[-1]


def _user(entry: Entry, said: Any) -> None:
    name = str(said)
    try:
        pwd.getpwnam(name)
    except KeyError:
        entry.remarks.append(f"user: {short(name)} is a user of the image")
    else:
        entry.options["user"] = name


def _stop_signal(entry: Entry, said: Any) -> None:
    _stop(entry, "signal", str(said))


def _stop_time(entry: Entry, said: Any) -> None:
    _stop(entry, "timeout", said)


def _stop(entry: Entry, option: str, said: Any) -> None:
    entry.options["stop"] = {**entry.options.get("stop", {}), option: said}


def _deploy(entry: Entry, said: Any) -> None:
    for key, value in said.items() if isinstance(said, dict) else ():
        if key == "replicas" and isinstance(value, int):
            _instances(entry, value)
        else:
            entry.remarks.append(f"deploy.{key}: there is no such option here")


def _instances(entry: Entry, said: Any) -> None:
    if isinstance(said, int) and said > 1:
        entry.options["instances"] = said


def _env_file(entry: Entry, said: Any) -> None:
    entry.put("env_file", said)


def _develop(entry: Entry, said: Any) -> None:
    rules = said.get("watch") if isinstance(said, dict) else None
    paths = [str(rule["path"]) for rule in rules or [] if isinstance(rule, dict) and "path" in rule]
    if paths:
        entry.options["watch"] = paths
        if any("restart" not in str(rule.get("action")) for rule in rules or [] if isinstance(rule, dict)):
            entry.remarks.append("develop.watch: a change restarts it; remove watch if the program reloads itself")


def _tty(entry: Entry, said: Any) -> None:
    if said is True:
        entry.options["tty"] = True


def _as_is(option: str) -> Callable[[Entry, Any], None]:
    def put(entry: Entry, said: Any) -> None:
        entry.options[option] = said

    return put


def _nothing(entry: Entry, said: Any) -> None:
    """What needs no counterpart."""


def _flat(said: Any) -> str:
    return short(f"{said.get('published')}:{said.get('target')}" if isinstance(said, dict) else str(said))


TABLE: Final[dict[str, Callable[[Entry, Any], None]]] = {
    "restart": _restart,
    "depends_on": _depends_on,
    "healthcheck": _healthcheck,
    "ports": _ports,
    "user": _user,
    "stop_signal": _stop_signal,
    "stop_grace_period": _stop_time,
    "deploy": _deploy,
    "scale": _instances,
    "env_file": _env_file,
    "develop": _develop,
    "tty": _tty,
    "profiles": _as_is("profiles"),
    "oom_score_adj": _as_is("oom_score_adj"),
    "container_name": _nothing,
    "hostname": _nothing,
    "init": _nothing,
    "stdin_open": _nothing,
    "expose": _nothing,
}
