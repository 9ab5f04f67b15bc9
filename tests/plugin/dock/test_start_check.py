"""Targets that cannot be started are found one by one, and the others can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock.start_check import split_startable
from tests.engine.support import make_array

pytestmark = pytest.mark.either_binding


def test_good_ones_can_be_started_and_each_bad_one_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    good = make_target(make_array(tmp_path / "a.zarr", (1, 1)), tmp_path / "copies" / "a", Settings())
    waits = make_target(tmp_path / "late.zarr", tmp_path / "copies" / "late", Settings())
    file = make_target(tmp_path / "file", tmp_path / "copies" / "file", Settings())
    twice = make_target(tmp_path / "b.zarr", tmp_path / "copies" / "a", Settings())
    able, refused = split_startable([good, file, waits, twice])
    assert able == [good, waits]
    assert [target for target, _ in refused] == [file, twice]
    assert "is a file, not a folder" in refused[0][1] and "destination of its own" in refused[1][1]
