"""Logs followed across the replacement of a supervisor: each line once. How lines are shown is in `output`."""

from __future__ import annotations

from pserv.model.errors import Unreachable

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from pserv.api.client import Client

    Key = tuple[str, str]

REPLACEMENTS = 20
"""So many supervisors in a row may be replaced without a word from one of them."""


class Unbroken:
    """The items of a followed stream of logs; asked for when it is made.

    Before and after lines the daemon tells the place in the file; from there a new supervisor goes on, and what was
    given since is left out.
    """

    def __init__(self, client: Client, request: Mapping[str, object]) -> None:
        self._client = client
        self._request = {**request, "follow": True, "places": True}
        self._at: dict[Key, str] = {}
        self._given: dict[Key, int] = {}
        """Lines since that place."""
        self._items: Iterator[dict[str, Any]] = client.stream_raw("logs", self._request)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Until the daemon has ended. Raises as `Client` does."""
        silent = 0
        while silent <= REPLACEMENTS:
            silent += 1
            lost: Unreachable | None = None
            come: dict[Key, int] = {}
            try:
                for item in self._items:
                    silent = 0
                    if self._is_new(item, come):
                        yield item
            except Unreachable as error:
                lost = error
            if not self._at:  # nothing was followed yet
                break
            places = ["/".join((*key, place)) for key, place in self._at.items()]
            try:
                self._items = self._client.stream_raw("logs", {**self._request, "lines": 0, "after": places})
            except Unreachable:
                break
        if lost is not None:
            raise lost

    def _is_new(self, item: dict[str, Any], come: dict[Key, int]) -> bool:
        """Whether it is to be shown; `come` counts what this supervisor has sent since the last place."""
        key = (item.get("service", ""), item.pop("source", None) or item.get("stream", ""))
        if item["type"] == "place":
            if self._at.get(key) != item["at"]:
                self._at[key], self._given[key] = item["at"], 0
            come[key] = 0
            return False
        if item["type"] != "line":
            return True
        come[key] = come.get(key, 0) + 1
        if come[key] <= self._given.get(key, 0):
            return False
        self._given[key] = come[key]
        return True
