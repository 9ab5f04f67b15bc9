"""Says what is going to happen: when the copy will be complete, and which disk will be full before. Pure.

Nothing is claimed that cannot be known: what is not known is None, and then nothing is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from softcopy_napari.engine.formatting import clock_text, size_text

_SURE = 1.02
"""So many times as much as there is room for must be expected before it counts as too much."""
_HORIZON = 24 * 3600.0
"""Seconds beyond which nobody knows whether an acquisition goes on, unless its metadata say so."""
_SOON = 60.0
_FAR = 1000 * 86400.0
_BEHIND = 1.1


@dataclass(frozen=True, slots=True)
class ForecastFacts:
    """What is known of a target now. Rates are in bytes a second, amounts in bytes."""

    now: float
    """Unix time."""
    acquiring: bool
    """Whether more is expected to be written to the source."""
    acquisition_rate: float | None = None
    copy_rate: float | None = None
    """What copying manages while it has work."""
    waiting: int = 0
    """At the source, and still to be copied."""
    coming: int | None = None
    """Promised by the metadata and not there yet, of those arrays of which something is there; None if of none."""
    all_known: bool = False
    """Whether those are all arrays with chunk files to come."""
    source_free: int | None = None
    destination_free: int | None = None
    same_disk: bool = False
    """Whether both lie on one disk, and the copy takes room from the acquisition."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is going to happen, as far as that can be known."""

    words: str = ""
    """When the copy will be complete; empty while that is not known."""
    warnings: tuple[str, ...] = ()
    """What will go wrong, each in one sentence."""
    complete_after: float | None = None
    """Seconds from the end of the acquisition until everything is copied."""
    source_full: float | None = None
    """Unix time at which the source's disk is full."""
    destination_short: int = 0
    """Bytes for which there is no room at the destination."""


def forecast(facts: ForecastFacts) -> Forecast:
    """Say what is going to happen."""
    short = _short(facts)
    full, full_words = _full(facts)
    words, after = _complete(facts)
    warnings = [full_words] if full_words else []
    if short:
        certain = "" if not facts.coming else " if all chunk files come"
        warnings.insert(0, f"the destination will not fit: about {size_text(short)} short{certain}")
    return Forecast(words, tuple(warnings), after, full, short)


def _short(facts: ForecastFacts) -> int:
    """Bytes for which there will be no room at the destination."""
    if facts.destination_free is None:
        return 0
    coming = (facts.coming or 0) if facts.acquiring else 0
    needed = facts.waiting + coming * (2 if facts.same_disk else 1)
    return needed - facts.destination_free if needed > _SURE * facts.destination_free else 0


def _full(facts: ForecastFacts) -> tuple[float | None, str]:
    """When the source's disk is full, if it will be before the acquisition is over."""
    free, rate = facts.source_free, facts.acquisition_rate
    if not facts.acquiring or free is None or not rate:
        return None, ""
    growth = 2 if facts.same_disk else 1
    whole = facts.all_known and facts.coming is not None
    if whole and growth * (facts.coming or 0) <= _SURE * free:
        return None, ""
    seconds = free / (growth * rate)
    if seconds > (_FAR if whole else _HORIZON):
        return None, ""
    when = facts.now + seconds
    if whole:
        lacking = growth * (facts.coming or 0) - free
        what = f", before the acquisition is over: about {size_text(lacking)} short"
    else:
        what = " if the acquisition goes on as it does now"
    return when, f"the source's disk is full at {clock_text(when, facts.now)}{what}"


def _complete(facts: ForecastFacts) -> tuple[str, float | None]:
    """When everything will be copied, beside the end of the acquisition."""
    acquired, copied = facts.acquisition_rate, facts.copy_rate
    if not facts.acquiring or not acquired or not copied:
        return "", None
    if not facts.all_known or not facts.coming:
        if acquired > _BEHIND * copied and facts.waiting > _SOON * copied:
            rates = f"{size_text(acquired)}/s are written and {size_text(copied)}/s copied"
            return f"the copy falls behind the acquisition: {rates}", None
        return "", None
    left = facts.coming / acquired
    if left > _FAR:
        return "", None
    after = max(0.0, facts.waiting + (acquired - copied) * left) / copied
    end = f"which ends at about {clock_text(facts.now + left, facts.now)} at this rate"
    if after < _SOON:
        return f"the copy keeps up with the acquisition, {end}", after
    return f"the copy will be complete about {_roughly(after)} after the acquisition, {end}", after


def _roughly(seconds: float) -> str:
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.0f} h" if seconds >= 36000 else f"{seconds / 3600:.1f} h"
