"""The words for up to where a copy is complete."""

from __future__ import annotations

from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import WatermarkSnapshot

LEVELS = [{"path": str(level), "axis": "t", "copied": copied, "of": 9} for level, copied in enumerate((3, 4, 3))]


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ({"axis": "t", "copied": 121, "of": 600}, "time points 0 to 120 complete at the destination"),
        (
            {"axis": "time", "copied": 1200, "verified": 1001, "of": 6000},
            "time points 0 to 1,199 complete at the destination, 0 to 1,000 read back",
        ),
        (
            {"axis": "z", "copied": 5, "verified": 5, "of": 9},
            "planes 0 to 4 complete at the destination, all read back",
        ),
        ({"axis": "T", "copied": 1, "of": 9}, "time point 0 complete at the destination"),
        ({"axis": "", "copied": 2, "of": 9}, "positions 0 to 1 along the first axis complete at the destination"),
        ({"axis": "angle", "copied": 1, "of": 9}, "position 0 along angle complete at the destination"),
        (
            {"axis": "t", "copied": 3, "of": 9, "arrays": LEVELS},
            "time points 0 to 2 complete at the destination; array 1: 0 to 3",
        ),
        ({"axis": "t", "copied": 0, "of": 9, "arrays": LEVELS}, ""),
        ({"axis": "t", "copied": 0, "wells": 12, "of_wells": 96}, "12 of 96 wells complete at the destination"),
        ({"axis": "t", "copied": 7, "wells": 0, "of_wells": 96}, ""),
    ],
)
def test_words(mark: dict[str, Any], words: str) -> None:
    assert WatermarkSnapshot.model_validate(mark).words == words
