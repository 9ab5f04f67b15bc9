"""Layouts must agree with what zarr writers really write: which chunk files there are, and what they are called."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.core.chunk_key_encodings import DefaultChunkKeyEncoding, V2ChunkKeyEncoding
from zarr.storage import MemoryStore

from softcopy_napari.engine.protocol.messages import ArraySnapshot
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, Runs
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.shard_index import ShardIndex

ENCODINGS = {"default": DefaultChunkKeyEncoding, "v2": V2ChunkKeyEncoding}
SPELLINGS = [(encoding, separator) for encoding in ENCODINGS for separator in "./"]
EXTENDED = [
    *((*spelling, suffix) for spelling in SPELLINGS for suffix in (".tiff", ".shard.zip", "0", ".0", "%d", "/chunk")),
    *(("fanout", "/", suffix, base) for base in (4, 101, 1001) for suffix in ("", ".tiff", "/0")),
]
"""Spellings that zarr-python does not have: with suffix, and in folders of a limited size."""


def make_layout(
    grid: tuple[int, ...], encoding: str = "default", separator: str = "/", suffix: str = "", max_children: int = 0
) -> ArrayLayout:
    shape = tuple(3 * n for n in grid)
    kind = (encoding, separator, None, None, suffix, max_children)
    return ArrayLayout("a", 3, shape, (3,) * len(grid), None, "uint16", *kind)  # type: ignore[arg-type]


def layouts_of(*spellings: tuple[Any, ...]) -> st.SearchStrategy[ArrayLayout]:
    return st.builds(lambda grid, spelling: make_layout(grid, *spelling), grids, st.sampled_from(spellings))


grids = st.lists(st.integers(1, 2000), max_size=5).map(tuple)
layouts = layouts_of(*SPELLINGS) | layouts_of(*EXTENDED)
sources_of_flats = st.integers(0, 2**63)


# --- keys ---------------------------------------------------------------------------------------------------


@given(layouts_of(*SPELLINGS), st.lists(sources_of_flats, min_size=1, max_size=40))
def test_keys_are_those_of_zarr_python_both_ways(layout: ArrayLayout, seeds: list[int]) -> None:
    flats = [seed % layout.n_chunk_files for seed in seeds]
    encoding = ENCODINGS[layout.encoding](separator=layout.separator)
    for flat, bulk in zip(flats, layout.keys(np.array(flats, np.int64)), strict=True):
        index = tuple(int(i) for i in np.unravel_index(flat, layout.grid))
        key = encoding.encode_chunk_key(index)
        assert layout.key(flat) == bulk == key
        assert layout.flat_index(key) == flat


@given(layouts, st.lists(sources_of_flats, min_size=1, max_size=40))
def test_each_chunk_file_has_a_name_of_its_own_by_which_it_is_found(layout: ArrayLayout, seeds: list[int]) -> None:
    flats = sorted({seed % layout.n_chunk_files for seed in seeds})
    keys = layout.keys(np.array(flats, np.int64))
    assert keys == [layout.key(flat) for flat in flats] and len(set(keys)) == len(flats)
    assert [layout.flat_index(key) for key in keys] == flats
    assert all(key.endswith(layout.suffix) and layout.has_form_of_key(key) for key in keys)
    assert all(layout.flat_index(f"{key}x") is None for key in keys)


@pytest.mark.parametrize(
    ("index", "key"), [((), "c"), ((123,), "d0/1/23/c"), ((1234, 5, 67890), "d0/12/34/d1/5/d2/6/78/90/c")]
)
def test_keys_in_folders_of_a_limited_size_are_those_of_their_specification(index: tuple[int, ...], key: str) -> None:
    layout = make_layout(tuple(n + 1 for n in index), "fanout", "/", "", 101)
    assert layout.key(layout.n_chunk_files - 1) == layout.key_at(index) == key
    assert layout.flat_index(key) == layout.n_chunk_files - 1


@pytest.mark.parametrize(
    "key", ["d0/1/23", "d0/1/23/c/", "d0/01/23/c", "d0/0/23/c", "d0/123/c", "d0/1/100/c", "d1/1/23/c", "d0//23/c", "c"]
)
def test_what_no_writer_would_call_a_chunk_in_folders_of_a_limited_size_is_none(key: str) -> None:
    assert make_layout((1000,), "fanout", "/", "", 101).flat_index(key) is None


def hostile_names(layout: ArrayLayout) -> st.SearchStrategy[str]:
    """Names of one file that are chunk keys, nearly chunk keys, or anything else."""
    numbers = st.one_of(
        st.integers(0, 30).map(str),
        st.integers(0, 10**40).map(str),
        st.sampled_from(["", "00", "01", "-1", "+1", " 1", "1 ", "1_0", "1\n", "\n", "\u0663", "1\n2", "0x1", "c"]),
    )
    near = st.lists(numbers, max_size=6).map(".".join)
    near = st.one_of(near, near.map("c.".__add__), near.map("c".__add__))
    anything = st.text(st.characters(exclude_characters="/\0", exclude_categories=[]), max_size=8)
    files = st.sampled_from([*METADATA_NAMES, "c", "0", "c.0.__lock", "c.\n0", "\udcff", "0.1.partial"])
    return st.one_of(near, anything, files, valid_keys(layout).map(lambda key: key.rpartition("/")[2]))


def valid_keys(layout: ArrayLayout) -> st.SearchStrategy[str]:
    return sources_of_flats.map(lambda seed: layout.key(seed % layout.n_chunk_files))


@given(st.data(), layouts)
def test_a_folder_is_read_as_its_names_one_by_one(data: st.DataObject, layout: ArrayLayout) -> None:
    folder = data.draw(
        st.one_of(
            valid_keys(layout).map(lambda key: key.rpartition("/")[0]),
            st.sampled_from(["", "c", "0", "c/0", "c/00", "c/1/", "/", "c//0", "x", "c/0/0/0"]),
        )
    )
    names = data.draw(st.lists(hostile_names(layout), max_size=20))
    names += data.draw(st.lists(valid_keys(layout).map(lambda key: key.rpartition("/")[2]), max_size=60))
    expected = [layout.flat_index(f"{folder}/{name}" if folder else name) for name in names]
    assert layout.flat_indices(folder, names).tolist() == [-1 if flat is None else flat for flat in expected]


@pytest.mark.parametrize("spelling", [*SPELLINGS, ("default", "/", ".tiff"), ("v2", ".", ".0"), ("v2", "/", "0")])
@pytest.mark.parametrize(
    "change",
    [
        lambda name: name,
        lambda name: "zarr.json",
        lambda name: "",
        lambda name: name + "\n",
        lambda name: name + "\n" + name,
        lambda name: name[:-1] + "a",
        lambda name: name[:-1] + "/",
        lambda name: name[:-1] + "\u0661",
        lambda name: name[:-1] + "\udcff",
        lambda name: name[:-1] + "100",  # just outside the grid
        lambda name: name[:-1] + "1" * 19,
        lambda name: name[:-1] + "1" * 30,
        lambda name: name[:-1] + "0" + name[-1],
        lambda name: name[:-1],
        lambda name: name + ".0",
        lambda name: "c." + name,
        lambda name: name.removeprefix("c."),
    ],
)
def test_one_odd_name_among_many_chunks_does_not_misplace_them(
    spelling: tuple[Any, ...], change: Callable[[str], str]
) -> None:
    layout = make_layout((100, 100), *spelling)
    folder, _, last = layout.key(9).rpartition("/")
    names = [layout.key(flat).rpartition("/")[2] for flat in range(100)]
    names.insert(50, change(last))
    expected = [layout.flat_index(f"{folder}/{name}" if folder else name) for name in names]
    found = layout.flat_indices(folder, names).tolist()
    assert found == [-1 if flat is None else flat for flat in expected]
    assert found[:50] + found[51:] == list(range(100))


@pytest.mark.parametrize(("encoding", "separator"), SPELLINGS)
@pytest.mark.parametrize("folder", ["x", "c/x", "c/00", "00", "c/100", "100", "c/0/0", "c/0/"])
def test_names_like_chunks_in_other_folders_are_not_taken_for_chunks(
    encoding: str, separator: str, folder: str
) -> None:
    layout = make_layout((100, 100), encoding, separator)
    names = [layout.key(flat).rpartition("/")[2] for flat in range(100)]
    assert set(layout.flat_indices(folder, names).tolist()) == {-1}


@pytest.mark.parametrize("key", ["c/00/1", "c/-1/0", "c/1", "c/1/2/3", "c/4/0", "c/0/5", "c/\u0661/0", "c/1/0\n", ""])
def test_what_is_no_chunk_key_of_the_array_is_not_taken_for_one(key: str) -> None:
    assert make_layout((4, 5)).flat_index(key) is None


@pytest.mark.parametrize("flat", [-1, 20, 10**30])
def test_asking_for_a_chunk_outside_the_grid_fails(flat: int) -> None:
    with pytest.raises(IndexError):
        make_layout((4, 5)).key(flat)


@pytest.mark.parametrize("shape", [(0,), (0, 7), (7, 0), (2, 0, 2)])
@pytest.mark.parametrize(("encoding", "separator"), SPELLINGS)
def test_an_array_without_elements_has_no_chunk_files(shape: tuple[int, ...], encoding: str, separator: str) -> None:
    layout = ArrayLayout("", 3, shape, (2,) * len(shape), None, "u1", encoding, separator, None)  # type: ignore[arg-type]
    assert layout.grid == tuple(-(-n // 2) for n in shape)
    assert layout.n_chunk_files == 0
    assert layout.keys(np.zeros(0, np.int64)) == []
    names = [layout.key_at((0,) * len(shape))] * 50 + ["0", "1"] * 50
    for folder in ("", "c", "c/0", "0"):
        assert set(layout.flat_indices(folder, names).tolist()) == {-1}
    assert layout.flat_index("c/0") is None
    with pytest.raises(IndexError):
        layout.key(0)


def test_a_ragged_last_chunk_counts() -> None:
    assert ArrayLayout("", 2, (10, 9), (4, 3), None, "<u2", "v2", ".", None).grid == (3, 3)


# --- arrays that real writers wrote -------------------------------------------------------------------------


def stored(store: MemoryStore, path: str) -> dict[str, bytes]:
    """Contents of all files below a folder of a store."""

    async def read() -> dict[str, bytes]:
        contents = {}
        async for key in store.list_prefix(f"{path}/"):
            buffer = await store.get(key, zarr.core.buffer.default_buffer_prototype())
            assert buffer is not None
            contents[key.removeprefix(f"{path}/")] = buffer.to_bytes()
        return contents

    return asyncio.run(read())


def assert_chunks_are_known(layout: object, files: set[str]) -> None:
    assert isinstance(layout, ArrayLayout)
    chunks = {name for name in files if name not in METADATA_NAMES}
    assert set(layout.keys(np.arange(layout.n_chunk_files))) == chunks
    assert {layout.key(flat) for flat in range(layout.n_chunk_files)} == chunks
    found = []
    for folder in {name.rpartition("/")[0] for name in chunks}:
        names = [name.rpartition("/")[2] for name in files if name.rpartition("/")[0] == folder]
        found += [flat for flat in layout.flat_indices(folder, names).tolist() if flat >= 0]
    assert sorted(found) == list(range(layout.n_chunk_files))


SHAPES = [((), ()), ((7,), (2,)), ((3, 26), (2, 2)), ((2, 3, 2, 5, 4), (1, 2, 2, 2, 3))]


@pytest.mark.parametrize(("shape", "chunks"), SHAPES)
@pytest.mark.parametrize("separator", [".", "/"])
def test_arrays_of_zarr_2_format(shape: tuple[int, ...], chunks: tuple[int, ...], separator: str) -> None:
    store = MemoryStore()
    array = zarr.create_array(
        store,
        name="x/y",
        shape=shape,
        chunks=chunks,
        dtype="uint16",
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": separator},
        config={"write_empty_chunks": True},
    )
    array[...] = 1
    files = stored(store, "x/y")
    layout = parse_metadata("x/y", files)
    known = ChunkEncoding("zstd", 2 * math.prod(chunks))
    assert layout == ArrayLayout("x/y", 2, shape, chunks, None, "<u2", "v2", separator, None, known)  # type: ignore[arg-type]
    assert_chunks_are_known(layout, set(files))


@pytest.mark.parametrize(("shape", "chunks"), SHAPES)
@pytest.mark.parametrize(("encoding", "separator"), SPELLINGS)
@pytest.mark.parametrize("sharded", [False, True])
def test_arrays_of_zarr_3_format(
    shape: tuple[int, ...], chunks: tuple[int, ...], encoding: str, separator: str, sharded: bool
) -> None:
    store = MemoryStore()
    shards = tuple(2 * n for n in chunks) if sharded and shape else None
    names = [f"axis {i}" for i in range(len(shape))]
    array = zarr.create_array(
        store,
        name="x/y",
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="uint16",
        zarr_format=3,
        chunk_key_encoding={"name": encoding, "separator": separator},
        dimension_names=names,
        config={"write_empty_chunks": True},
    )
    array[...] = 1
    files = stored(store, "x/y")
    layout = parse_metadata("x/y", files)
    inner = chunks if shards else None
    assert layout == ArrayLayout(
        "x/y",
        3,
        shape,
        shards or chunks,
        inner,
        "uint16",
        encoding,
        separator,
        tuple(names) or None,  # type: ignore[arg-type]
        ShardIndex("end", 2 ** len(shape)) if shards else ChunkEncoding("zstd", 2 * math.prod(chunks)),
    )
    assert_chunks_are_known(layout, set(files))


TENSORSTORE_SPECS: dict[str, dict[str, Any]] = {
    "zarr, dots": {"driver": "zarr", "metadata": {"chunks": [2, 3], "dimension_separator": "."}},
    "zarr, separator left out": {"driver": "zarr", "metadata": {"chunks": [2, 3]}},
    "zarr, slashes": {"driver": "zarr", "metadata": {"chunks": [2, 3], "dimension_separator": "/"}},
    "zarr, structured": {"driver": "zarr", "field": "x", "metadata": {"dtype": [["x", "<u2"], ["y", "|u1"]]}},
    "zarr3": {"driver": "zarr3"},
    "zarr3, v2 keys": {"driver": "zarr3", "metadata": {"chunk_key_encoding": {"name": "v2"}}},
    "zarr3, dots": {
        "driver": "zarr3",
        "metadata": {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}},
    },
    "zarr3, sharded after a transpose": {
        "driver": "zarr3",
        "metadata": {
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 6]}},
            "codecs": [
                {"name": "transpose", "configuration": {"order": [1, 0]}},
                {"name": "sharding_indexed", "configuration": {"chunk_shape": [3, 2]}},
            ],
        },
    },
}


@pytest.mark.parametrize("name", TENSORSTORE_SPECS)
def test_arrays_of_tensorstore(name: str, tmp_path: Path) -> None:
    spec = json.loads(json.dumps(TENSORSTORE_SPECS[name]))
    metadata = spec.setdefault("metadata", {})
    metadata["shape"] = [5, 13]
    if spec["driver"] == "zarr":
        metadata.setdefault("dtype", "<u2")
    else:
        metadata.setdefault("data_type", "uint16")
    array = tensorstore.open(
        {
            **spec,
            "kvstore": {"driver": "file", "path": str(tmp_path)},
            "create": True,
            "store_data_equal_to_fill_value": True,
        }
    ).result()
    array.write(1).result()
    files = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    layout = parse_metadata("", files)
    assert isinstance(layout, ArrayLayout)
    assert layout.chunk_shape == (array.chunk_layout.write_chunk.shape or (5, 13))
    assert layout.dtype == (
        '[["x", "<u2"], ["y", "|u1"]]' if "structured" in name else metadata.get("data_type", "<u2")
    )
    assert layout.inner_chunk_shape == ((3, 2) if "sharded" in name else None)
    assert_chunks_are_known(layout, set(files))


# --- differences --------------------------------------------------------------------------------------------

BASE = ArrayLayout("a", 3, (4, 128, 128), (1, 128, 128), (1, 64, 64), "uint16", "default", "/", None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"zarr_format": 2}, "it is of zarr format 2, not 3"),
        ({"shape": (4,), "chunk_shape": (1,)}, "its number of dimensions is 1, not 3"),
        ({"shape": (5, 128, 128)}, "its shape is (5, 128, 128), not (4, 128, 128)"),
        ({"chunk_shape": (1, 64, 64)}, "its shards are (1, 64, 64), not (1, 128, 128)"),
        ({"inner_chunk_shape": (1, 1, 1)}, "the chunks in its shards are (1, 1, 1), not (1, 64, 64)"),
        ({"inner_chunk_shape": None}, "it is not sharded"),
        ({"dtype": "uint8"}, "its type is uint8, not uint16"),
        ({"separator": "."}, "its chunk files are called c.0.0.0, not c/0/0/0"),
        ({"encoding": "v2"}, "its chunk files are called 0/0/0, not c/0/0/0"),
        ({"suffix": ".tiff"}, "its chunk files are called c/0/0/0.tiff, not c/0/0/0"),
        ({"edge_lengths": (((1, 4),), ((64, 1), (128, 1)), ((128, 1),))}, "its shards have other lengths along axis 1"),
        ({"edge_lengths": (((1, 4), (2, 9)), ((128, 1),), ((128, 1), (64, 1)))}, ""),
        ({"path": "b", "dimension_names": ("z", "y", "x")}, ""),
    ],
)
def test_a_different_array_at_the_destination_is_named(changes: dict[str, Any], words: str) -> None:
    fields = "path zarr_format shape chunk_shape inner_chunk_shape dtype encoding separator dimension_names"
    values = {name: getattr(BASE, name) for name in fields.split()}
    other = ArrayLayout(**{**values, **changes})
    assert describe(other.difference(BASE)) == words
    grown = "its shape" in words
    assert describe(other.difference(BASE, ignore_shape=True)) == ("" if grown else words)
    assert (not other.difference(BASE, ignore_shape=True)) is (grown or not words)


def test_arrays_that_spread_chunks_over_other_folders_are_different() -> None:
    here, there = (make_layout((9, 9), "fanout", "/", "", most) for most in (101, 1001))
    assert describe(here.difference(there)) == "its chunk files are called d0/10/1/d1/10/1/c, not d0/1/1/d1/1/1/c"


def rectilinear(shape: tuple[int, ...], *runs: Runs) -> ArrayLayout:
    longest = tuple(max(length for length, _ in axis) for axis in runs)
    return ArrayLayout("", 3, shape, longest, None, "u1", "default", "/", None, edge_lengths=runs)


def test_chunk_files_of_unequal_lengths_are_counted_one_by_one() -> None:
    layout = rectilinear((4, 64), ((1, 4),), ((10, 1), (22, 2), (32, 1)))
    assert layout.grid == (4, 4) and layout.n_chunk_files == 16
    assert layout.key(15) == "c/3/3" and layout.flat_index("c/0/4") is None


def test_front_ends_take_an_array_of_unequal_chunks_and_no_other_that_does_not_add_up() -> None:
    layout = rectilinear((4, 64), ((1, 4),), ((10, 1), (22, 2), (32, 1)))
    array = {"path": "", "dtype": "u1", "ledger": "", "counts": (16, 0, 0, 0, 0, 0, 0)}
    array |= {"shape": layout.shape, "chunk_shape": layout.chunk_shape, "grid": layout.grid}
    assert ArraySnapshot(regular=False, **array).grid == (4, 4)
    for grid, regular in ((4, 4), True), ((4, 1), False), ((4, 65), False), ((4, 0), False):
        with pytest.raises(ValueError, match="the grid is not the shape in chunk files"):
            ArraySnapshot(**{**array, "grid": grid, "regular": regular})


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        (((10, 1), (22, 1)), ((10, 1), (22, 1), (32, 5)), True),  # it has grown
        (((10, 3),), ((10, 2), (11, 1)), False),
        (((10, 3),), ((10, 2),), True),
        (((10, 1 << 60),), ((10, 1 << 61), (3, 1)), True),
        (((9, 1),), ((10, 1),), False),
    ],
)
def test_an_array_of_unequal_chunks_that_grew_is_the_same_and_one_cut_otherwise_is_not(
    here: Runs, there: Runs, same: bool
) -> None:
    one, other = rectilinear((1 << 62,), here), rectilinear((1 << 62,), there)
    both = one.difference(other, ignore_shape=True), other.difference(one, ignore_shape=True)
    assert [not words for words in both] == [same, same]


def test_parsing_does_not_need_zarr() -> None:
    code = "import sys, softcopy_napari.engine.zarr_layout.array_layout as _; sys.exit('zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["default", "v2"]),
    st.data(),
)
def test_paths_below_any_folder_are_read_as_keys_are(
    grid: tuple[int, ...], encoding: Literal["default", "v2"], data: st.DataObject
) -> None:
    layout = ArrayLayout("a", 3, grid, (1,) * len(grid), None, "uint8", encoding, "/", None)
    cells = data.draw(st.lists(st.integers(0, layout.n_chunk_files - 1), min_size=1, max_size=40))
    depth = data.draw(st.integers(0, len(grid) - 1))
    first = layout.key(cells[0]).split("/")
    start = depth + (encoding == "default") if depth or data.draw(st.booleans()) else 0
    folder = "/".join(first[:start])
    inside = [cell for cell in cells if layout.key(cell).split("/")[:start] == first[:start]]
    paths = [layout.key(cell)[len(folder) + 1 if folder else 0 :] for cell in inside]
    found = layout.flat_indices_of(folder, paths)
    assert found is not None and found.tolist() == inside
    assert layout.indices_below(folder) == (
        tuple(map(int, first[start - depth : start])) if start or encoding == "v2" else None
    )
    for wrong in ("x", "00", "1/2/3/4/5", "-1", "999999999", ""):
        assert layout.flat_indices_of(folder, [*paths, wrong]) is None
    assert layout.flat_indices_of("b", paths) is None and layout.flat_indices_of("99", paths) is None
