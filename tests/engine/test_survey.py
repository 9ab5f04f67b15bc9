"""What is known of a source when a comparison and events tell of the same file, in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.compare import FolderPart
from softcopy_napari.engine.inventory import Inventory
from softcopy_napari.engine.reconcile import Walks
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.survey import Survey
from tests.engine.support import make_layout


@pytest.mark.parametrize("path", ["0", "notes"])
def test_a_comparison_does_not_call_copied_what_was_deleted_while_it_was_under_way(path: str, tmp_path: Path) -> None:
    """The worker has seen it on both sides; then its writer deleted it, and so did another worker."""
    inventory, walks = Inventory(tmp_path), Walks()
    inventory.register(make_layout((2,)))
    survey = Survey(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    survey.start_pass(full=True, now=0.0)
    assert walks.next(1) == [("", 0)]
    walks.touch("", path)
    inventory.gone(path, lock_held=True)
    batch = inventory.take(5)
    assert batch is not None and batch.paths == [path]
    inventory.released(path)
    inventory.finished(batch, [ChunkState.ABSENT])
    survey.take_part(FolderPart("", same=[path, "1"], last=True, final=True), 0.0, finishing=False)
    assert inventory.state(path) is ChunkState.ABSENT
    assert inventory.state("1") is ChunkState.COPIED
    inventory.digests.close()
