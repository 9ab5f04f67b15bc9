"""The writers that other tests copy from do what they say, and leave on disk what docs/dev/writers.md says."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.support.command import until
from tests.support.trees import assert_same, contents
from tests.support.writers import Writer, write

# watchdog says so where a folder appears while it looks, and its thread would die of it.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell in which order things happened")


class _Recorder(FileSystemEventHandler):
    """Everything that happens to files below a folder: (what, name), in order."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.seen: list[tuple[str, str]] = []

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory or event.event_type not in ("created", "deleted", "moved", "closed"):
            return
        self.seen.append((event.event_type, os.path.relpath(str(event.src_path), self._root)))
        if event.event_type == "moved":
            self.seen.append(("arrived", os.path.relpath(str(event.dest_path), self._root)))

    def of(self, pattern: str) -> list[tuple[str, str]]:
        """Those whose whole name fits."""
        return [(what, name) for what, name in self.seen if re.fullmatch(pattern, name)]


@contextmanager
def _recorded(root: Path) -> Iterator[_Recorder]:
    """Record until everything that was done in the block has been told."""
    root.mkdir(exist_ok=True)
    recorder = _Recorder(root)
    observer = Observer()
    observer.schedule(recorder, str(root), recursive=True)
    observer.start()
    try:
        yield recorder
        (root / "last").touch()
        until(lambda: recorder.of("last"))
    finally:
        observer.stop()
        observer.join()
        (root / "last").unlink(missing_ok=True)


