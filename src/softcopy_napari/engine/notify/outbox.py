"""Holds what is to be said until it is due, so that what happens together becomes one notification."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import SecretStr

from softcopy_napari.engine.notify.message_text import Item

Urls = tuple[SecretStr, ...]

WAIT = 15.0
"""Seconds for which the first thing waits for others."""
INTERVAL = 300.0
"""Seconds between two notifications to the same URLs, at least."""
_ATTEMPTS = 3
"""How often something is sent to a URL that does not take it."""


class Parcel(NamedTuple):
    """One notification to be sent."""

    urls: Urls
    items: tuple[Item, ...]
    attempt: int = 1


class Outbox:
    """Collects items by where they go; times are monotonic ones.

    Parameters
    ----------
    wait, interval : float
        Seconds.
    """

    def __init__(self, wait: float = WAIT, interval: float = INTERVAL) -> None:
        self._wait, self._interval = wait, interval
        self._waiting: dict[Urls, list[Item]] = {}
        self._due: dict[Urls, float] = {}
        self._next: dict[Urls, float] = {}
        """When the next one may be sent, by where the last one went."""
        self._again: list[tuple[float, Parcel]] = []

    def add(self, urls: Urls, item: Item, now: float) -> None:
        """Put an item in."""
        self._waiting.setdefault(urls, []).append(item)
        self._due.setdefault(urls, max(now + self._wait, self._next.get(urls, now)))

    def put_back(self, parcel: Parcel, urls: Urls, now: float) -> None:
        """Have something sent again later to those URLs that did not take it; after a few attempts it is dropped."""
        if urls and parcel.attempt < _ATTEMPTS:
            self._again.append((now + self._interval, Parcel(urls, parcel.items, parcel.attempt + 1)))

    def pop_due_parcels(self, now: float, everything: bool = False) -> list[Parcel]:
        """Take out what is to be sent now, or everything."""
        due = [urls for urls, when in self._due.items() if everything or now >= when]
        parcels = []
        for urls in due:
            del self._due[urls]
            self._next[urls] = now + self._interval
            parcels.append(Parcel(urls, tuple(self._waiting.pop(urls))))
        parcels += [parcel for when, parcel in self._again if everything or now >= when]
        self._again = [] if everything else [one for one in self._again if now < one[0]]
        return parcels
