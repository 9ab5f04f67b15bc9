"""A shard whose index is whole must pass, whoever wrote it; one that is not must not."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BytesCodec, GzipCodec, ShardingCodec

from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, OpaqueNode
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding, FileBytes
from softcopy_napari.engine.zarr_layout.chunk_format import read_shard_index
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.shard_index import MAX_CHUNKS, ShardIndex, check_shard_index
from tests.support.writers import write

EMPTY = (2**64 - 1, 2**64 - 1)
LITTLE: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
BIG: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "big"}}
CRC: dict[str, Any] = {"name": "crc32c"}
INDEX_CODECS = [[LITTLE, CRC], [LITTLE], [BIG, CRC], [BIG]]
TWO = ShardIndex("end", 2)
TWO_WITHOUT_CRC = ShardIndex("end", 2, has_crc=False)


def codecs(inner: list[int], index: list[Any] | None = None, **more: Any) -> list[Any]:
    configuration = {"chunk_shape": inner, "codecs": [LITTLE], "index_codecs": index or [LITTLE, CRC], **more}
    return [{"name": "sharding_indexed", "configuration": configuration}]


def check_file(path: Path, index: ShardIndex) -> str:
    """Both ways in which a shard is looked at."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        said = check_shard_index(FileBytes(fd, os.fstat(fd).st_size), index)
    finally:
        os.close(fd)
    assert check_shard_index(memoryview(path.read_bytes()), index) == said
    return describe(said)


def check_bytes(folder: Path, content: bytes, index: ShardIndex) -> str:
    path = folder / "shard"
    path.write_bytes(content)
    return check_file(path, index)


def shard(pairs: list[tuple[int, int]], index: ShardIndex = TWO, body: bytes = bytes(64)) -> bytes:
    """A shard with that index; offsets count from the file's first byte."""
    order = "<" if index.byteorder == "little" else ">"
    entries = b"".join(struct.pack(f"{order}QQ", *pair) for pair in pairs)
    if index.has_crc:
        entries += struct.pack("<I", google_crc32c.value(entries))
    return entries + body if index.location == "start" else body + entries


def layout_of(array: Path) -> ArrayLayout:
    layout = parse_metadata("", {"zarr.json": (array / "zarr.json").read_bytes()})
    assert isinstance(layout, ArrayLayout)
    return layout


def shards_of(array: Path) -> list[Path]:
    return [path for path in array.rglob("*") if path.is_file() and path.name != "zarr.json"]


# --- what writers write ---------------------------------------------------------------------------------------


def by_tensorstore(path: Path, chain: list[Any], shard_shape: tuple[int, int] = (8, 8)) -> None:
    metadata = {
        "shape": [20, 16], "data_type": "uint16", "codecs": chain,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard_shape}},
    }  # fmt: skip
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}, "metadata": metadata}
    array = tensorstore.open(spec, create=True).result()
    array[:, :9].write(np.random.default_rng(1).integers(1, 60_000, (20, 9), np.uint16)).result()


def by_zarr_python(path: Path, chain: list[Any]) -> None:
    array = zarr.create(shape=(20, 16), chunks=(8, 8), dtype="uint16", codecs=chain, store=path, zarr_format=3)  # type: ignore[arg-type]
    array[:, :9] = np.random.default_rng(1).integers(1, 60_000, (20, 9), np.uint16)


WRITERS = {"tensorstore": by_tensorstore, "zarr_python": by_zarr_python}


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("index_codecs", INDEX_CODECS, ids=["little_crc", "little", "big_crc", "big"])
@pytest.mark.parametrize("writer", WRITERS)
def test_shards_of_writers_are_whole_and_shorter_ones_are_not(
    tmp_path: Path, writer: str, index_codecs: list[Any], location: str
) -> None:
    WRITERS[writer](tmp_path / "a", codecs([4, 2], index_codecs, index_location=location))
    index = layout_of(tmp_path / "a").chunk_format
    assert isinstance(index, ShardIndex)
    crc = len(index_codecs) > 1
    assert index == ShardIndex(location, 8, index_codecs[0]["configuration"]["endian"], crc)  # type: ignore[arg-type]
    found = shards_of(tmp_path / "a")
    assert len(found) == 6  # some with inner chunks that are empty
    for path in found:
        assert check_file(path, index) == ""
    content = found[0].read_bytes()
    for length in range(len(content)):
        assert check_bytes(tmp_path, content[:length], index) != "", f"{length} of {len(content)} bytes"


