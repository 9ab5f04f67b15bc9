"""Colours tell states apart, and text can be read in light and in dark."""

from __future__ import annotations

import itertools

import pytest
from qtpy.QtGui import QColor, QPalette

from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.widgets.bars import percent_text
from softcopy_napari.widgets.palette import (
    CHUNK_COLOURS,
    bar_colour,
    chunk_colour,
    is_dark,
    label_colours,
    mix,
    target_colour,
)


def luminance(colour: QColor) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor, other: QColor) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("state", [None, *TargetState])
@pytest.mark.parametrize(
    ("background", "dark"), [("#262930", True), ("#414851", True), ("#efebe9", False), ("#d6d0ce", False)]
)
def test_states_of_targets_can_be_read_in_naparis_themes(
    state: TargetState | None, background: str, dark: bool
) -> None:
    assert contrast(target_colour(state, dark), QColor(background)) >= 4.5


def test_every_state_of_a_chunk_file_has_a_colour_of_its_own() -> None:
    colours = [chunk_colour(state) for state in ChunkState]
    assert colours[ChunkState.ABSENT].alpha() == 0
    assert all(one != other for one, other in itertools.combinations(colours, 2))


def test_napari_gets_a_colour_for_every_state_and_for_anything_else() -> None:
    colours = label_colours({state: rgb for state, rgb in CHUNK_COLOURS.items() if rgb is not None})
    assert set(colours) == {None, *map(int, ChunkState)}
    assert colours[None] == colours[ChunkState.ABSENT] == (0.0, 0.0, 0.0, 0.0)
    assert all(0.0 <= part <= 1.0 for colour in colours.values() for part in colour)


def test_text_on_bars_and_wells_can_be_read() -> None:
    for state in (None, *TargetState):
        assert contrast(QColor("black"), bar_colour(state)) >= 4.5


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
