"""How much space is free on both sides of a target, and what is said of a side that is missing."""

from __future__ import annotations

import os
from pathlib import Path

from softcopy_napari.engine.fs.free_space import measure_both_sides


def test_room_is_known_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    found = measure_both_sides(str(tmp_path / "source"), str(tmp_path / "none"))
    assert found.source_free > 0
    assert found.source_device == tmp_path.stat().st_dev
    assert found.source_path == os.path.realpath(tmp_path / "source")
    assert (found.destination_free, found.destination_device) == (-1, 0)
