"""Hostile sources and destinations, end to end: nothing outside of the destination is made, changed or deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.client import Copy, launch
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import make_array, make_old, tree, until, write
from tests.security.support import ODD_TEXTS, listing
from tests.security.test_metadata import IMAGE, V2_ARRAY, V3_ARRAY, V3_GROUP

posix_only = pytest.mark.skipif(os.name != "posix", reason="links")

CHUNK = b"\1\2" * 4
"""Of 2 x 2 elements of 2 bytes."""
V3_CHUNKS = {**V3_ARRAY, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}
"""Without shards: what is no whole shard is not copied."""


@contextmanager
def copying(folder: Path, settle: float = 0.0) -> Iterator[Copy]:
    """Copy `source` in a folder to `destination` in it."""
    settings = Settings(nprocs=1, settle=settle)
    copy = Copy(launch([make_target(folder / "source", folder / "destination", settings)]), "1")
    process = psutil.Process(copy.engine.run.pid)
    try:
        yield copy
    finally:
        copy.stop()
        copy.engine.close()
        process.wait(10)


@pytest.fixture
def surroundings(tmp_path: Path) -> Path:
    """What lies around source and destination, and must stay as it is."""
    for name in ("x", "outside/c/0/0", "outside/0.0", "outside/victim", "outside/.softcopy-1-1.tmp", "etc/passwd"):
        write(tmp_path / name, b"precious", old=True)
    return tmp_path


def test_metadata_that_point_elsewhere_lead_nowhere(surroundings: Path) -> None:
    source, destination = surroundings / "source", surroundings / "destination"
    elsewhere = [*ODD_TEXTS, "../outside", "../../outside/c", str(surroundings / "outside")]
    datasets = [{"path": path} for path in elsewhere]
    wells = {"plate": {"wells": datasets}, "well": {"images": datasets}, "labels": elsewhere, "series": elsewhere}
    ome = {**wells, "multiscales": [{**IMAGE["multiscales"][0], "datasets": datasets}]}  # type: ignore[index]
    write(source / "zarr.json", json.dumps({**V3_GROUP, "attributes": {"ome": ome}}).encode())
    write(source / "OME" / "zarr.json", json.dumps({**V3_GROUP, "attributes": {"ome": ome}}).encode())
    write(source / "v2" / ".zgroup", b'{"zarr_format": 2}')
    write(source / "v2" / ".zattrs", json.dumps(ome).encode())
    write(source / "v2" / ".zmetadata", json.dumps({"metadata": {"../../x/.zarray": V2_ARRAY}}).encode())
    for number, separator in enumerate(("/../", "..", "\\", "/", None, "\0", ["/"])):
        encoding = {"name": "default", "configuration": {"separator": separator}}
        document = {**V3_CHUNKS, "chunk_key_encoding": encoding, "path": "../../outside", "attributes": {"ome": ome}}
        write(source / f"v3-{number}" / "zarr.json", json.dumps(document).encode())
        write(source / f"v3-{number}" / "c" / "0" / "0", CHUNK)
        write(source / f"v2-{number}" / ".zarray", json.dumps({**V2_ARRAY, "dimension_separator": separator}).encode())
        write(source / f"v2-{number}" / "0" / "0", CHUNK)
    make_old(source)
    own = [destination, destination.with_name("destination.progress.jsonl"), surroundings / "state"]
    before = listing(surroundings, *own)
    with copying(surroundings) as copy:
        assert until(lambda: copy.snapshot().files_copied >= len(tree(source)), 20.0)
    assert listing(surroundings, *own) == before
    assert tree(destination) == tree(source), "all that lies there is copied, as plain files at least"


@posix_only
def test_links_are_copied_as_links_and_never_followed(surroundings: Path) -> None:
    source, destination, outside = (surroundings / name for name in ("source", "destination", "outside"))
    make_array(source, (2,))
    for name, target in (("absolute", str(outside)), ("relative", "../outside"), ("0.0", "/etc/passwd"), ("up", "..")):
        (source / name).symlink_to(target)
    make_old(source)
    own = [
        destination.with_name(f"destination{ending}") for ending in ("", ".xxh128", ".receipt.json", ".progress.jsonl")
    ]
    before = listing(surroundings, *own, surroundings / "state")
    with copying(surroundings) as copy:
        assert copy.wait(20.0).state is TargetState.COMPLETE
    assert listing(surroundings, *own, surroundings / "state") == before
    assert all((destination / name).is_symlink() for name in ("absolute", "relative", "0.0", "up"))


@posix_only
def test_a_link_of_the_source_that_becomes_a_folder_opens_no_way_out(surroundings: Path) -> None:
    """The copied link stands at the destination: what is written into the folder must not go where it leads."""
    source, destination, outside = (surroundings / name for name in ("source", "destination", "outside"))
    make_array(source, (3,), chunks=False)
    (source / "c").symlink_to(outside)
    before = listing(outside)
    with copying(surroundings, settle=1000.0) as copy:
        assert until(lambda: (destination / "c").is_symlink())
        (source / "c").unlink()
        write(source / "c" / "authorized_keys", b"hostile")
        write(source / "c" / "victim", b"hostile")
        assert until(lambda: (snapshot := copy.snapshot()).failed_files or snapshot.other_files >= 3)
        # Its writer deletes one under its lock, which deletes the copy, too.
        (source / "c" / "victim.__lock").touch()
        (source / "c" / "victim").unlink()
        (source / "c" / "victim.__lock").unlink()
        write(source / "0", b"a chunk")
        assert until(lambda: (destination / "0").exists())
    assert listing(outside) == before


@posix_only
def test_a_folder_of_the_destination_that_somebody_replaces_by_a_link_opens_no_way_out(surroundings: Path) -> None:
    source, destination, outside = (surroundings / name for name in ("source", "destination", "outside"))
    write(source / "zarr.json", json.dumps(V3_CHUNKS).encode(), old=True)
    write(source / "c" / "0" / "0", b"first", old=True)
    make_old(source)
    with copying(surroundings) as copy:
        copy.finish(20.0)
    assert tree(destination) == tree(source)
    (destination / "c" / "0" / "0").unlink()
    (destination / "c" / "0").rmdir()
    (destination / "c").rmdir()
    (destination / "c").symlink_to(outside / "c")
    before = listing(outside)
    write(source / "c" / "0" / "0", b"second")
    write(source / "c" / "1" / "2", b"third")
    with copying(surroundings) as copy:
        copy.finish(2.0)
        # Either it takes the link for a thing in the way, and says so, or it puts the folder in its place.
        done = until(lambda: (snapshot := copy.snapshot()).failed_files or snapshot.state.ended, 10.0)
        assert done and (copy.snapshot().state is not TargetState.COMPLETE or tree(destination) == tree(source))
    assert listing(outside) == before
