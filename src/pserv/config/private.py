"""Which options of a configuration hold a variable that looks secret, or may: by name alone nobody would know."""

from __future__ import annotations

from pserv.config.fragments import Configuration
from pserv.config.origins import Origins, secret_in

Private = dict[str, tuple[str, ...]]
"""Options by service: "env.URL", "command", "secrets.DB"."""


def private(configuration: Configuration) -> Private:
    """Those of all services in which one is. Only what has a `$` somewhere is looked through."""
    origins = Origins(configuration)
    providers = {name for name in configuration.providers if any(each.secret for each in origins.of_provider(name))}
    found: Private = {}
    for name, declared in configuration.services.items():
        options = [f"secrets.{secret}" for secret, provider in declared.provided.items() if provider in providers]
        if any(secret_in(node) for node, _ in declared.parts):
            options += [option for option, placed in origins.placed(name, "").items() if placed.secret]
        if options:
            found[name] = tuple(dict.fromkeys(options))
    return found