@pytest.mark.parametrize("location", ["start", "end"])
def test_every_flipped_byte_of_the_index_is_found(tmp_path: Path, location: str) -> None:
    by_tensorstore(tmp_path / "a", codecs([4, 2], index_location=location))
    index = layout_of(tmp_path / "a").chunk_format
    assert isinstance(index, ShardIndex)
    content = bytearray(shards_of(tmp_path / "a")[0].read_bytes())
    first = 0 if location == "start" else len(content) - index.size
    for place in range(first, first + index.size):
        flipped = content.copy()
        flipped[place] ^= 0x40
        assert check_bytes(tmp_path, bytes(flipped), index) == "its index is not whole yet (checksum)"
    assert check_bytes(tmp_path, bytes(content), index) == ""


def test_shards_of_acquire_are_whole_and_shorter_ones_are_not(tmp_path: Path) -> None:
    write("acquire", tmp_path / "a.zarr", frames=3, planes=3)
    index = layout_of(tmp_path / "a.zarr" / "image").chunk_format
    assert index == ShardIndex("end", 8)
    found = shards_of(tmp_path / "a.zarr" / "image")
    assert len(found) == 3
    for path in found:
        assert check_file(path, index) == ""
    content = found[0].read_bytes()
    for length in range(0, len(content), 61):
        assert check_bytes(tmp_path, content[:length], index) != ""


def test_shards_in_shards_are_checked_by_their_outer_index(tmp_path: Path) -> None:
    by_zarr_python(
        tmp_path / "a",
        [ShardingCodec(chunk_shape=(4, 4), codecs=[ShardingCodec(chunk_shape=(2, 2), codecs=[BytesCodec()])])],
    )
    index = layout_of(tmp_path / "a").chunk_format
    assert index == ShardIndex("end", 4)
    assert [check_file(path, index) for path in shards_of(tmp_path / "a")] == [""] * 6


def test_a_transpose_before_the_shards_is_followed(tmp_path: Path) -> None:
    chain = [{"name": "transpose", "configuration": {"order": [1, 0]}}, *codecs([8, 2])]
    by_tensorstore(tmp_path / "a", chain, (4, 16))
    index = layout_of(tmp_path / "a").chunk_format
    assert index == ShardIndex("end", 4)
    assert [check_file(path, index) for path in shards_of(tmp_path / "a")] == [""] * 5


def test_inner_chunks_of_any_length_and_order_are_whole(tmp_path: Path) -> None:
    """zarr-python writes them in Morton order, and compressed ones have lengths of their own."""
    chain = [ShardingCodec(chunk_shape=(1, 1), codecs=[BytesCodec(), GzipCodec()])]
    by_zarr_python(tmp_path / "a", chain)
    index = layout_of(tmp_path / "a").chunk_format
    assert index == ShardIndex("end", 64)
    assert [check_file(path, index) for path in shards_of(tmp_path / "a")] == [""] * 6


# --- what an index can say ------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("has_crc", [True, False])
def test_an_index_that_cannot_be_true_is_not_whole(
    tmp_path: Path, location: Any, byteorder: Any, has_crc: bool
) -> None:
    index = ShardIndex(location, 2, byteorder, has_crc)
    low = index.size if location == "start" else 0  # of the 64 bytes of inner chunks
    cases = {
        "": [
            [(low, 32), (low + 32, 32)],
            [(low + 32, 32), (low, 32)],
            [(low + 8, 8), EMPTY],
            [(low, 64), (low, 64)],  # shared: nobody was seen to do it, and it is whole
        ],
        "its inner chunks overlap": [[(low, 33), (low + 32, 32)], [(low + 16, 8), (low, 64)]],
        "its index points beyond its end": [
            [(low, 32), (low + 32, index.size + 64)],
            [(low, 32), (2**64 - 1, 32)],
            [(low, 32), (low, 2**64 - 1)],
            [(low, 32), (2**63, 2**63)],
        ],
        "its index points into itself": [[(low, 32), (low - 1, 8) if low else (60, 8)]],
    }  # fmt: skip
    for expected, indices in cases.items():
        for pairs in indices:
            assert check_bytes(tmp_path, shard(pairs, index), index) == expected, pairs