def _read(path: Path) -> np.ndarray[Any, Any]:
    import tensorstore as ts

    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    array = ts.open({"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}).result()
    return np.asarray(array.read().result())


@pytest.mark.parametrize(
    ("options", "chunk"),
    [
        ({}, "c/5/3/0/0"),
        ({"separator": "."}, "c.5.3.0.0"),
        ({"encoding": "v2", "separator": "."}, "5.3.0.0"),
        ({"shards": True, "mode": "os"}, "c/5/3/0/0"),
        ({"driver": "zarr", "separator": ".", "mode": "none"}, "5.3.0.0"),
        ({"driver": "zarr", "separator": "/"}, "5/3/0/0"),
        ({"grow": True, "shots": 4, "attributes": True}, "c/5/3/0/0"),
        ({"driver": "zarr", "grow": True, "attributes": True}, "5/3/0/0"),
    ],
    ids=str,
)
def test_tensorstore_writes_every_chunk_file_under_its_key(options: dict[str, Any], chunk: str, tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    write("tensorstore", path, **options)
    metadata = {"zarr.json"} if options.get("driver") != "zarr" else {".zarray", ".zattrs"}
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - metadata
    assert len(files) == 24
    assert chunk in files
    pixels = _read(path)
    assert pixels.shape == (6, 4, 64, 64)
    assert pixels.min() > 0
    if options.get("attributes"):
        held = json.loads((path / ("zarr.json" if options.get("driver") != "zarr" else ".zattrs")).read_text())
        assert held.get("attributes", held) == {"planes": 23}


def test_the_same_seed_writes_the_same_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write("tensorstore", tmp_path / name, seed=seed)
    assert_same(tmp_path / "one", tmp_path / "again")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")
    with pytest.raises(AssertionError, match=r"c/0/0/0/0: \w+ / \w+"):
        assert_same(tmp_path / "one", tmp_path / "other")


@linux
@pytest.mark.parametrize("driver", ["zarr", "zarr3"])
@pytest.mark.parametrize("mode", ["lockfile", "os"])
def test_tensorstore_renames_its_lock_and_deletes_what_becomes_the_fill_value_under_it(
    driver: str, mode: str, tmp_path: Path
) -> None:
    path = tmp_path / "array.zarr"
    with _recorded(path) as events:
        write("tensorstore", path, driver=driver, mode=mode, separator=".", reset=4, frames=1)
    kept, gone = ("c.0.1.0.0", "c.0.0.0.0") if driver == "zarr3" else ("0.1.0.0", "0.0.0.0")
    replaced = [("created", "{}.__lock"), ("moved", "{}.__lock"), ("arrived", "{}"), ("closed", "{}")]
    deleted = [("created", "{}.__lock"), ("deleted", "{}"), ("deleted", "{}.__lock")]

    def told(chunk: str) -> list[tuple[str, str]]:
        # In mode `os` the lock is opened twice, and closed once before anything is written to it.
        return [event for event in events.of(f"{chunk}.*") if event != ("closed", f"{chunk}.__lock")]

    assert told(kept) == [(what, name.format(kept)) for what, name in replaced]
    assert told(gone) == [(what, name.format(gone)) for what, name in replaced + deleted]
    assert not (path / gone).exists()
    assert (path / kept).exists()


@linux
def test_tensorstore_without_locks_writes_to_a_name_of_its_own_and_deletes_without_warning(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    with _recorded(path) as events:
        write("tensorstore", path, mode="none", separator=".", frames=1, reset=4)
    moved = events.of(r"c\.0\.1\.0\.0_[0-9a-f]{8,16}\.__lock")
    assert [what for what, _ in moved] == ["created", "moved"]
    assert ("arrived", "c.0.1.0.0") in events.seen
    assert ("deleted", "c.0.0.0.0") in events.seen
    assert not [name for what, name in events.of(r".*\.__lock") if what == "deleted"]


@linux
def test_tensorstore_in_several_shots_replaces_a_chunk_file_once_for_each(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    with _recorded(path) as events:
        write("tensorstore", path, separator=".", frames=1, shots=4)
    assert events.of(r"c\.0\.1\.0\.0").count(("arrived", "c.0.1.0.0")) == 4


@linux
def test_tensorstore_replaces_metadata_when_an_array_grows(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    with _recorded(path) as events:
        write("tensorstore", path, separator=".", grow=True, frames=4)
    assert events.of("zarr.json").count(("arrived", "zarr.json")) == 4


@linux
@pytest.mark.parametrize(("zarr_format", "chunk"), [(2, "0.1.0.0"), (3, "c.0.1.0.0")])
def test_zarr_python_renames_a_partial_that_does_not_name_its_chunk(
    zarr_format: int, chunk: str, tmp_path: Path
) -> None:
    group = tmp_path / "group.zarr"
    with _recorded(tmp_path) as events:  # zarr-python makes the group's folder anew
        write("zarr_python", group, format=zarr_format, separator=".", frames=20, delay=0.01)
    # The array's folder is watched a moment after it appears: a late chunk is seen for certain.
    late = "group.zarr/image/" + chunk.replace("0.1.0.0", "19.1.0.0")
    what, partial = events.seen[events.seen.index(("arrived", late)) - 1]
    assert what == "moved"
    assert re.fullmatch(re.escape(late.removesuffix(".0")) + r"\.[0-9a-f]{32}\.partial", partial)
    assert (group / "temperature" / ("0" if zarr_format == 2 else "c")).exists()


@linux
def test_acquire_zarr_writes_in_place_and_its_metadata_come_late(tmp_path: Path) -> None:
    path = tmp_path / "group.zarr"
    with _recorded(path) as events:
        write("acquire", path, frames=6, planes=2, delay=0.02)
    pixels = _read(path / "image")
    assert pixels.shape == (12, 64, 64)
    assert pixels.min() > 0
    assert not events.of(r".*(lock|partial|tmp)")
    closed = [number for number, (what, name) in enumerate(events.seen) if (what, name[:7]) == ("closed", "image/c")]
    assert closed
    assert events.seen.index(("created", "zarr.json")) > closed[-1]


@pytest.mark.parametrize("driver", ["zarr", "zarr3"])
def test_a_zero_dimensional_array_is_one_chunk_file(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    write("scalar", path, driver=driver)
    expected = {".zarray", "0"} if driver == "zarr" else {"zarr.json", "c"}
    assert {file.name for file in path.iterdir()} == expected
    assert _read(path) == 36.6


def test_wells_of_a_plate_appear_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "plate.zarr"
    with Writer("plate", path, frames=1, planes=2, move=0.5) as writer:
        until(lambda: (path / "A/1/0/1/c/0/1/0/0").exists())
        assert writer.running
        assert not (path / "B").exists()
    assert (path / "B/1/0/1/c/0/1/0/0").exists()


def test_sidecars_and_the_file_complete_come_last(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    write("tensorstore", path, notes=True, complete=True)
    assert json.loads((path / "notes.json").read_text()) == {"planes": 23}
    assert (path / "complete").exists()


def test_an_aborted_writer_leaves_its_lock_and_no_more_chunks(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    write("tensorstore", path, abort=12, complete=True)
    assert (path / "c/3/0/0/0.__lock").exists()
    assert sum(file.is_file() for file in path.rglob("c/*/*/*/*")) == 13
    assert not (path / "complete").exists()


def test_a_writer_that_fails_shows_its_output(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"the writer failed:\n(.|\n)*no such driver"):
        write("scalar", tmp_path / "array.zarr", driver="no such driver")


def test_a_writer_can_be_killed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    with Writer("tensorstore", path, frames=1000, delay=0.01) as writer:
        until(lambda: (path / "c/0/1/0/0").exists())
        writer.kill()
        assert not writer.running
    assert not (path / "c/999").exists()
