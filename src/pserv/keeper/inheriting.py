"""Which of the daemon's variables a service gets. Nothing is read or set here."""

from __future__ import annotations

from pserv.keeper.host import COOKIE_VARIABLE

NEVER_INHERITED = ("NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "INVOCATION_ID", "JOURNAL_STREAM", COOKIE_VARIABLE)
"""Beginnings of the names of variables that speak to the daemon, not to its services; what needs them gets its own."""


def inherited(rule: bool | list[str], variables: dict[str, str]) -> dict[str, str]:
    """All, none, or those that match these names; a name may end with `*`."""
    env = {}
    for name, value in variables.items():
        if not name.startswith(NEVER_INHERITED) and (rule is True or (rule and _matches(name, rule))):
            env[name] = value
    return env


def _matches(name: str, rule: list[str]) -> bool:
    return any(name == word or (word.endswith("*") and name.startswith(word[:-1])) for word in rule)