def test_a_shard_of_empty_chunks_only_is_whole(tmp_path: Path) -> None:
    assert check_bytes(tmp_path, shard([EMPTY, EMPTY], body=b""), TWO) == ""
    assert check_bytes(tmp_path, shard([EMPTY, EMPTY]), TWO) == ""  # emptied in place
    assert check_bytes(tmp_path, shard([EMPTY, EMPTY], TWO_WITHOUT_CRC, b""), TWO_WITHOUT_CRC) == ""


@pytest.mark.parametrize("byte", [b"\0", b"\xff"], ids=["dark", "bright"])
def test_half_a_shard_of_dark_or_bright_image_is_not_taken_for_an_index(tmp_path: Path, byte: bytes) -> None:
    for index in (TWO, TWO_WITHOUT_CRC):
        assert check_bytes(tmp_path, byte * 300, index).startswith("its index is not whole yet")


def test_a_file_that_shrinks_meanwhile_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "shard").write_bytes(bytes(20))
    with open(tmp_path / "shard", "rb") as file:
        assert describe(check_shard_index(FileBytes(file.fileno(), 300), TWO)) == "is too short for its index"


@given(st.binary(max_size=200), st.builds(
    ShardIndex, st.sampled_from(["start", "end"]), st.integers(1, 8), st.sampled_from(["little", "big"]), st.booleans(),
))  # fmt: skip
def test_no_content_raises(tmp_path_factory: pytest.TempPathFactory, content: bytes, index: ShardIndex) -> None:
    folder = tmp_path_factory.getbasetemp()
    said = check_bytes(folder, content, index)
    assert said or len(content) >= index.size
    for own in (index._replace(has_crc=False), index._replace(n_chunks=1)):
        check_bytes(folder, content, own)


@given(st.lists(st.tuples(*[st.one_of(st.integers(0, 80), st.integers(0, 2**64 - 1))] * 2), min_size=8, max_size=8))
def test_an_index_is_judged_as_it_would_be_chunk_by_chunk(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]]
) -> None:
    index = ShardIndex("end", 8)
    used = sorted({(start, start + size) for start, size in pairs if (start, size) != EMPTY})
    inside = all(end <= 64 for _, end in used)
    # Where one ends is where the next one begins, or before; one without content lies inside none.
    apart = all(a[1] <= b[0] or b[1] <= a[0] for number, a in enumerate(used) for b in used[:number])
    said = check_bytes(tmp_path_factory.getbasetemp(), shard(pairs, index), index)
    assert (said == "") == (inside and apart), said


def test_a_large_index_is_judged_like_a_small_one(tmp_path: Path) -> None:
    n = 32_768
    index = ShardIndex("end", n)
    starts = np.random.default_rng(0).permutation(n) * 2
    pairs = [(start, 2) for start in starts.tolist()]
    assert check_bytes(tmp_path, shard(pairs, index, bytes(2 * n)), index) == ""
    pairs[7] = (pairs[7][0], 3)
    pairs[int(np.argmax(starts))] = EMPTY
    assert check_bytes(tmp_path, shard(pairs, index, bytes(2 * n)), index) == "its inner chunks overlap"


# --- what metadata say ----------------------------------------------------------------------------------------


def test_index_codecs_and_location_have_the_defaults_of_the_writers() -> None:
    bare = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 2], "codecs": [LITTLE]}}]
    assert read_shard_index(bare, (8, 8)) == ShardIndex("end", 16)
    assert read_shard_index(codecs([2, 2], [LITTLE, "crc32c"]), (8, 8)) == ShardIndex("end", 16)


