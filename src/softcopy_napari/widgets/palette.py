"""The colours of chunk files and of targets, for Qt and for napari's label colormap.

The hues are Okabe and Ito's, made to be told apart with every kind of colour vision. Which hue is which state was
chosen by the pairs that matter, measured (CIE Lab, Machado's simulation of missing red and green cones): waiting
against arrived, yellow and bluish green, differ most, and failed, vermillion, stands out of both; orange is left out,
as beside vermillion it would hide one failed chunk file among thousands that wait. Absent is transparent: the image
shows where nothing is known. Colour is never alone: names, counts and patterns say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from qtpy.QtGui import QColor, QPalette

from softcopy_napari.engine.states import ChunkState

Rgb = tuple[int, int, int]
Rgba = tuple[float, float, float, float]

CHUNK_COLOURS: dict[ChunkState, Rgb | None] = {
    ChunkState.ABSENT: None,
    ChunkState.WRITING: (204, 121, 167),
    ChunkState.PENDING: (240, 228, 66),
    ChunkState.COPYING: (86, 180, 233),
    ChunkState.COPIED: (0, 158, 115),
    ChunkState.VERIFIED: (0, 114, 178),
    ChunkState.FAILED: (213, 94, 0),
}
"""The colour of each state; None is transparent."""

_BLUE: tuple[Rgb, Rgb] = ((134, 204, 245), (0, 68, 112))
_GREEN: tuple[Rgb, Rgb] = ((96, 222, 176), (0, 98, 48))
_YELLOW: tuple[Rgb, Rgb] = ((244, 210, 98), (90, 50, 0))
_RED: tuple[Rgb, Rgb] = ((255, 183, 148), (166, 0, 24))
_GREY: tuple[Rgb, Rgb] = ((222, 222, 222), (84, 84, 84))


class Tone(Enum):
    """What a target asks of its user; each has a colour, and each card says the same in words and by an icon."""

    LIVE = "copying"
    """Blue: it is at work."""
    DONE = "done"
    """Green: it is complete."""
    NEEDS_USER = "needs you"
    """Red: somebody has to do something."""
    WAITS = "waiting"
    """Amber: it waits for what is to come by itself."""
    PAUSED = "paused"
    """Grey: its user has paused or stopped it."""
    IDLE = "not started"
    """Grey: it is only listed."""


_TONE_COLOURS: dict[Tone, tuple[Rgb, Rgb]] = {
    Tone.LIVE: _BLUE,
    Tone.DONE: _GREEN,
    Tone.WAITS: _YELLOW,
    Tone.NEEDS_USER: _RED,
    Tone.PAUSED: _GREY,
    Tone.IDLE: _GREY,
}
"""Colours of text on dark and on light backgrounds."""


_COMPARED = {ChunkState.COPIED: "equal", ChunkState.PENDING: "differs"}


def chunk_name(state: ChunkState, compared: bool = False) -> str:
    """Return the name of a state for users; compared says whether two sides were only compared."""
    return (compared and _COMPARED.get(state)) or state.name.lower()


def chunk_colour(state: ChunkState) -> QColor:
    """The state's colour; transparent for absent chunk files."""
    rgb = CHUNK_COLOURS[state]
    return QColor(0, 0, 0, 0) if rgb is None else QColor(*rgb)


def label_colours(coloured: Mapping[ChunkState, Rgb]) -> dict[int | None, Rgba]:
    """Return the colours of states as napari's `DirectLabelColormap` takes them; all other values are transparent."""
    colours: dict[int | None, Rgba] = dict.fromkeys((None, *map(int, ChunkState)), (0.0, 0.0, 0.0, 0.0))
    for state, (red, green, blue) in coloured.items():
        colours[int(state)] = (red / 255, green / 255, blue / 255, 1.0)
    return colours


def is_dark(palette: QPalette) -> bool:
    """Whether text is light on dark. It is the text that tells: style sheets often leave the base colour alone."""
    return palette.color(QPalette.ColorRole.WindowText).lightness() > 127


def tone_colour(tone: Tone, dark: bool) -> QColor:
    """The colour of a tone as text and icons, at least 4.5:1 on the usual dark or light backgrounds."""
    return QColor(*_TONE_COLOURS[tone][0 if dark else 1])


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour between two, with a share (0 to 1) of the other."""
    pairs = ((one.red(), other.red()), (one.green(), other.green()), (one.blue(), other.blue()))
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))


def faint(palette: QPalette, share: float = 0.18) -> QColor:
    """Return a quiet colour that shows on the palette's window: tracks of bars, empty cells, grid lines."""
    return mix(palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText), share)
