"""Says what is going to happen: when the copy will be complete, and which disk will be full before. Pure.

Nothing is claimed that cannot be known: what is not known is None, and then nothing is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from softcopy_napari.engine.protocol.messages import ForecastSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

_SURE = 1.02
"""What is expected must exceed the free space by this factor before it counts as too much."""
_HORIZON = 24 * 3600.0
"""Seconds beyond which nobody knows whether an acquisition goes on, unless its metadata say so."""
_SOON = 60.0
"""A copy that ends at most so many seconds after the acquisition keeps up with it."""
_MOST = 2**63 - 1
"""Bytes that a snapshot can tell of; metadata may promise more."""
_FAR = 1000 * 86400.0
"""Seconds beyond which no time is given."""
_BEHIND = 1.1
"""A copy falls behind where the acquisition is faster by this factor."""


@dataclass(frozen=True, slots=True)
class ForecastFacts:
    """What a forecast is made from. Rates are in bytes a second, amounts in bytes."""

    now: float
    """Unix time."""
    acquiring: bool
    """Whether more is expected to be written to the source."""
    acquisition_rate: float | None = None
    """How fast the source grows; None while that is not known."""
    copy_rate: float | None = None
    """How fast copying is while it has work; None while that is not known."""
    waiting: int = 0
    """What is at the source and still to be copied."""
    coming: int | None = None
    """What the metadata promise and is not there yet, of those arrays of which something is there; None if of none."""
    all_known: bool = False
    """Whether those are all arrays with chunk files to come."""
    source_free: int | None = None
    """Free space on the source's disk; None where that is not known."""
    destination_free: int | None = None
    """Free space on the destination's disk; None where that is not known."""
    same_disk: bool = False
    """Whether both lie on one disk, where the copy takes space from the acquisition."""


def forecast(facts: ForecastFacts) -> ForecastSnapshot:
    """Return what is going to happen, as far as that can be known."""
    short = _missing_space(facts)
    full, danger = _source_full(facts)
    completion, after = _completion(facts)
    dangers = [] if danger is None else [danger]
    if short:
        code = ReasonCode.NOT_ENOUGH_SPACE_FOR_ALL if facts.coming else ReasonCode.NOT_ENOUGH_SPACE
        dangers.insert(0, make_reason(code, missing=short))
    return ForecastSnapshot(
        completion=completion, dangers=tuple(dangers), complete_after=after, source_full=full, destination_short=short
    )


def _missing_space(facts: ForecastFacts) -> int:
    """Return the bytes for which there will be no space at the destination."""
    if facts.destination_free is None:
        return 0
    coming = (facts.coming or 0) if facts.acquiring else 0
    needed = facts.waiting + coming * (2 if facts.same_disk else 1)
    return min(needed - facts.destination_free, _MOST) if needed > _SURE * facts.destination_free else 0


def _source_full(facts: ForecastFacts) -> tuple[float | None, Reason | None]:
    """Return when the source's disk is full, if that is before the end of the acquisition, and what to say of it."""
    free, rate = facts.source_free, facts.acquisition_rate
    if not facts.acquiring or free is None or not rate:
        return None, None
    growth = 2 if facts.same_disk else 1
    whole = facts.all_known and facts.coming is not None
    if whole and growth * (facts.coming or 0) <= _SURE * free:
        return None, None
    seconds = free / (growth * rate)
    if seconds > (_FAR if whole else _HORIZON):
        return None, None
    when = facts.now + seconds
    if whole:
        lacking = growth * (facts.coming or 0) - free
        return when, make_reason(ReasonCode.SOURCE_DISK_TOO_SMALL, when=when, missing=lacking)
    return when, make_reason(ReasonCode.SOURCE_DISK_FILLS, when=when)


def _completion(facts: ForecastFacts) -> tuple[Reason | None, float | None]:
    """Return how the copy keeps up, and how many seconds after the acquisition it is complete."""
    acquired, copied = facts.acquisition_rate, facts.copy_rate
    if not facts.acquiring or not acquired or not copied:
        return None, None
    if not facts.all_known or not facts.coming:
        if acquired > _BEHIND * copied and facts.waiting > _SOON * copied:
            return make_reason(ReasonCode.FALLS_BEHIND, written=acquired, copied=copied), None
        return None, None
    left = facts.coming / acquired
    if left > _FAR:
        return None, None
    after = max(0.0, facts.waiting + (acquired - copied) * left) / copied
    if after > _FAR:
        return make_reason(ReasonCode.FALLS_BEHIND, written=acquired, copied=copied), None
    end = facts.now + left
    if after < _SOON:
        return make_reason(ReasonCode.KEEPS_UP, end=end), after
    return make_reason(ReasonCode.COMPLETE_LATER, end=end, after=after), after
