"""Paths of earlier copies are there in the next session."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from softcopy_napari.plugin.dock import recent_paths as module
from softcopy_napari.plugin.dock.recent_paths import RecentPaths, recent_paths, remember_paths


def _next_session() -> RecentPaths:
    """What another process would read, when all has been written."""
    for thread in threading.enumerate():
        if thread.name == "softcopy-remember":
            thread.join()
    module._saved._path = None
    return recent_paths()


def test_paths_of_earlier_copies_come_back_newest_first() -> None:
    remember_paths(["/data/a.zarr"], ["/nas/a.zarr"])
    remember_paths(["/data/b.zarr"], ["/nas/b.zarr"])
    known = remember_paths(["/data/a.zarr"], ["/nas/c.zarr"])
    assert known.sources == ("/data/a.zarr", "/data/b.zarr")
    assert known.destinations == ("/nas/c.zarr", "/nas/b.zarr", "/nas/a.zarr")
    assert remember_paths(["/data/1", "/data/2"]).sources[:2] == ("/data/2", "/data/1"), "the last one is the newest"
    remember_paths(targets_file="/data/targets.yaml")
    assert _next_session() == RecentPaths(
        ("/data/2", "/data/1", *known.sources), known.destinations, ("/data/targets.yaml",)
    )


def test_old_paths_are_forgotten() -> None:
    for number in range(30):
        remember_paths([f"/data/{number}.zarr"])
    assert len(_next_session().sources) == 12
    assert recent_paths().sources[0] == "/data/29.zarr"


def test_two_naparis_do_not_forget_for_each_other(state_folder_in_tmp: Path) -> None:
    remember_paths(["/data/mine.zarr"])
    _next_session()
    (state_folder_in_tmp / "remembered.json").write_text(json.dumps({"sources": ["/data/theirs.zarr"]}))
    remember_paths(["/data/new.zarr"])
    assert _next_session().sources == ("/data/new.zarr", "/data/mine.zarr", "/data/theirs.zarr")


@pytest.mark.parametrize("content", ["", "[]", '{"sources": 3, "destinations": [1, "", "/nas/a.zarr"]}', "\udcff"])
def test_a_damaged_memory_is_no_reason_to_fail(state_folder_in_tmp: Path, content: str) -> None:
    state_folder_in_tmp.mkdir()
    (state_folder_in_tmp / "remembered.json").write_bytes(content.encode(errors="surrogateescape"))
    known = _next_session()
    assert known.sources == ()
    assert remember_paths(["/data/a.zarr"]).sources == ("/data/a.zarr",)
    assert _next_session().sources == ("/data/a.zarr",)
