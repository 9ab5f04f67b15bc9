"""Holds a card's state until it has been over for a while: what comes and goes within moments is not shown. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from softcopy_napari.widgets.card import Card, Icon
from softcopy_napari.widgets.palette import Tone

HOLD = 2.5
"""Seconds that a state must have been over, before another is shown."""

Identity = tuple[str, str]
"""Source and destination."""


class SteadyCards:
    """Remembers the cards that are shown, and since when their states are over.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[Identity, Card] = {}
        self._over_since: dict[Identity, float] = {}
        """Since when targets are in another state than is shown; they may alternate between others."""

    def steady(self, now: Mapping[Identity, Card]) -> dict[Identity, Card]:
        """Return the cards to show; figures are always the present ones."""
        self._shown = {identity: self._next(identity, card) for identity, card in now.items()}
        self._over_since = {identity: since for identity, since in self._over_since.items() if identity in now}
        return self._shown

    @property
    def due(self) -> float | None:
        """Seconds until the first of the present states is to be shown; None where all are."""
        now = self._clock()
        return max(0.0, min(self._over_since.values()) + HOLD - now) if self._over_since else None

    def _next(self, identity: Identity, card: Card) -> Card:
        shown, state, now = self._shown.get(identity), (card.tone, card.headline), self._clock()
        if (
            shown is None
            or not (shown.flickers and card.flickers)
            or state == (shown.tone, shown.headline)
            or (shown.tone is Tone.WAITS and card.tone is Tone.LIVE)  # what has begun waits no longer
        ):
            self._over_since.pop(identity, None)
            return card
        if now - self._over_since.setdefault(identity, now) >= HOLD:
            del self._over_since[identity]
            return card
        if shown.icon is not Icon.ARROW or card.icon is not Icon.ARROW:
            return shown  # the figures belong to the state
        return replace(
            shown, facts=card.facts, fraction=card.fraction, striped=card.striped, actions=card.actions, tip=card.tip
        )
