"""The command copies what real writers write, started before, while and after they do."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.client import engines
from tests.engine.support import make_old
from tests.support.command import Softcopy, softcopy, until, until_status
from tests.support.trees import assert_same
from tests.support.writers import Writer, write

LIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "tensorstore lockfile": ("tensorstore", {"reset": 5, "notes": True}),
    "tensorstore os": ("tensorstore", {"mode": "os", "reset": 5}),
    "tensorstore none": ("tensorstore", {"mode": "none"}),
    "tensorstore v2 dotted": ("tensorstore", {"driver": "zarr", "separator": ".", "reset": 5}),
    "tensorstore v2 nested": ("tensorstore", {"driver": "zarr", "separator": "/"}),
    "tensorstore v3 dotted": ("tensorstore", {"separator": "."}),
    "tensorstore v3, v2 keys": ("tensorstore", {"encoding": "v2", "separator": "."}),
    "tensorstore shards": ("tensorstore", {"shards": True}),
    "tensorstore several shots": ("tensorstore", {"shots": 4}),
    "tensorstore growing": ("tensorstore", {"grow": True, "reset": 7}),
    "zarr-python v3": ("zarr_python", {}),
    "zarr-python v3 dotted": ("zarr_python", {"separator": "."}),
    "zarr-python v2": ("zarr_python", {"format": 2, "separator": "."}),
    "acquire-zarr": ("acquire", {"frames": 10}),
    "plate": ("plate", {"frames": 2, "planes": 2, "move": 0.4}),
}


def targets_file(folder: Path, names: list[str]) -> Path:
    """A target for each name: from `NAME` to `copies/NAME`."""
    targets = [f"- {{source: '{name}', destination: 'copies/{name}', nprocs: 1}}" for name in names]
    path = folder / "targets.yaml"
    path.write_text("\n".join(["targets:", *targets, ""]))
    return path


def test_copies_started_before_their_writers_end_equal(tmp_path: Path) -> None:
    """A file `complete` comes at once after the last chunk: nothing has been quiet by then."""
    with Softcopy(targets_file(tmp_path, list(LIVE))) as copy:
        until(lambda: any(engine.snapshot().targets for engine in engines()))
        with contextlib.ExitStack() as writing:
            for name, (kind, options) in LIVE.items():
                writing.enter_context(Writer(kind, tmp_path / name, delay=0.01, **options))
        for name in LIVE:
            (tmp_path / name / "complete").touch()
        assert copy.wait() == 0, copy.output
    for name in LIVE:
        assert_same(tmp_path / name, tmp_path / "copies" / name)


def test_copies_started_in_the_middle_of_the_writing_end_equal(tmp_path: Path) -> None:
    names = ["tensorstore growing", "tensorstore v2 dotted", "acquire-zarr", "zarr-python v3"]
    with contextlib.ExitStack() as copying:
        with contextlib.ExitStack() as writing:
            for name in names:
                kind, options = LIVE[name]
                writing.enter_context(Writer(kind, tmp_path / name, **{"frames": 20, **options}, delay=0.02))
            for name in names:
                until(lambda name=name: sum(path.is_file() for path in (tmp_path / name).rglob("*")) > 5)  # type: ignore[misc]
            copy = copying.enter_context(Softcopy(targets_file(tmp_path, names)))
        for name in names:
            (tmp_path / name / "complete").touch()
        assert copy.wait() == 0, copy.output
    for name in names:
        assert_same(tmp_path / name, tmp_path / "copies" / name)


@pytest.mark.parametrize(
    ("name", "quiet"),
    [("tensorstore shards", "0.5 s"), ("plate", "0.5 s"), ("zarr-python v2", "1 h")],  # the group lists no images
)
def test_a_copy_started_after_the_writing_ends_equal_and_tells_what_it_did(
    name: str, quiet: str, tmp_path: Path
) -> None:
    kind, options = LIVE[name]
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    write(kind, source, **options)
    if quiet == "1 h":
        make_old(source)
    done = softcopy("--settle", "0.5", source, destination)
    assert done.returncode == 0, done.stdout
    assert f"sizes and times match; every chunk is there and nothing has changed for {quiet}" in done.stdout
    assert done.stderr == ""
    assert_same(source, destination)


def test_a_file_named_complete_ends_the_copy_although_chunks_never_came(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    with Softcopy(source, destination) as copy:
        write("tensorstore", source, reset=3, complete=True, delay=0.005)
        assert copy.wait() == 0, copy.output
    assert "8 chunks never written (read as empty)" in copy.output
    assert (destination / "complete").is_file()
    assert_same(source, destination)


def test_a_plate_is_not_taken_for_finished_while_the_stage_moves_to_the_next_well(tmp_path: Path) -> None:
    source, destination = tmp_path / "plate.zarr", tmp_path / "destination.zarr"
    with Softcopy("--settle", "0.3", source, destination) as copy:
        write("plate", source, frames=1, planes=2, move=1.5)
        until_status("all chunks are there, but")
        assert copy.process.poll() is None, "wells were made while others were written: there may be more"
        assert softcopy("finish", destination).returncode == 0
        assert copy.wait() == 0, copy.output
    assert "sizes and times match; you said that the acquisition is over" in copy.output
    assert_same(source, destination)


def test_a_crashed_writer_leaves_a_lock_that_is_reported_and_not_copied(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    write("tensorstore", source)
    lock = source / "c" / "1" / "1" / "0" / "0.__lock"
    lock.write_bytes(b"half a chunk")
    done = softcopy("--finish-idle", "1", source, destination)
    assert done.returncode == 0, done.stdout
    assert "note: c/1/1/0/0 was still locked by its writer at the end. Copied as it was" in done.stdout
    assert not (destination / lock.relative_to(source)).exists()
    assert_same(source, destination)
