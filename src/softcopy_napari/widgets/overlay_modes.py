"""What the overlay marks in each of its modes, and in which colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.widgets.palette import CHUNK_COLOURS, Rgb

_UNPROVEN: Rgb = (86, 180, 233)


class OverlayMode(StrEnum):
    """What the overlay shows over the image."""

    PROBLEMS = "problems"
    """Chunk files that are missing at the destination, have failed, or are not proven: the default."""
    FRONTIER = "frontier"
    """Outlines of what is under way, or has come in the last seconds."""
    ALL = "all"
    """The state of every chunk file."""
    OFF = "off"
    """Nothing."""

    @property
    def label(self) -> str:
        """Its name for users."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class Marking:
    """Says which chunk files are marked, as faces or as edges.

    Attributes
    ----------
    faces : mapping
        Colours of the states whose chunk files are tinted; all others are left alone.
    edges : mapping
        Colours of the states whose chunk files are outlined.
    recent : tuple or None
        Colour of outlines of chunk files that have just arrived.
    """

    faces: Mapping[ChunkState, Rgb]
    edges: Mapping[ChunkState, Rgb]
    recent: Rgb | None = None


def marking_of(mode: OverlayMode, state: TargetState, verify: bool, volume: bool) -> Marking:
    """Return what to mark of a target.

    Parameters
    ----------
    mode : OverlayMode
    state : TargetState
        The target's. What is not there has failed to come only when the target has failed.
    verify : bool
        Whether what has arrived is to be read back: then what was not by the end is unproven.
    volume : bool
        Whether the picture is in 3D, where faces would hide what lies behind them.
    """
    coloured = {state: colour for state, colour in CHUNK_COLOURS.items() if colour is not None}
    match mode:
        case OverlayMode.ALL:
            return Marking(coloured, {})
        case OverlayMode.FRONTIER:
            under_way = (ChunkState.WRITING, ChunkState.PENDING, ChunkState.COPYING)
            edges = {one: coloured[one] for one in under_way}
            return Marking({}, edges, coloured[ChunkState.COPIED])
        case OverlayMode.PROBLEMS:
            missing = coloured[ChunkState.PENDING]
            problems = {ChunkState.PENDING: missing, ChunkState.COPYING: missing}
            if state in (TargetState.FAILED, TargetState.INCOMPLETE):
                problems[ChunkState.ABSENT] = missing
            if verify and state.ended:
                problems[ChunkState.COPIED] = _UNPROVEN
            problems[ChunkState.FAILED] = coloured[ChunkState.FAILED]
            return Marking({}, problems) if volume else Marking(problems, {})
    return Marking({}, {})
