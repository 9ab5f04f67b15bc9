"""A copy into an object store, from the dock: the rights are tried before it starts, and its image comes from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.layers import Image
from qtpy.QtWidgets import QLabel, QLineEdit

from softcopy_napari.engine.client import engines
from softcopy_napari.engine.states import ChunkState
from tests.engine.support import make_old
from tests.plugin.dock.docked import Dock
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore

pytestmark = pytest.mark.either_binding


def test_a_copy_into_a_store_starts_once_its_rights_suffice_and_shows_the_image_that_lies_there(
    dock: Dock, viewer: Any, tmp_path: Path, object_store: ObjectStore, faulty: FaultProxy
) -> None:
    source, url = tmp_path / "embryo.zarr", object_store.url("lab/embryo.zarr", faulty.endpoint)
    values = np.arange(1, 17, dtype=np.uint16).reshape(4, 4)
    zarr.create_array(source, data=values, chunks=(2, 2))
    make_old(source)

    dock.press("new_copy_button")
    dock.find(QLineEdit, "source_edit").setText(str(source))
    dock.find(QLineEdit, "destination_edit").setText(url)  # pasted
    preview = dock.find(QLabel, "copy_preview")
    dock.until(lambda: f"Will create s3://{object_store.bucket}/lab/embryo.zarr on" in preview.accessibleName())
    faulty.inject(Fault.DENIED, method="PUT")
    dock.press("start_copy_button")
    dock.until(lambda: dock.cards and dock.cards[0].headline == "Cannot start")
    assert "Ask for permission to put objects there" in dock.cards[0].details
    assert not engines() and object_store.keys() == []

    faulty.clear()
    dock.press("start_button")
    dock.ends_complete()
    stored = object_store.objects("lab/embryo.zarr")
    assert stored == {str(one.relative_to(source)): one.read_bytes() for one in source.rglob("*") if one.is_file()}

    def pixels() -> Any:
        images = [layer for layer in viewer.layers if isinstance(layer, Image)]
        return np.asarray(images[0]._data_view) if images else None

    dock.until(lambda: np.array_equal(pixels(), values))
    dock.until(lambda: dock.shown(ChunkState.COPIED) == 4)
    assert faulty.count("GET", r"embryo\.zarr/c/") > 0, "it is read from the store"
