"""Zarr and OME metadata of any kind: understood, or refused in words; and nothing in them leads out of the source."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, GroupLayout, LayoutError, OpaqueNode
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.ome import is_plain_path
from softcopy_napari.engine.zarr_layout.probe import probe_source, read_metadata
from tests.security.support import JSON, ODD_TEXTS, changed

posix_only = pytest.mark.skipif(os.name != "posix", reason="fifos")

AXES = [{"name": "t", "type": "time", "unit": "second"}, {"name": "y", "type": "space", "unit": "micrometer"}]
SCALE = [{"type": "scale", "scale": [1.0, 0.5]}, {"type": "translation", "translation": [0.0, 3.0]}]
IMAGE = {
    "multiscales": [
        {
            "axes": AXES,
            "datasets": [{"path": path, "coordinateTransformations": SCALE} for path in ("0", "1")],
            "coordinateTransformations": SCALE,
        }
    ],
    "omero": {"channels": [{"label": "a", "color": "FF0000", "active": True, "window": {"start": 0, "end": 9}}]},
}
PLATE = {"plate": {"wells": [{"path": "A/1"}]}, "well": {"images": [{"path": "0"}]}, "labels": ["cells"]}
V2_ARRAY = {"zarr_format": 2, "shape": [4, 6], "chunks": [2, 2], "dtype": "<u2", "dimension_separator": "/"}
V2_ARRAY |= {"compressor": None, "fill_value": 0, "order": "C", "filters": None}
INNER = {"chunk_shape": [1, 1], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}
V3_ARRAY = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4, 6],
    "data_type": "uint16",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "sharding_indexed", "configuration": INNER}],
    "fill_value": 0,
    "dimension_names": ["t", "y"],
    "attributes": {"ome": IMAGE},
    "consolidated_metadata": {"metadata": {"../../x": {"node_type": "group"}}},
}
V3_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {**IMAGE, **PLATE, "series": ["0"]}}}
RAGGED_ARRAY = {
    **V3_ARRAY,
    "chunk_grid": {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [2, [1, [2, 2], 9]]}},
    "chunk_key_encoding": {
        "name": "suffix",
        "configuration": {"suffix": ".tiff", "base_encoding": {"name": "fanout", "configuration": {"max_children": 4}}},
    },
}
DOCUMENTS = (
    ("zarr.json", V3_ARRAY),
    ("zarr.json", RAGGED_ARRAY),
    ("zarr.json", V3_GROUP),
    (".zarray", V2_ARRAY),
    (".zgroup", {"zarr_format": 2}),
    (".zattrs", {**IMAGE, **PLATE, "series": ["0"]}),
)


@st.composite
def files(draw: st.DrawFn) -> dict[str, bytes]:
    """Metadata files of a folder, one of them changed."""
    name, document = draw(st.sampled_from(DOCUMENTS))
    content = draw(changed(st.just(document)) | JSON)
    return {".zgroup": b'{"zarr_format": 2}', name: json.dumps(content).encode()}


def parse(found: dict[str, bytes], path: str = "a") -> ArrayLayout | GroupLayout | None:
    try:
        node = parse_metadata(path, found)
    except LayoutError as error:
        words = str(error)
    else:
        if not isinstance(node, OpaqueNode):
            return node
        words = describe(node.reason)
    assert len(words) < 300 and words.isprintable()
    return None


@given(files(), st.sampled_from(("", "a", "OME", "a/OME", "a/labels")))
def test_metadata_of_any_kind_are_understood_or_refused_and_promise_nothing_outside(
    found: dict[str, bytes], path: str
) -> None:
    layout = parse(found, path)
    if isinstance(layout, GroupLayout):
        above = path.rpartition("/")[0]
        assert all(is_plain_path(child) and child.startswith(above) for child in layout.children)
    elif layout is not None:
        # What the engine tells of it can be told, and drawn.
        counts = (layout.n_chunk_files, 0, 0, 0, 0, 0, 0)
        sizes = {"shape": layout.shape, "chunk_shape": layout.chunk_shape, "grid": layout.grid}
        regular = layout.edge_lengths is None
        ArraySnapshot(path=path, dtype=layout.dtype, ledger="", counts=counts, regular=regular, **sizes)
        np.zeros(tuple(min(n, 1) for n in layout.grid))
        for flat in {0, layout.n_chunk_files // 2, layout.n_chunk_files - 1} - {-1} if layout.n_chunk_files else ():
            key = layout.key(flat)
            assert is_plain_path(key) and key.isprintable() and layout.flat_index(key) == flat


@given(st.binary(max_size=200), st.sampled_from(("zarr.json", ".zarray", ".zgroup", ".zattrs")))
@example(b"[" * 100_000, "zarr.json")
@example(b'{"a":' * 100_000, ".zattrs")
@example(b'{"zarr_format": ' + b"9" * 5000 + b"}", "zarr.json")
@example(b'{"zarr_format": 3e999}', "zarr.json")
@example(b"\xef\xbb\xbf{}", "zarr.json")
@example('{"zarr_format": 2}'.encode("utf-16"), ".zgroup")
def test_bytes_of_any_kind_are_no_reason_to_fall(content: bytes, name: str) -> None:
    parse({".zgroup": b'{"zarr_format": 2}', name: content})


NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1)
"""Names that a file can have; on a disk may be others, but none of these characters."""


@given(st.lists(NAMES, max_size=4).map("/".join), NAMES)
def test_a_file_of_any_name_is_the_same_chunk_alone_and_among_others_or_none(folder: str, name: str) -> None:
    for document in (V2_ARRAY, {**V2_ARRAY, "dimension_separator": "."}, RAGGED_ARRAY):
        layout = parse({".zarray" if document["zarr_format"] == 2 else "zarr.json": json.dumps(document).encode()})
        assert isinstance(layout, ArrayLayout)
        flat = layout.flat_index(f"{folder}/{name}" if folder else name)
        assert layout.flat_indices(folder, [name]).tolist() == [-1 if flat is None else flat]


@pytest.mark.parametrize("path", ODD_TEXTS)
def test_a_promised_path_stays_below_its_group_or_counts_as_nothing(path: str, tmp_path: Path) -> None:
    root = tmp_path / "group"
    for name in (".zattrs", "zarr.json"):
        ome = {"multiscales": [{"datasets": [{"path": path}]}], "labels": [path], "series": [path]}
        document = ome if name == ".zattrs" else {**V3_GROUP, "attributes": {"ome": ome}}
        layout = parse({".zgroup": b'{"zarr_format": 2}', name: json.dumps(document).encode()}, "")
        assert isinstance(layout, GroupLayout)
        for child in layout.children:
            assert root in Path(os.path.normpath(root / child)).parents


def test_a_million_promised_paths_are_cut_short() -> None:
    attributes = {"multiscales": [{"datasets": [{"path": f"{n:x}"} for n in range(200_000)]}]}
    layout = parse({".zgroup": b'{"zarr_format": 2}', ".zattrs": json.dumps(attributes).encode()})
    assert isinstance(layout, GroupLayout) and len(layout.children) < 100_000


@pytest.mark.parametrize("shape", [[0, 2**62, 2**62], [2**63], [10**4000], [2**40, 2**40], [0, 10**30]])
def test_shapes_that_numpy_cannot_count_are_refused(shape: list[int], tmp_path: Path) -> None:
    document = {**V2_ARRAY, "shape": shape, "chunks": [1] * len(shape)}
    layout = parse({".zarray": json.dumps(document).encode()})
    assert layout is None or Ledger(tmp_path / "x.npy", layout.grid)  # type: ignore[union-attr]


# -- files that are none -----------------------------------------------------------------------------------


@posix_only
def test_metadata_that_are_a_fifo_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "zarr.json")
    writer = os.open(tmp_path / "zarr.json", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(writer, b'{"zarr_format": 3, "node_type": "group"}')
        assert read_metadata(str(tmp_path), "") == {} and probe_source(str(tmp_path)).nodes == {}
        assert os.read(writer, 100), "somebody else's bytes were taken out of the fifo"
    finally:
        os.close(writer)


@posix_only
def test_metadata_that_are_a_link_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"{}")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "zarr.json").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / ".zarray").symlink_to("/dev/zero")
    assert read_metadata(str(tmp_path / "inside"), "") == {}


@pytest.mark.parametrize("path", ODD_TEXTS)
def test_a_path_that_is_none_is_no_metadata(path: str, tmp_path: Path) -> None:
    assert isinstance(read_metadata(str(tmp_path / "none"), path.strip("/") or "x"), dict)


# -- what napari is told -----------------------------------------------------------------------------------


def _placement(array: dict[str, bytes], group: dict[str, bytes]) -> Any:
    pytest.importorskip("pint")
    from softcopy_napari.plugin.viewer.ome_placement import read_placement

    return read_placement("g/0", lambda folder: {"g/0": array, "g": group}.get(folder, {}))


def _can_be_shown(placement: Any) -> None:
    for level in placement.levels:
        assert is_plain_path(level.path) and level.path.startswith("g/")
        assert all(math.isfinite(n) and 1e-20 < abs(n) < 1e20 for n in level.scale)
        assert all(math.isfinite(n) and abs(n) < 1e20 for n in level.translate)
    assert all(len(name) <= 1000 and name.isprintable() for name in placement.axis_names or ())
    for channel in placement.channels:
        assert channel.name.isprintable() and all(map(math.isfinite, channel.window or ()))


@given(files(), files())
def test_ome_metadata_of_any_kind_give_a_place_in_the_world_or_none(
    array: dict[str, bytes], group: dict[str, bytes]
) -> None:
    for found in (array, {"zarr.json": json.dumps(V3_ARRAY).encode()}, {".zarray": json.dumps(V2_ARRAY).encode()}):
        placement = _placement(found, group)
        if placement is not None:
            _can_be_shown(placement)


@pytest.mark.parametrize("unit", ["9**9**9**9", "meter**99999999", "(" * 5000, "__import__('os')", "m" * 100_000, "\0"])
@pytest.mark.timeout(120)
def test_a_unit_is_a_name_and_never_calculated(unit: str) -> None:
    image = json.loads(json.dumps(IMAGE))
    image["multiscales"][0]["axes"][0]["unit"] = unit
    placement = _placement({"zarr.json": json.dumps(V3_ARRAY).encode()}, {".zattrs": json.dumps(image).encode()})
    assert placement.units == ("pixel", "micrometer")


@pytest.mark.parametrize("path", [text for text in ODD_TEXTS if ".." in text or text.startswith(("/", "\\", "C:"))])
def test_no_level_of_an_image_lies_outside_of_it(path: str) -> None:
    image = json.loads(json.dumps(IMAGE))
    image["multiscales"][0]["datasets"][1]["path"] = path
    placement = _placement({"zarr.json": json.dumps(V3_ARRAY).encode()}, {".zattrs": json.dumps(image).encode()})
    assert [level.path for level in placement.levels] == ["g/0"]


@settings(max_examples=max(30, settings.default.max_examples // 2))  # type: ignore[union-attr]
@given(content=changed(st.sampled_from((V2_ARRAY, V3_ARRAY))))
def test_an_array_is_opened_or_it_is_said_why_not(content: dict[str, Any], tmp_path_factory: Any) -> None:
    pytest.importorskip("tensorstore")
    from softcopy_napari.plugin.viewer.zarr_reader import CannotShow, open_array

    folder = tmp_path_factory.mktemp("array")
    zarr_format = 2 if "chunks" in content else 3
    (folder / (".zarray" if zarr_format == 2 else "zarr.json")).write_text(json.dumps(content))
    try:
        reader = open_array(str(folder), zarr_format)
    except CannotShow:
        return
    assert reader is None or len(reader.shape) == len(reader.chunk)


def test_a_chunk_of_terabytes_is_not_unpacked(tmp_path: Path) -> None:
    pytest.importorskip("tensorstore")
    from softcopy_napari.plugin.viewer.zarr_reader import CannotShow, open_array

    huge = {**V2_ARRAY, "shape": [1 << 40, 6], "chunks": [1 << 40, 6]}
    (tmp_path / ".zarray").write_text(json.dumps(huge))
    with pytest.raises(CannotShow, match="chunks have"):
        open_array(str(tmp_path), 2)
