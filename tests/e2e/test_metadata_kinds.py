"""Datasets of any kind of zarr metadata are copied, and what cannot be followed is said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.support import make_old
from tests.support.command import Softcopy, softcopy, until
from tests.support.trees import assert_same

ARRAY: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [2, 64],
    "data_type": "uint16",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 32]}},
    "chunk_key_encoding": {"name": "default"},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "fill_value": 0,
}
KEYS = ("c/0/0", "c/0/1", "c/1/0", "c/1/1")
TIFF = {"name": "suffix", "configuration": {"suffix": ".tiff", "base_encoding": {"name": "default"}}}
AWAY = {"name": "suffix", "configuration": {"suffix": "/../../../../away", "base_encoding": "default"}}
RAGGED = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [1, [[10, 2], 44]]}}


def make(folder: Path, text: str, keys: tuple[str, ...]) -> Path:
    for number, key in enumerate(keys):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(bytes([number]) * 64)
    (folder / "zarr.json").write_text(text)
    return folder


def array(**changes: Any) -> str:
    return json.dumps({**ARRAY, **changes}, indent=1)


UNDERSTOOD: dict[str, tuple[str, tuple[str, ...], str]] = {
    "rectilinear chunk grid": (array(chunk_grid=RAGGED), tuple(f"c/{t}/{x}" for t in (0, 1) for x in range(3)), ""),
    "suffix": (array(chunk_key_encoding=TIFF), tuple(f"{key}.tiff" for key in KEYS), ""),
    "fanout": (array(chunk_key_encoding="fanout"), tuple(f"d0/{t}/d1/{x}/c" for t in (0, 1) for x in (0, 1)), ""),
    "stale bytes": (array() + '\n "name": "default"}}', KEYS, "has bytes of an older version behind its end"),
    "comments and strings": (array(shape=["2", 64.0]).replace("{", "{ // by hand", 1), KEYS, ""),
    "20 MB": (array(attributes={"frames": ["x" * 1000] * 20_000}), KEYS, ""),
}


@pytest.mark.parametrize(("text", "keys", "words"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_what_is_understood_is_counted_and_ends_by_itself(
    text: str, keys: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    source, destination = make(tmp_path / "source.zarr", text, keys), tmp_path / "destination.zarr"
    make_old(source)  # so that nobody waits until it has been quiet
    done = softcopy("--settle", "0.5", source, destination)
    assert done.returncode == 0, done.stdout
    assert f"{len(keys)} of {len(keys)} chunks are at the destination" in done.stdout
    assert words in done.stdout
    assert_same(source, destination)


OPAQUE: dict[str, tuple[str, str]] = {
    "unknown grid": (
        array(chunk_grid={"name": "hexagonal"}),
        'an unknown kind of chunk grid, "hexagonal"',
    ),
    "unknown names": (array(chunk_key_encoding="morton"), 'names its chunks in an unknown way: "morton"'),
    "names that lead out": (array(chunk_key_encoding=AWAY), "names its chunks in a way that leads elsewhere"),
    "transformers": (array(storage_transformers=[{"name": "x"}]), "has storage transformers"),
    "no shape": (array(shape=None), "has a shape that is null"),
}


@pytest.mark.parametrize(("text", "words"), OPAQUE.values(), ids=OPAQUE)
def test_what_cannot_be_followed_is_copied_all_the_same_and_said_once(text: str, words: str, tmp_path: Path) -> None:
    source, destination = make(tmp_path / "in" / "source.zarr", text, KEYS), tmp_path / "out" / "destination.zarr"
    make_old(source)
    done = softcopy("--settle", "0.1", "--finish-idle", "1", source, destination)
    assert done.returncode == 0, done.stdout
    live, _, summary = done.stdout.partition("  Complete: sizes and times match; nothing has changed for 1 s")
    for said in (live, summary):
        assert said.count(words) == said.count("Its files are copied as plain files") == 1
    assert_same(source, destination)
    assert all(path.name.startswith("destination.zarr") for path in (tmp_path / "out").iterdir())
    assert not list(tmp_path.rglob("*away*"))


def test_beside_what_cannot_be_followed_full_arrays_are_not_taken_for_all_there_is(tmp_path: Path) -> None:
    """Every chunk file that is promised is there; what the other array promises nobody knows."""
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    make(source / "full", array(), KEYS)
    make(source / "odd", array(chunk_grid={"name": "hexagonal"}), KEYS[:1])
    (source / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with Softcopy("--settle", "0.2", source, destination) as copy:
        until(lambda: (destination / "odd" / KEYS[0]).exists() and (destination / "full" / KEYS[3]).exists())
        with pytest.raises(subprocess.TimeoutExpired):
            copy.process.wait(2)
        make(source / "odd", array(chunk_grid={"name": "hexagonal"}), KEYS)
        (source / "complete").touch()
        assert copy.wait() == 0, copy.output
    assert_same(source, destination)