@pytest.mark.parametrize(
    "chain",
    [
        None, "sharding_indexed", [], [LITTLE], ["sharding_indexed"], [{"name": ["sharding_indexed"]}],
        [{"name": "sharding_indexed", "configuration": {}}],
        codecs([3, 2]), codecs([2]), codecs([0, 2]), codecs([2, -2]), codecs([2, True]), codecs([2, 2.0]),  # type: ignore[list-item]
        codecs([16, 2]), codecs([2, 2], index_location="middle"), codecs([2, 2], index_location=[]),
        codecs([2, 2], [{"name": "bytes"}, CRC]), codecs([2, 2], [CRC]), codecs([2, 2], [CRC, LITTLE]),
        codecs([2, 2], [LITTLE, CRC, CRC]), codecs([2, 2], [LITTLE, {"name": "gzip"}]), codecs([2, 2], {"a": 1}),  # type: ignore[arg-type]
        [*codecs([2, 2]), CRC], [*codecs([2, 2]), {"name": "zstd"}],
        [{"name": "numcodecs.packbits"}, *codecs([2, 2])],
        [{"name": "transpose"}, *codecs([2, 2])],
        [{"name": "transpose", "configuration": {"order": "F"}}, *codecs([2, 2])],
        [{"name": "transpose", "configuration": {"order": [0, 0]}}, *codecs([2, 2])],
        [{"name": "transpose", "configuration": {"order": [False, True]}}, *codecs([2, 2])],
    ],
    ids=repr,
)  # fmt: skip
def test_an_index_that_cannot_be_checked_is_none(chain: object) -> None:
    assert read_shard_index(chain, (8, 8)) is None


def test_an_index_larger_than_the_worker_is_not_read() -> None:
    assert read_shard_index(codecs([1, 1]), (MAX_CHUNKS, 1)) == ShardIndex("end", MAX_CHUNKS)
    assert read_shard_index(codecs([1, 1]), (MAX_CHUNKS, 2)) is None


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
              st.sampled_from(["bytes", "crc32c", "sharding_indexed", "transpose", "little", "end"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([
            "name", "configuration", "chunk_shape", "index_codecs", "index_location", "order", "endian",
        ]), inner, max_size=4),
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values, st.lists(st.integers(0, 9), max_size=3))
def test_no_metadata_raises(chain: object, shape: list[int]) -> None:
    read_shard_index(chain, shape)
    read_shard_index([chain, *codecs([1, 1])], shape)
    read_shard_index([{"name": "sharding_indexed", "configuration": chain}], shape)


def test_arrays_without_shards_have_none() -> None:
    metadata = {
        "zarr_format": 3, "node_type": "array", "shape": [8, 8], "data_type": "uint8", "codecs": [LITTLE],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4]}}, "chunk_key_encoding": "default",
    }  # fmt: skip
    layout = parse_metadata("a", {"zarr.json": json.dumps(metadata).encode()})
    assert isinstance(layout, ArrayLayout) and layout.chunk_format == ChunkEncoding("raw", 16)
    sharded = json.dumps({**metadata, "codecs": codecs([2, 2])}).encode()
    layout = parse_metadata("a", {"zarr.json": sharded})
    assert isinstance(layout, ArrayLayout) and layout.chunk_format == ShardIndex("end", 4)
    node = parse_metadata(
        "a", {"zarr.json": json.dumps({**metadata, "codecs": [{"name": "sharding_indexed"}]}).encode()}
    )
    assert isinstance(node, OpaqueNode) and "without a chunk_shape" in describe(node.reason)


# --- a worker stays small -------------------------------------------------------------------------------------


def test_a_description_reaches_a_worker_unchanged() -> None:
    index = ShardIndex("start", 5, "big", False)
    assert pickle.loads(pickle.dumps(index)) == index
    with pytest.raises(AttributeError):
        index.n_chunks = 6  # type: ignore[misc]


def test_the_checksums_library_is_loaded_with_the_first_shard_only(tmp_path: Path) -> None:
    (tmp_path / "shard").write_bytes(shard([(0, 32), (32, 32)]))
    program = """
import os, sys
from softcopy_napari.engine.worker import process
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding, FileBytes
from softcopy_napari.engine.zarr_layout.shard_index import ShardIndex, check_shard_index
before = "google_crc32c" in sys.modules
file = FileBytes(os.open(sys.argv[1], os.O_RDONLY), os.path.getsize(sys.argv[1]))
said = check_shard_index(file, ShardIndex("end", 2))
print(before, repr(said), "google_crc32c" in sys.modules, "numpy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "shard")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "None", "True", "False"]
