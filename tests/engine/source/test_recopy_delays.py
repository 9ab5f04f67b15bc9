"""A file that grows for hours is copied a few times, not once for each plane."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.fs.file_times import pack_version
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.held_back import HeldBack
from softcopy_napari.engine.source.recopy_delays import RecopyDelays
from softcopy_napari.engine.states import ChunkState


def grow(folder: Path, final: int, every: float, planes: int) -> tuple[int, int]:
    """Append to a file at regular times, and copy it as it may be; return how often, and how much in all."""
    inventory = Inventory(folder)
    delays, held = RecopyDelays(inventory), HeldBack(inventory, any_files=True)
    copies = copied = 0
    due = None
    for plane in range(planes + 1):
        now, size = plane * every, final * (plane + 1) // (planes + 1)
        if due is not None and due <= now:
            inventory.writers.note_settled("big.tif")
            inventory.set_state("big.tif", ChunkState.COPIED)
            before = final * plane // (planes + 1)
            inventory.versions.store.others["big.tif"] = pack_version(0, before)
            copies, copied, due = copies + 1, copied + before, None
        delay = delays.delay("big.tif")
        held.hold("big.tif", delay)
        due = now + delay
        assert size
    return copies + 1, copied + final


@pytest.mark.parametrize("every", [1.0, 10.0, 36.0, 300.0])
def test_a_tiff_of_4_gb_that_grows_for_an_hour_is_copied_a_few_times(every: float, tmp_path: Path) -> None:
    copies, copied = grow(tmp_path, 4_000_000_000, every, int(3600 / every))
    assert copies <= 12 and copied < 5 * 4_000_000_000


def test_a_small_table_that_is_appended_to_is_copied_each_time(tmp_path: Path) -> None:
    copies, _ = grow(tmp_path, 100_000, 10.0, 100)
    assert copies == 101


def test_a_file_that_was_never_copied_does_not_wait(tmp_path: Path) -> None:
    assert RecopyDelays(Inventory(tmp_path)).delay("new.tif") == 0.0
