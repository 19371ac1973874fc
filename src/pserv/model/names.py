"""What the name of an instance says: "web:2" is the second of web. Which there are is in `rules.instances`."""

from __future__ import annotations


def service_of(key: str) -> str:
    """The service of an instance: "web" of "web:2" and of "web"."""
    return key.partition(":")[0]


def number_of(key: str) -> int | None:
    """The number of an instance, from 1; None for a service without instances."""
    number = key.partition(":")[2]
    return int(number) if number else None
