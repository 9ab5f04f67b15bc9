"""Puts into words up to where a copy is complete, for front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softcopy_napari.engine.formatting import count_text, printable

if TYPE_CHECKING:
    from softcopy_napari.engine.protocol.messages import Mark, WatermarkSnapshot

_AXES = {"t": "time point", "time": "time point", "c": "channel", "z": "plane", "p": "position", "position": "position"}
"""What an index along an axis is called."""
_MOST_ARRAYS = 3
"""Arrays that are named, of those that are further than others."""


def describe_watermark(mark: WatermarkSnapshot) -> str:
    """Return up to where all is complete at the destination; empty where nothing is.

    Parameters
    ----------
    mark : WatermarkSnapshot

    Returns
    -------
    str
        For example `time points 0 to 120 complete at the destination, 0 to 117 read back`, or `12 of 96 wells complete
        at the destination`. Levels that are further than the others follow.
    """
    if mark.of_wells:
        wells = f"{mark.wells:,} of {count_text(mark.of_wells, 'well')}"
        return f"{wells} complete at the destination" if mark.wells else ""
    if not mark.copied:
        return ""
    words = f"{_indices(mark)} complete at the destination"
    if mark.verified:
        words += ", all read back" if mark.verified == mark.copied else f", {_range(mark.verified)} read back"
    further = [one for one in mark.arrays if one.axis == mark.axis and one.copied > mark.copied]
    named = [f"array {printable(one.path)}: {_range(one.copied)}" for one in further[:_MOST_ARRAYS]]
    return "; ".join([words, *named])


def _indices(mark: Mark) -> str:
    noun, of = _AXES.get(mark.axis.lower()), ""
    if noun is None:
        noun, of = "position", f" along {printable(mark.axis) or 'the first axis'}"
    return f"{noun}{'' if mark.copied == 1 else 's'} {_range(mark.copied)}{of}"


def _range(count: int) -> str:
    return "0" if count == 1 else f"0 to {count - 1:,}"
