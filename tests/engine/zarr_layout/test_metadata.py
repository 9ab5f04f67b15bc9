"""Metadata as writers in all languages leave them: understood, copied as plain files, or read again later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout import probe as probe_module
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, GroupLayout, LayoutError, OpaqueNode
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.ome import promised_children
from softcopy_napari.engine.zarr_layout.probe import MAX_METADATA, read_metadata


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


def parse(data: object, name: str = "zarr.json", path: str = "a") -> ArrayLayout | GroupLayout | OpaqueNode | None:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return parse_metadata(path, {name: content})


def parse_array(data: object, name: str = "zarr.json") -> ArrayLayout:
    layout = parse(data, name)
    assert isinstance(layout, ArrayLayout), layout
    return layout


def assert_one_line(text: str) -> None:
    assert text.splitlines() == [text]


def regular(*chunks: object) -> dict[str, object]:
    return {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}


def rectilinear(*axes: object, kind: str = "inline") -> dict[str, object]:
    return {"name": "rectilinear", "configuration": {"kind": kind, "chunk_shapes": list(axes)}}


def keys(name: str, **configuration: object) -> dict[str, object]:
    return {"name": name, "configuration": configuration}


def with_suffix(suffix: str, base: object = "default", key: str = "base_encoding") -> dict[str, object]:
    return keys("suffix", suffix=suffix, **{key: base})


def sharding(**configuration: object) -> list[object]:
    return [{"name": "transpose"}, {"name": "sharding_indexed", "configuration": configuration}]


# --- what is half written, or no zarr metadata ---------------------------------------------------------------

BROKEN: list[tuple[str, object, str]] = [
    ("zarr.json", b"", "is empty"),
    ("zarr.json", b" \n", "is empty"),
    ("zarr.json", b"{,", "is not valid JSON (line 1 column 2: "),
    ("zarr.json", b'{"zarr_format": 3,\n "shape": [1', "is not valid JSON (line 2 column 13: "),
    ("zarr.json", b'{"zarr_format": 3, "node_type": "gro', "is not valid JSON (line 1 column 33: "),
    ("zarr.json", b'{"zarr_format": 3, /* "node_type": "group"}', "is not valid JSON (line 1 column 20: "),
    ("zarr.json", b"\0" * 300, "is not valid JSON (line 1 column 1: "),
    ("zarr.json", b"\xff\xfe{\0", "is not valid JSON (line 1 column 1: "),
    ("zarr.json", b"[" * 100_000, "is not valid JSON (nested too deeply)"),
    ("zarr.json", b"[]", "is not zarr metadata: not a JSON object"),
    ("zarr.json", {}, "is not zarr metadata: it has no zarr_format"),
    (".zgroup", {}, "is not zarr metadata: it has no zarr_format"),
]


@pytest.mark.parametrize(("name", "data", "words"), BROKEN, ids=[words for _, _, words in BROKEN])
def test_metadata_that_may_be_whole_later_are_named_with_what_is_wrong(name: str, data: object, words: str) -> None:
    with pytest.raises(LayoutError) as caught:
        parse(data, name)
    assert words in str(caught.value)
    assert_one_line(str(caught.value))
    assert caught.value.file == name


@given(st.sampled_from([0, 1]), st.data())
def test_metadata_that_end_anywhere_are_read_again_later(which: int, data: st.DataObject) -> None:
    document = (v3(attributes={"a": '} // " /* {', "b": [{}, "µ"]}), v2())[which]
    content = json.dumps(document, indent=1, ensure_ascii=False).encode()
    half = content[: data.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(LayoutError):
        parse(half, ("zarr.json", ".zarray")[which])
    with pytest.raises(LayoutError):
        parse(half + bytes(len(content) - len(half)), ("zarr.json", ".zarray")[which])


# --- what is whole and cannot be followed ---------------------------------------------------------------------

OPAQUE: list[tuple[str, object, str]] = [
    ("zarr.json", v3(zarr_format=2), "is not zarr metadata: its zarr_format is 2, not 3"),
    ("zarr.json", v3(zarr_format=4), "is not zarr metadata: its zarr_format is 4, not 3"),
    ("zarr.json", v3(zarr_format=True), "is not zarr metadata: its zarr_format is true, not 3"),
    ("zarr.json", v3(node_type=...), "is not zarr metadata: it has no node_type"),
    ("zarr.json", v3(node_type="arry"), 'is not zarr metadata: its node_type is "arry"'),
    ("zarr.json", v3(shape=...), "has no shape"),
    ("zarr.json", v3(shape=None), "has a shape that is null, not a list of lengths"),
    ("zarr.json", v3(shape={"x": 1}), "has a shape that is an object, not a list of lengths"),
    ("zarr.json", v3(shape="4x5"), 'has a shape that is "4x5", not a list of lengths'),
    ("zarr.json", v3(shape=[4, -5]), "has a shape with -5 in it, which is not a length"),
    ("zarr.json", v3(shape=[4, "-5"]), 'has a shape with "-5" in it, which is not a length'),
    ("zarr.json", v3(shape=[4, 5.5]), "has a shape with 5.5 in it, which is not a length"),
    ("zarr.json", v3(shape=[4, 1e300]), "has a shape with 1e+300 in it, which is not a length"),
    ("zarr.json", v3(shape=[4, float("inf")]), "has a shape with Infinity in it, which is not a length"),
    ("zarr.json", v3(shape=[4, float("nan")]), "has a shape with NaN in it, which is not a length"),
    ("zarr.json", v3(shape=[4, True]), "has a shape with true in it, which is not a length"),
    ("zarr.json", v3(shape=[4, "x" * 99]), f'has a shape with "{"x" * 35}... in it, which is not a length'),
    ("zarr.json", v3(shape=[1] * 33), "has a shape with 33 dimensions; at most 32 are supported"),
    ("zarr.json", v3(shape=5), "has 1 dimensions in its shape, but 2 in its chunk_shape"),
    ("zarr.json", v3(chunk_grid=...), "has no chunk_grid"),
    ("zarr.json", v3(chunk_grid=7), "has a chunk_grid without a name"),
    ("zarr.json", v3(chunk_grid={"name": "hexagonal"}), 'an unknown kind of chunk grid, "hexagonal"'),
    ("zarr.json", v3(chunk_grid="regular"), "has no chunk_shape"),
    ("zarr.json", v3(chunk_grid=regular(2)), "has 2 dimensions in its shape, but 1 in its chunk_shape"),
    ("zarr.json", v3(chunk_grid=regular(2, 0)), "has chunk_shape with a length of 0"),
    ("zarr.json", v3(chunk_grid=regular(2, None)), "has a chunk_shape with null in it"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, 2, kind="external")), 'an unknown kind of chunk grid, "external"'),
    ("zarr.json", v3(chunk_grid="rectilinear"), "has a chunk_shapes that is null, not a list of lengths"),
    ("zarr.json", v3(chunk_grid=rectilinear(2)), "has 2 dimensions in its shape, but 1 in its chunk_shapes"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, [2, 2])), "has chunk_shapes that end before the array does"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, [])), "has chunk_shapes that end before the array does"),
    ("zarr.json", v3(chunk_grid=rectilinear(0, 2)), "has chunk_shapes with a length of 0"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, [[0, 9]])), "has chunk_shapes with a length of 0"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, [[1, 2, 3]])), "has a chunk_shapes with a list in it"),
    ("zarr.json", v3(chunk_grid=rectilinear(2, {})), "has a chunk_shapes with an object in it"),
    (
        "zarr.json",
        v3(shape=[4, 10**9], chunk_grid=rectilinear(2, [1, 2] * 200_000 + [10**9])),
        "has more chunk lengths than can be kept track of",
    ),
    ("zarr.json", v3(chunk_key_encoding=...), "has no chunk_key_encoding"),
    ("zarr.json", v3(chunk_key_encoding="morton"), 'names its chunks in an unknown way: "morton"'),
    ("zarr.json", v3(chunk_key_encoding={"configuration": {}}), "has a chunk_key_encoding without a name"),
    ("zarr.json", v3(chunk_key_encoding=keys("v2", separator="-")), 'indices by "-"; only "." and "/" are allowed'),
    ("zarr.json", v3(chunk_key_encoding=keys("fanout", max_children=3)), "has a max_children that is 3"),
    ("zarr.json", v3(chunk_key_encoding=keys("fanout", max_children=None)), "has a max_children that is null"),
    ("zarr.json", v3(chunk_key_encoding=keys("suffix", base_encoding="v2")), "without a suffix"),
    ("zarr.json", v3(chunk_key_encoding=keys("suffix", suffix=".x")), "has no base-encoding"),
    ("zarr.json", v3(chunk_key_encoding=with_suffix(".x", "template")), 'in an unknown way: "template"'),
    *(
        ("zarr.json", v3(chunk_key_encoding=with_suffix(suffix)), "names its chunks in a way that leads elsewhere")
        for suffix in ("/..", "/../../x", "/", "//x", "/./x", "\\..\\x", "\0", "\n", ":x", "/C:x", "\ud800")
    ),
    *(
        ("zarr.json", v3(chunk_key_encoding=with_suffix(suffix)), "names its chunks as other files are named")
        for suffix in (".tmp", ".__lock", "/x.tmp", "/zarr.json", "." + "0" * 32 + ".partial")
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
    (".zarray", v2(chunks=2), "has 2 dimensions in its shape, but 1 in its chunks"),
    (".zarray", v2(chunks=True), "has a chunks that is true, not a list of lengths"),
    (".zarray", v2(dtype=None), "has a dtype that is null"),
    (".zarray", v2(dimension_separator="_"), 'separates chunk indices by "_"'),
    (".zgroup", {"zarr_format": 1}, "is not zarr metadata: its zarr_format is 1, not 2"),
]


@pytest.mark.parametrize(("name", "data", "words"), OPAQUE, ids=[ascii(words) for _, _, words in OPAQUE])
def test_metadata_that_cannot_be_followed_are_no_reason_not_to_copy(name: str, data: object, words: str) -> None:
    node = parse(data, name)
    assert isinstance(node, OpaqueNode) and node.path == "a"
    reason = describe(node.reason)
    assert reason.startswith(f"{name} ") and words in reason
    assert_one_line(reason)


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
        node = parse(content, name)
    except LayoutError as error:
        assert_one_line(str(error))
    else:
        assert not isinstance(node, OpaqueNode) or assert_one_line(describe(node.reason)) is None


@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=3), st.sampled_from(["zarr.json", ".zarray"]))
def test_any_change_of_metadata_gives_a_layout_or_a_reason(changes: dict[str, Any], name: str) -> None:
    try:
        layout = parse(v3(**changes) if name == "zarr.json" else v2(**changes), name)
    except LayoutError as error:
        assert_one_line(str(error))
    else:
        if isinstance(layout, OpaqueNode):
            assert_one_line(describe(layout.reason))
        elif isinstance(layout, ArrayLayout) and layout.n_chunk_files:
            assert layout.flat_index(layout.key(layout.n_chunk_files - 1)) == layout.n_chunk_files - 1


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("default", "c/1/2"),
        ({"name": "default"}, "c/1/2"),
        ({"name": "default", "configuration": {}}, "c/1/2"),
        (keys("default", separator="."), "c.1.2"),
        ("v2", "1.2"),
        ({"name": "v2"}, "1.2"),
        (keys("v2", separator="/"), "1/2"),
        ("fanout", "d0/1/d1/2/c"),
        (keys("fanout", max_children=4), "d0/1/d1/2/c"),
        (keys("fanout", max_children="1001"), "d0/1/d1/2/c"),
        (with_suffix(".tiff"), "c/1/2.tiff"),
        (with_suffix(".tiff", {"name": "default"}, "base-encoding"), "c/1/2.tiff"),
        (with_suffix(".shard.zip", keys("v2", separator="/")), "1/2.shard.zip"),
        (with_suffix("", "v2"), "1.2"),
        (with_suffix("/data", "v2"), "1.2/data"),
        (with_suffix("..", "v2"), "1.2.."),
        (with_suffix(".gz", with_suffix(".tiff", "fanout")), "d0/1/d1/2/c.tiff.gz"),
    ],
)
def test_every_way_to_name_chunks_is_understood(spelling: object, key: str) -> None:
    layout = parse_array(v3(chunk_key_encoding=spelling))
    assert layout.key(5) == key
    assert layout.flat_index(key) == 5


# --- rectilinear chunk grids -------------------------------------------------------------------------------------


def test_a_rectilinear_grid_is_that_of_its_specification() -> None:
    grid = rectilinear(4, [1, 2, 3], [[4, 2]], [[1, 3], 3], [4, 4, 4])
    layout = parse_array(v3(shape=[6] * 5, chunk_grid=grid))
    assert layout.grid == (2, 3, 2, 4, 2)
    assert layout.chunk_shape == (4, 3, 4, 3, 4)


def test_a_grid_of_equal_chunks_is_regular_however_it_is_spelled() -> None:
    for grid in (regular(2, 2), rectilinear(2, 2), rectilinear([[2, 2]], [2, 2, 2]), rectilinear(2, [2, [2, 10**12]])):
        layout = parse_array(v3(chunk_grid=grid))
        assert (layout.chunk_shape, layout.grid, layout.edge_lengths) == ((2, 2), (2, 3), None)


axes = st.lists(st.integers(1, 9) | st.tuples(st.integers(1, 9), st.integers(0, 5)).map(list), max_size=8)


@given(axes, st.integers(0, 60))
def test_chunks_of_unequal_lengths_are_counted_as_far_as_the_array_goes(axis: list[Any], extent: int) -> None:
    edges = [length for part in axis for length in (([part[0]] * part[1]) if isinstance(part, list) else [part])]
    node = parse(v3(shape=[extent], chunk_grid=rectilinear(axis)))
    if sum(edges) < extent:
        assert isinstance(node, OpaqueNode)
        return
    needed: list[int] = []
    while sum(needed) < extent:
        needed.append(edges[len(needed)])
    assert isinstance(node, ArrayLayout)
    assert node.grid == (len(needed),)
    if needed:
        runs = node.edge_lengths[0] if node.edge_lengths else ((node.chunk_shape[0], node.grid[0]),)
        assert [length for length, count in runs for _ in range(count)] == needed
        assert node.chunk_shape == (max(needed),)


def test_an_array_that_zarr_python_makes_longer_and_shorter_stays_the_same_array() -> None:
    """As written by zarr-python 3.4.2: resizing adds chunks of the length that is missing, and takes none away."""
    first = parse_array(v3(shape=[4, 64], chunk_grid=rectilinear([[1, 4]], [10, 22, 32])))
    resized = rectilinear([[1, 4], 2], [10, 22, 32, 16])
    longer = parse_array(v3(shape=[6, 80], chunk_grid=resized))
    shorter = parse_array(v3(shape=[2, 20], chunk_grid=resized))
    assert (first.grid, longer.grid, shorter.grid) == ((4, 3), (5, 4), (2, 2))
    assert not longer.difference(first, ignore_shape=True) and not shorter.difference(longer, ignore_shape=True)


def test_an_empty_array_that_gets_chunks_is_the_same_array() -> None:
    for axis in (10, [10, 22], [[10, 1], 22]):
        empty, grown = (parse_array(v3(shape=[n], chunk_grid=rectilinear(axis))) for n in (0, 10))
        assert not grown.difference(empty, ignore_shape=True), axis


# --- other languages ---------------------------------------------------------------------------------------------

TEXT = json.dumps(v3())


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("[4, 5]", "[4.0, 5.00]"),
        TEXT.replace("[4, 5]", '["4", "5"]'),
        TEXT.replace("[4, 5]", "[4e0, 0.5e1]"),
        TEXT.replace('"zarr_format": 3', '"zarr_format": 3.0'),
        TEXT.replace('"zarr_format": 3', '"zarr_format": "3"'),
        TEXT.replace("[2, 2]", '["2", 2.0]'),
        "// written by hand\n" + TEXT,
        TEXT.replace("{", "{ // what\n", 1),
        TEXT.replace("{", '{ /* } ] " */', 1),
        TEXT + " // by hand",
        TEXT.replace("[4, 5]", "[4, 5,]"),
        TEXT[:-1] + ",\n}",
        TEXT[:-1] + ", // the last one\n}",
        TEXT[:-1] + ', "url": "http://x/* no comment,}", /**/}',
        TEXT[:-1] + ', "many": ' + "9" * 5000 + "}",
        TEXT[:-1] + ', "none": NaN}',
        TEXT[:-1] + ', "storage_transformers": []}',
        "\ufeff" + TEXT,
    ],
)
def test_what_can_be_meant_in_one_way_only_is_understood(text: str) -> None:
    layout = parse_array(text.encode())
    assert layout == parse_array(TEXT.encode())
    assert not layout.note


def test_text_that_is_not_utf_8_does_not_matter() -> None:
    layout = parse_array((TEXT[:-1] + ', "unit": "µm"}').encode("latin-1"))
    assert layout == parse_array(TEXT.encode()) and not layout.note


def test_a_scalar_shape_is_that_of_the_one_axis_there_is() -> None:
    assert parse_array(v3(shape=7, chunk_grid=regular(2))).shape == (7,)
    assert parse_array(v2(shape=7, chunks=2), ".zarray").grid == (4,)
    assert parse_array(v3(shape=7, chunk_grid={"name": "regular", "configuration": {"chunk_shape": "2"}})).grid == (4,)


# --- bytes of an older version behind the end ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest", ['\n  }\n}\n"separator": "/"}}', "}", TEXT[200:], "\0" * 50, "µm".encode()[1:].decode("latin-1"), "\\"]
)
@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zgroup"])
def test_what_an_older_version_left_behind_is_passed_over_and_said(rest: str, name: str) -> None:
    document = {"zarr.json": v3(), ".zarray": v2(), ".zgroup": {"zarr_format": 2}}[name]
    clean = parse(document, name)
    stale = parse(json.dumps(document).encode() + rest.encode("latin-1", "replace"), name)
    assert stale == clean
    assert isinstance(clean, ArrayLayout | GroupLayout) and not clean.note
    assert isinstance(stale, ArrayLayout | GroupLayout) and "behind its end" in describe(stale.note)
    assert_one_line(describe(stale.note))


# --- large files ---------------------------------------------------------------------------------------------------


def consolidated(size: int) -> dict[str, object]:
    nodes = {f"A/{n}/0": v3(attributes={"odd": '"}]\\', "n": [[], {}]}) for n in range(size // 400)}
    return {"kind": "inline", "must_understand": False, "metadata": nodes}


def large(folder: Path, **parts: object) -> Path:
    plate = {"ome": {"plate": {"wells": [{"path": "A/1"}]}, "consolidated_metadata": {"mine": 1}}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": plate, **parts}
    (folder / "zarr.json").write_text(json.dumps(group, indent=2))
    return folder / "zarr.json"


def test_the_consolidated_metadata_of_a_plate_do_not_get_in_its_way(tmp_path: Path) -> None:
    size = large(tmp_path, consolidated_metadata=consolidated(20 << 20), behind={"a": [1]}).stat().st_size
    files = read_metadata(str(tmp_path), "")
    assert size > 20 << 20 and len(files["zarr.json"]) < 1000, "these go from process to process"
    document = json.loads(files["zarr.json"])
    assert document["attributes"]["ome"]["consolidated_metadata"] == {"mine": 1} and document["behind"] == {"a": [1]}
    assert parse_metadata("", files) == GroupLayout("", ("A/1",))


def test_consolidated_metadata_that_are_half_written_are_read_again_later(tmp_path: Path) -> None:
    path = large(tmp_path, consolidated_metadata=consolidated(3 << 20))
    path.write_bytes(path.read_bytes()[: 2 << 20])
    with pytest.raises(LayoutError, match="is not valid JSON"):
        parse_metadata("", read_metadata(str(tmp_path), ""))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("start", "more"), [('{"a": "', "x"), ("", "["), ('{"a": "', "\\"), ("", "}"), ("{", "/*"), ("{", ",")]
)
def test_large_files_of_any_kind_are_read_in_a_moment(start: str, more: str, tmp_path: Path) -> None:
    text = start + more * (3 << 20)
    (tmp_path / "zarr.json").write_text(text)
    assert read_metadata(str(tmp_path), "")["zarr.json"] == text.encode()
    with pytest.raises(LayoutError):
        parse_metadata("", read_metadata(str(tmp_path), ""))


def test_large_attributes_are_read_whole_up_to_a_bound_that_is_said(tmp_path: Path) -> None:
    large(tmp_path, frames=["x" * 1000] * (17 << 10))
    assert parse_metadata("", read_metadata(str(tmp_path), "")) == GroupLayout("", ("A/1",))
    for bound in ("MAX_METADATA", "_MAX_FILE"):
        with (tmp_path / "zarr.json").open("r+b") as file:
            file.truncate(getattr(probe_module, bound) + 1)
        node = parse_metadata("", read_metadata(str(tmp_path), ""))
        assert isinstance(node, OpaqueNode)
        assert describe(node.reason) == f"zarr.json has more than {MAX_METADATA >> 20} MiB, which are not read"


# --- odds and ends -------------------------------------------------------------------------------------------------


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


def test_attributes_with_bytes_of_an_older_version_behind_them_are_read_and_that_is_said() -> None:
    files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": json.dumps(IMAGE).encode() + b'"}]}'}
    node = parse_metadata("a", files)
    assert isinstance(node, GroupLayout) and node.children == ("a/0", "a/1", "a/other/0") and node.note


def test_broken_attributes_do_not_stop_a_copy() -> None:
    files = {".zgroup": b'{"zarr_format": 2}', ".zattrs": b'{"multiscales": ['}
    assert parse_metadata("a", files) == GroupLayout("a", ())
