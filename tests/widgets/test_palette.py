"""Colours tell states apart, and text can be read in light and in dark."""

from __future__ import annotations

import itertools

import pytest
from qtpy.QtGui import QColor, QPalette

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.bars import percent_text
from softcopy_napari.widgets.palette import (
    CHUNK_COLOURS,
    Tone,
    chunk_colour,
    is_dark,
    label_colours,
    mix,
    tone_colour,
)


def luminance(colour: QColor) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor, other: QColor) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tone", list(Tone))
@pytest.mark.parametrize(
    ("background", "dark"), [("#262930", True), ("#414851", True), ("#efebe9", False), ("#d6d0ce", False)]
)
def test_states_of_targets_can_be_read_in_naparis_themes(tone: Tone, background: str, dark: bool) -> None:
    assert contrast(tone_colour(tone, dark), QColor(background)) >= 4.5


_DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881))
_PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
"""What remains of linear red, green and blue without one kind of cones (Machado and others, 2009)."""


def seen(colour: QColor, without: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.getRgbF()[:3]]
    mixed = (sum(part * one for part, one in zip(row, linear, strict=True)) for row in without)
    return tuple(round(255 * max(0.0, min(1.0, one)) ** (1 / 2.2)) for one in mixed)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("without", [_DEUTERANOPIA, _PROTANOPIA], ids=["deuteranopia", "protanopia"])
def test_tones_differ_with_every_kind_of_colour_vision(dark: bool, without: tuple[tuple[float, ...], ...]) -> None:
    tones = (Tone.LIVE, Tone.DONE, Tone.NEEDS_USER, Tone.WAITS, Tone.PAUSED)
    colours = {tone: seen(tone_colour(tone, dark), without) for tone in tones}
    for one, other in itertools.combinations(tones, 2):
        far = max(abs(a - b) for a, b in zip(colours[one], colours[other], strict=True))
        assert far >= 20, f"{one.name} and {other.name} look alike: {colours[one]}, {colours[other]}"


def test_every_state_of_a_chunk_file_has_a_colour_of_its_own() -> None:
    colours = [chunk_colour(state) for state in ChunkState]
    assert colours[ChunkState.ABSENT].alpha() == 0
    assert all(one != other for one, other in itertools.combinations(colours, 2))


def test_napari_gets_a_colour_for_every_state_and_for_anything_else() -> None:
    colours = label_colours({state: rgb for state, rgb in CHUNK_COLOURS.items() if rgb is not None})
    assert set(colours) == {None, *map(int, ChunkState)}
    assert colours[None] == colours[ChunkState.ABSENT] == (0.0, 0.0, 0.0, 0.0)
    assert all(0.0 <= part <= 1.0 for colour in colours.values() for part in colour)


def test_text_on_wells_can_be_read() -> None:
    for state in (ChunkState.COPYING, ChunkState.COPIED):
        assert contrast(QColor("black"), chunk_colour(state)) >= 4.5


def test_it_is_the_text_that_tells_dark_from_light() -> None:
    palette = QPalette(QColor("white"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("white"))
    assert is_dark(palette)
    palette.setColor(QPalette.ColorRole.WindowText, QColor("black"))
    assert not is_dark(palette)


def test_a_mix_lies_between() -> None:
    assert mix(QColor(0, 100, 200), QColor(100, 200, 0), 0.5) == QColor(50, 150, 100)


@pytest.mark.parametrize(
    ("fraction", "text"), [(0, "0 %"), (0.0001, "<1 %"), (0.29, "29 %"), (0.99999, "99 %"), (1, "100 %")]
)
def test_a_percentage_never_says_all_or_nothing_too_early(fraction: float, text: str) -> None:
    assert percent_text(fraction) == text
