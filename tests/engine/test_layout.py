"""Layouts must agree with what zarr writers really write, and say in words what cannot be followed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.core.chunk_key_encodings import DefaultChunkKeyEncoding, V2ChunkKeyEncoding
from zarr.storage import MemoryStore

from softcopy_napari.engine.layout import ArrayLayout, GroupLayout, LayoutError
from softcopy_napari.engine.metadata import parse_metadata
from softcopy_napari.engine.ome import promised_children
from softcopy_napari.engine.probe import METADATA_NAMES
from softcopy_napari.engine.shardindex import ShardIndex

ENCODINGS = {"default": DefaultChunkKeyEncoding, "v2": V2ChunkKeyEncoding}
SPELLINGS = [(encoding, separator) for encoding in ENCODINGS for separator in "./"]


def make_layout(grid: tuple[int, ...], encoding: str = "default", separator: str = "/") -> ArrayLayout:
    shape = tuple(3 * n for n in grid)
    return ArrayLayout("a", 3, shape, (3,) * len(grid), None, "uint16", encoding, separator, None)  # type: ignore[arg-type]


grids = st.lists(st.integers(1, 2000), max_size=5).map(tuple)
layouts = st.builds(lambda grid, spelling: make_layout(grid, *spelling), grids, st.sampled_from(SPELLINGS))
sources_of_flats = st.integers(0, 2**63)


# --- keys ---------------------------------------------------------------------------------------------------


@given(layouts, st.lists(sources_of_flats, min_size=1, max_size=40))
def test_keys_are_those_of_zarr_python_both_ways(layout: ArrayLayout, seeds: list[int]) -> None:
    flats = [seed % layout.n_chunk_files for seed in seeds]
    encoding = ENCODINGS[layout.encoding](separator=layout.separator)
    for flat, bulk in zip(flats, layout.keys(np.array(flats, np.int64)), strict=True):
        index = tuple(int(i) for i in np.unravel_index(flat, layout.grid))
        key = encoding.encode_chunk_key(index)
        assert layout.key(flat) == bulk == key
        assert layout.flat_index(key) == flat


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


@pytest.mark.parametrize(("encoding", "separator"), SPELLINGS)
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
    encoding: str, separator: str, change: Callable[[str], str]
) -> None:
    layout = make_layout((100, 100), encoding, separator)
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
    names = [layout._format % ((0,) * len(shape))] * 50 + ["0", "1"] * 50
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
    assert layout == ArrayLayout("x/y", 2, shape, chunks, None, "<u2", "v2", separator, None)  # type: ignore[arg-type]
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
        ShardIndex("end", 2 ** len(shape)) if shards else None,
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


# --- metadata -----------------------------------------------------------------------------------------------


def v3(**changes: object) -> dict[str, object]:
    array: dict[str, object] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4, 5],
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "bytes"}],
        "fill_value": 0,
    }
    array.update(changes)
    return {key: value for key, value in array.items() if value is not ...}


def v2(**changes: object) -> dict[str, object]:
    array: dict[str, object] = {"zarr_format": 2, "shape": [4, 5], "chunks": [2, 2], "dtype": "<u2"}
    array.update(changes)
    return {key: value for key, value in array.items() if value is not ...}


def parse(data: object, name: str = "zarr.json", path: str = "a") -> ArrayLayout | GroupLayout | None:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return parse_metadata(path, {name: content})


def regular(*chunks: object) -> dict[str, object]:
    return {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}


def sharding(**configuration: object) -> list[object]:
    return [{"name": "transpose"}, {"name": "sharding_indexed", "configuration": configuration}]


BROKEN: list[tuple[str, object, str]] = [
    ("zarr.json", b"", "is empty"),
    ("zarr.json", b" \n", "is empty"),
    ("zarr.json", b"{,", "is not valid JSON (line 1 column 2: "),
    ("zarr.json", b'{"zarr_format": 3,\n "shape": [1', "is not valid JSON (line 2 column 13: "),
    ("zarr.json", b"\xff\xfe{\0", "is not valid JSON (not UTF-8 text)"),
    ("zarr.json", b"[" * 100_000, "is not valid JSON (nested too deeply)"),
    ("zarr.json", b"[" + b"9" * 5000 + b"]", "is not valid JSON (a number is too large)"),
    ("zarr.json", b"[]", "is not zarr metadata: not a JSON object"),
    ("zarr.json", {}, "is not zarr metadata: it has no zarr_format"),
    ("zarr.json", v3(zarr_format=2), "is not zarr metadata: its zarr_format is 2, not 3"),
    ("zarr.json", v3(zarr_format=True), "is not zarr metadata: its zarr_format is true, not 3"),
    ("zarr.json", v3(node_type=...), "is not zarr metadata: it has no node_type"),
    ("zarr.json", v3(node_type="arry"), 'is not zarr metadata: its node_type is "arry"'),
    ("zarr.json", v3(shape=...), "has no shape"),
    ("zarr.json", v3(shape=None), "has a shape that is null, not a list of lengths"),
    ("zarr.json", v3(shape={"x": 1}), "has a shape that is an object, not a list of lengths"),
    ("zarr.json", v3(shape=[4, -5]), "has a shape with -5 in it, which is no length"),
    ("zarr.json", v3(shape=[4, 5.0]), "has a shape with 5.0 in it, which is no length"),
    ("zarr.json", v3(shape=[4, True]), "has a shape with true in it, which is no length"),
    ("zarr.json", v3(shape=[4, "x" * 99]), f'has a shape with "{"x" * 35}... in it, which is no length'),
    ("zarr.json", v3(shape=[1] * 33), "has a shape with 33 dimensions; at most 32 are supported"),
    ("zarr.json", v3(chunk_grid=...), "has no chunk_grid"),
    ("zarr.json", v3(chunk_grid=7), "has a chunk_grid without a name"),
    ("zarr.json", v3(chunk_grid={"name": "rectilinear"}), 'of the kind "rectilinear"; only regular ones'),
    ("zarr.json", v3(chunk_grid="regular"), "has no chunk_shape"),
    ("zarr.json", v3(chunk_grid=regular(2)), "has 2 dimensions in its shape, but 1 in its chunk_shape"),
    ("zarr.json", v3(chunk_grid=regular(2, 0)), "has chunk_shape with a length of 0"),
    ("zarr.json", v3(chunk_grid=regular(2, None)), "has a chunk_shape with null in it"),
    ("zarr.json", v3(chunk_key_encoding=...), "has no chunk_key_encoding"),
    ("zarr.json", v3(chunk_key_encoding="fanout"), 'names its chunks in a way that is not known: "fanout"'),
    ("zarr.json", v3(chunk_key_encoding={"configuration": {}}), "has a chunk_key_encoding without a name"),
    (
        "zarr.json",
        v3(chunk_key_encoding={"name": "v2", "configuration": {"separator": "-"}}),
        'separates chunk indices by "-"; only "." and "/" are allowed',
    ),
    ("zarr.json", v3(data_type=...), "has no data_type"),
    ("zarr.json", v3(data_type=3), "has a data_type that is 3"),
    ("zarr.json", v3(codecs=sharding()), "has shards without a chunk_shape"),
    ("zarr.json", v3(codecs=sharding(chunk_shape=[1])), "but 1 in its chunks in shards"),
    ("zarr.json", v3(storage_transformers=[{"name": "x"}]), "has storage transformers"),
    ("zarr.json", v3(shape=[10**18, 10**18]), "promises more chunk files than any disk can hold"),
    (".zarray", v2(shape=[0, 10**18, 10**18], chunks=[1, 1, 1]), "promises more chunk files than any disk can hold"),
    ("zarr.json", v3(shape=[2**63, 1]), "with 9223372036854775808 in it, which is too large"),
    (".zarray", v2(dtype="x" * 5000), "has a dtype of 5,000 characters, which is too long"),
    (".zarray", v2(zarr_format=3), "is not zarr metadata: its zarr_format is 3, not 2"),
    (".zarray", v2(shape=...), "has no shape"),
    (".zarray", v2(chunks=...), "has no chunks"),
    (".zarray", v2(chunks=[2, 2, 2]), "has 2 dimensions in its shape, but 3 in its chunks"),
    (".zarray", v2(chunks=True), "has a chunks that is true, not a list of lengths"),
    (".zarray", v2(dtype=None), "has a dtype that is null"),
    (".zarray", v2(dimension_separator="_"), 'separates chunk indices by "_"'),
    (".zgroup", {}, "is not zarr metadata: it has no zarr_format"),
]


@pytest.mark.parametrize(("name", "data", "words"), BROKEN, ids=[words for _, _, words in BROKEN])
def test_broken_metadata_is_explained(name: str, data: object, words: str) -> None:
    with pytest.raises(LayoutError) as caught:
        parse(data, name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.file == name


def assert_one_line(error: Exception) -> None:
    assert str(error).splitlines() == [str(error)]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
KEYS = [
    "zarr_format",
    "node_type",
    "shape",
    "chunks",
    "dtype",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
]
KEYS += ["codecs", "dimension_names", "dimension_separator", "attributes", "storage_transformers"]


@given(
    st.sampled_from(sorted(METADATA_NAMES)),
    st.binary(max_size=30) | json_values.map(lambda v: json.dumps(v).encode()),
)
def test_any_bytes_give_a_layout_or_a_reason(name: str, content: bytes) -> None:
    try:
        parse(content, name)
    except LayoutError as error:
        assert_one_line(error)


@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=3), st.sampled_from(["zarr.json", ".zarray"]))
def test_any_change_of_metadata_gives_a_layout_or_a_reason(changes: dict[str, Any], name: str) -> None:
    try:
        layout = parse(v3(**changes) if name == "zarr.json" else v2(**changes), name)
    except LayoutError as error:
        assert_one_line(error)
    else:
        if isinstance(layout, ArrayLayout) and layout.n_chunk_files:
            assert layout.flat_index(layout.key(layout.n_chunk_files - 1)) == layout.n_chunk_files - 1


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("default", ("default", "/")),
        ({"name": "default"}, ("default", "/")),
        ({"name": "default", "configuration": {}}, ("default", "/")),
        ({"name": "default", "configuration": {"separator": "."}}, ("default", ".")),
        ("v2", ("v2", ".")),
        ({"name": "v2"}, ("v2", ".")),
        ({"name": "v2", "configuration": {"separator": "/"}}, ("v2", "/")),
    ],
)
def test_short_spellings_of_the_chunk_key_encoding_are_understood(spelling: object, expected: tuple[str, str]) -> None:
    layout = parse(v3(chunk_key_encoding=spelling))
    assert isinstance(layout, ArrayLayout)
    assert (layout.encoding, layout.separator) == expected


@pytest.mark.parametrize(
    ("data_type", "dtype"),
    [
        ("float8_e4m3", "float8_e4m3"),
        ({"name": "complex_bfloat16"}, "complex_bfloat16"),
        (
            {"name": "x", "configuration": {"b": 1, "a": 2}},
            '{"configuration": {"a": 2, "b": 1}, "name": "x"}',
        ),
        ("\ud800\n", '"\\ud800\\n"'),
    ],
)
def test_types_and_codecs_that_nobody_here_knows_are_followed(data_type: object, dtype: str) -> None:
    layout = parse(v3(data_type=data_type, codecs=[{"name": "vendor.jpegxs", "configuration": {"q": 3}}]))
    assert isinstance(layout, ArrayLayout)
    assert layout.dtype == dtype


def test_an_empty_dimension_may_have_chunks_of_length_0_as_zarr_python_writes_them() -> None:
    layout = parse(v2(shape=[0, 5], chunks=[0, 5]), ".zarray")
    assert isinstance(layout, ArrayLayout)
    assert layout.grid == (0, 1)


@pytest.mark.parametrize("names", [["z"], ["z", 1], "zy", {}, None])
def test_odd_dimension_names_do_not_stop_a_copy(names: object) -> None:
    layout = parse(v3(dimension_names=names))
    assert isinstance(layout, ArrayLayout)
    assert layout.dimension_names is None


def test_zarr_3_metadata_wins_and_an_array_wins_over_a_group() -> None:
    files = {
        "zarr.json": json.dumps(v3()).encode(),
        ".zarray": b"broken",
        ".zgroup": b"broken",
        ".zattrs": b"broken",
    }
    layout = parse_metadata("", files)
    assert isinstance(layout, ArrayLayout)
    assert layout.zarr_format == 3
    del files["zarr.json"]
    files[".zarray"] = json.dumps(v2()).encode()
    assert isinstance(parse_metadata("", files), ArrayLayout)


def test_a_folder_without_metadata_is_neither_array_nor_group() -> None:
    assert parse_metadata("a", {}) is None
    assert parse_metadata("a", {".zattrs": b"broken"}) is None


def test_a_byte_order_mark_does_no_harm() -> None:
    assert isinstance(parse(b"\xef\xbb\xbf" + json.dumps(v3()).encode()), ArrayLayout)


def test_parsing_does_not_need_zarr() -> None:
    code = "import sys, softcopy_napari.engine.layout as _; sys.exit('zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
        ({"path": "b", "dimension_names": ("z", "y", "x")}, ""),
    ],
)
def test_a_different_array_at_the_destination_is_named(changes: dict[str, Any], words: str) -> None:
    fields = "path zarr_format shape chunk_shape inner_chunk_shape dtype encoding separator dimension_names"
    values = {name: getattr(BASE, name) for name in fields.split()}
    other = ArrayLayout(**{**values, **changes})
    assert other.difference(BASE) == words
    grown = "its shape" in words
    assert other.difference(BASE, ignore_shape=True) == ("" if grown else words)
    assert other.same_array(BASE) is (grown or not words)


# --- what OME metadata promises -----------------------------------------------------------------------------

IMAGE = {"multiscales": [{"datasets": [{"path": "0"}, {"path": "1"}]}, {"datasets": [{"path": "other/0"}]}]}
PLATE = {"plate": {"rows": [{"name": "A"}], "columns": [{"name": "1"}, {"name": "2"}], "wells": [{"path": "A/1"}]}}
WELL = {"well": {"images": [{"path": "0", "acquisition": 1}, {"path": "1"}]}}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("path", "attributes", "children"),
    [
        ("", IMAGE, ("0", "1", "other/0")),
        ("A/1/0", IMAGE, ("A/1/0/0", "A/1/0/1", "A/1/0/other/0")),
        ("", PLATE, ("A/1",)),
        ("A/1", WELL, ("A/1/0", "A/1/1")),
        ("0/labels", {"labels": ["cells", "nuclei"]}, ("0/labels/cells", "0/labels/nuclei")),
        ("OME", {"series": ["0", "1"]}, ("0", "1")),  # beside the group, not in it
        ("x/OME", {"series": ["0"]}, ("x/0",)),
        ("elsewhere", {"series": ["0"]}, ()),
        ("", {**PLATE, "mine": {"multiscales": [{"datasets": [{"path": "9"}]}]}}, ("A/1",)),
    ],
)
def test_promised_images_wells_and_levels(
    version: str, path: str, attributes: dict[str, object], children: tuple[str, ...]
) -> None:
    if version == "0.5":
        content = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", **attributes}},
        }
        files = {"zarr.json": json.dumps(content).encode()}
    else:
        files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": json.dumps(attributes).encode()}
    assert parse_metadata(path, files) == GroupLayout(path, children)


def test_channel_names_called_labels_promise_nothing() -> None:
    files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": b'{"labels": ["DAPI", "GFP"]}'}
    assert parse_metadata("image", files) == GroupLayout("image", ())


BAD_PATHS: list[object] = [
    "",
    "/",
    "/abs",
    "..",
    "../x",
    "a/../b",
    ".",
    "./a",
    "a//b",
    "a/",
    "C:",
    "C:/x",
    "a/C:x",
]
BAD_PATHS += ["a\\b", "a\0b", "\ud800", None, 0, ["0"], {"path": "0"}]
OME_KEYS = ["ome", "multiscales", "datasets", "path", "plate", "wells", "well", "images", "labels", "series"]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_paths_that_lead_elsewhere_are_not_followed(path: object) -> None:
    assert promised_children({"multiscales": [{"datasets": [{"path": path}, {"path": "0"}]}]}) == ("0",)


ome_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(OME_KEYS), inner, max_size=3),
    ),
    max_leaves=20,
)


@given(ome_like, st.sampled_from(["", "OME", "x/labels"]))
def test_whatever_users_keep_in_attributes_does_not_stop_a_copy(attributes: object, path: str) -> None:
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    new = parse(group, path=path)
    files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": json.dumps(attributes).encode()}
    assert isinstance(new, GroupLayout)
    assert parse_metadata(path, files) == new


def test_broken_attributes_do_not_stop_a_copy() -> None:
    files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": b'{"multiscales": ['}
    assert parse_metadata("a", files) == GroupLayout("a", ())
