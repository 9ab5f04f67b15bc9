"""The examples do what they say: they are run as they are."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import zarr

from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.engine.receipt.receipt import find_receipt

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example; processes that it starts find it by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module(name)


def test_each_time_point_is_worked_on_and_the_source_freed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load("work_while_it_grows", monkeypatch)
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    example.main([str(tmp_path), "--frames", "3"])
    copy = tmp_path / "cluster" / "embryo.zarr"
    data = np.asarray(zarr.open_array(f"{copy}/0", mode="r")[:])
    results = json.loads((tmp_path / "cluster" / "results.json").read_text())
    assert [result["t"] for result in results] == [0, 1, 2]
    assert [result["brightest"] for result in results] == data.max(axis=(2, 3, 4)).tolist()
    said = capsys.readouterr().out
    assert "time point 2 is at the destination, and verified" in said
    _, receipt = find_receipt(copy)
    assert receipt is not None and f"{receipt.files} files moved to" in said
    assert not list((tmp_path / "microscope" / "embryo.zarr").rglob("zarr.json"))
