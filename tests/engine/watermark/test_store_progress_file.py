"""The progress file of a store: the last lines arrive, too, although nothing comes after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.watermark import store_progress_file
from softcopy_napari.engine.watermark.progress_lines import encode_line
from softcopy_napari.engine.watermark.progress_writer import ProgressWriter
from softcopy_napari.engine.watermark.store_progress_file import StoreProgressFile
from tests.engine.support import until
from tests.support.object_stores import ObjectStore


def test_lines_that_nobody_waits_for_arrive_although_no_others_follow(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_progress_file, "_PAUSE", 2.0)
    outcomes = []
    file = StoreProgressFile(tmp_path / "source.zarr", StoreUrl.parse(object_store.url("a.zarr")))
    writer = ProgressWriter(file, lambda call: call())
    said = encode_line("begin", run="1", verify="size", anew=False, source="s", destination=object_store.url("a.zarr"))
    writer.begin(said, False, lambda *outcome: outcomes.append(outcome))
    for number in range(3):
        writer.add(encode_line("promised", missing=number), False, lambda *outcome: outcomes.append(outcome))
    assert until(lambda: len(outcomes) == 4, 30.0)
    assert until(lambda: b'"missing": 2' in object_store.read("a.zarr.progress.jsonl"), 30.0)
    writer.close(10.0)
