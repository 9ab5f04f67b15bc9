"""Whole chunks must never be called damaged, whoever wrote them, and shorter ones must never prove whole."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs.abc import Codec

from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.chunk_check import (
    CODECS,
    ChunkEncoding,
    ChunkFormat,
    FileBytes,
    can_prove_whole,
    check_chunk,
    check_chunk_in_memory,
    has_written_end,
    needs_checksum,
)
from softcopy_napari.engine.zarr_layout.chunk_format import read_v2_chunk_format, read_v3_chunk_format
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from tests.support.writers import write

LITTLE: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
CRC: dict[str, Any] = {"name": "crc32c"}


def v3(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


def format_of(array: Path) -> ChunkFormat | None:
    layout = parse_metadata(
        "", {path.name: path.read_bytes() for path in array.iterdir() if path.name in METADATA_NAMES}
    )
    assert isinstance(layout, ArrayLayout)
    return layout.chunk_format


def chunks_of(array: Path) -> Iterator[bytes]:
    found = [path for path in array.rglob("*") if path.is_file() and not path.name.startswith((".z", "zarr.json"))]
    assert found
    return (path.read_bytes() for path in found)


def find_fault(content: bytes, chunk_format: ChunkFormat) -> str | None:
    """As a worker does: a small file in memory, a large one on its way; both must agree. Empty for a whole one."""
    found = check_chunk_in_memory(memoryview(content), chunk_format)
    said = None if found is None else "" if found is True else describe(found)
    if needs_checksum(chunk_format):
        return said
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        assert check_chunk(FileBytes(file.fileno(), len(content)), chunk_format) == found
    return said


def image(shape: tuple[int, ...], dtype: Any = "uint16") -> np.ndarray:
    """Noise above a background, as a camera has it: it can be compressed, and does not end in zeros."""
    return np.random.default_rng(1).integers(100, 200, shape).astype(dtype)


# --- what writers write ---------------------------------------------------------------------------------------


def by_tensorstore(driver: str, **metadata: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        grid: dict[str, Any] = {"shape": [20, 16]}
        if driver == "zarr3":
            grid |= {"data_type": "uint16", "chunk_grid": v3("regular", chunk_shape=[8, 8])}
        else:
            grid |= {"dtype": "<u2", "chunks": [8, 8]}
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}, "metadata": {**grid, **metadata}}
        tensorstore.open(spec, create=True).result().write(image((20, 16))).result()

    return make


def by_zarr_python(version: int, dtype: str = "uint16", **codecs: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        array = zarr.create_array(path, shape=(20, 16), chunks=(8, 8), dtype=dtype, zarr_format=version, **codecs)  # type: ignore[arg-type]
        array[...] = image((20, 16), dtype)

    return make


def by_zarr_python_with_delta(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # of numcodecs' codecs not being in zarr 3's specification
        filters, compressors = zarr.codecs.numcodecs.Delta(dtype="<u2"), zarr.codecs.GzipCodec()
        by_zarr_python(3, filters=filters, compressors=compressors)(path)


PROVING: dict[str, Callable[[Path], None]] = {
    "tensorstore, raw": by_tensorstore("zarr3", codecs=[LITTLE]),
    "tensorstore, transposed": by_tensorstore("zarr3", codecs=[v3("transpose", order=[1, 0]), LITTLE]),
    "tensorstore, blosc": by_tensorstore("zarr3", codecs=[LITTLE, v3("blosc", cname="lz4", shuffle="shuffle")]),
    "tensorstore, zstd": by_tensorstore("zarr3", codecs=[LITTLE, v3("zstd", level=3)]),
    "tensorstore, gzip": by_tensorstore("zarr3", codecs=[LITTLE, v3("gzip", level=5)]),
    "tensorstore, crc32c": by_tensorstore("zarr3", codecs=[LITTLE, CRC]),
    "tensorstore, zstd with crc32c": by_tensorstore("zarr3", codecs=[LITTLE, v3("zstd"), CRC]),
    "tensorstore v2, raw": by_tensorstore("zarr", compressor=None),
    "tensorstore v2, blosc": by_tensorstore("zarr", compressor=numcodecs.Blosc("zstd", 1, 2).get_config()),
    "tensorstore v2, zstd": by_tensorstore("zarr", compressor={"id": "zstd", "level": 1}),
    "zarr-python, raw": by_zarr_python(3, compressors=None),
    "zarr-python, zstd": by_zarr_python(3),
    "zarr-python, zstd with a checksum": by_zarr_python(3, compressors=zarr.codecs.ZstdCodec(checksum=True)),
    "zarr-python, blosc": by_zarr_python(3, compressors=zarr.codecs.BloscCodec()),
    "zarr-python, gzip": by_zarr_python(3, compressors=zarr.codecs.GzipCodec()),
    "zarr-python, crc32c": by_zarr_python(3, compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]),
    "zarr-python, raw with crc32c": by_zarr_python(3, compressors=[zarr.codecs.Crc32cCodec()]),
    "zarr-python, shards": by_zarr_python(3, shards=(16, 16)),
    "zarr-python, datetimes": by_zarr_python(3, dtype="datetime64[s]", compressors=None),
    "zarr-python v2, strings of one length": by_zarr_python(2, dtype="<U5", compressors=None),
    "zarr-python v2, raw": by_zarr_python(2, compressors=None),
    "zarr-python v2, zstd": by_zarr_python(2),
    "zarr-python v2, blosc": by_zarr_python(2, compressors=numcodecs.Blosc(cname="zlib", shuffle=0)),
    "zarr-python v2, gzip": by_zarr_python(2, compressors=numcodecs.GZip()),
    "zarr-python v2, delta and blosc": by_zarr_python(2, filters=numcodecs.Delta("<u2"), compressors=numcodecs.Blosc()),
    "zarr-python v2, delta and gzip": by_zarr_python(2, filters=numcodecs.Delta("<u2"), compressors=numcodecs.GZip()),
    "zarr-python v2, wide delta": by_zarr_python(2, filters=numcodecs.Delta("<u2", "<i4"), compressors=None),
    "zarr-python v2, scaled": by_zarr_python(
        2, "float64", filters=numcodecs.FixedScaleOffset(0, 1, "<f8", "<u2"), compressors=numcodecs.GZip()
    ),
    "zarr-python, delta and gzip": by_zarr_python_with_delta,
    "zarr-python v2, shuffled": by_zarr_python(2, filters=numcodecs.Shuffle(2), compressors=None),
    "zarr-python v2, crc32": by_zarr_python(2, compressors=numcodecs.CRC32()),
    "zarr-python v2, adler32": by_zarr_python(2, compressors=numcodecs.Adler32()),
    "zarr-python v2, crc32c": by_zarr_python(2, compressors=numcodecs.CRC32C()),
    "zarr-python v2, fletcher32": by_zarr_python(2, filters=numcodecs.Fletcher32(), compressors=None),
    "acquire-zarr": lambda path: write("acquire", path.with_suffix(".zarr"), frames=3, planes=3),
}  # fmt: skip
OTHERS: dict[str, Callable[[Path], None]] = {
    "tensorstore v2, bz2": by_tensorstore("zarr", compressor={"id": "bz2", "level": 1}),
    "zarr-python v2, lz4": by_zarr_python(2, compressors=numcodecs.LZ4()),
    "zarr-python v2, lzma": by_zarr_python(2, compressors=numcodecs.LZMA()),
}
ENDING: dict[str, Callable[[Path], None]] = {
    "tensorstore v2, zlib": by_tensorstore("zarr", compressor={"id": "zlib", "level": 1}),
    "zarr-python v2, packed bits and gzip": by_zarr_python(
        2, "bool", filters=numcodecs.PackBits(), compressors=numcodecs.GZip()
    ),
}
"""They do not tell how much they hold, but end."""


def made_by(make: Callable[[Path], None], path: Path) -> tuple[ChunkFormat, list[bytes]]:
    """The format of an array, and its chunk files."""
    make(path)
    if not path.exists():
        path = path.with_suffix(".zarr") / "image"
    found = format_of(path)
    assert found is not None
    return found, list(chunks_of(path))


@pytest.mark.parametrize("name", PROVING)
def test_whole_chunks_prove_it_and_shorter_ones_cannot_be_whole(tmp_path: Path, name: str) -> None:
    chunk_format, chunks = made_by(PROVING[name], tmp_path / "a")
    assert can_prove_whole(chunk_format)
    for content in chunks:
        assert find_fault(content, chunk_format) == ""
    content = chunks[0]
    for length in range(0, len(content), 1 + len(content) // 500):
        assert find_fault(content[:length], chunk_format), f"{length} of {len(content)} bytes"


@pytest.mark.parametrize("name", PROVING)
def test_a_file_of_full_size_that_is_still_being_filled_proves_nothing(tmp_path: Path, name: str) -> None:
    chunk_format, (content, *_) = made_by(PROVING[name], tmp_path / "a")
    last = len(content) - 64
    for length in range(0, last, 1 + last // 200):
        filled = content[:length] + bytes(len(content) - length)
        assert find_fault(filled, chunk_format) != "" or not has_written_end(memoryview(filled)), length
    zeros = bytes(len(content))
    assert find_fault(zeros, chunk_format) or (isinstance(chunk_format, ChunkEncoding) and chunk_format.codec == "raw")


@pytest.mark.parametrize("name", OTHERS)
def test_chunks_that_nothing_proves_are_left_to_the_rules_of_quiet(tmp_path: Path, name: str) -> None:
    chunk_format, chunks = made_by(OTHERS[name], tmp_path / "a")
    assert not can_prove_whole(chunk_format)
    for content in chunks:
        assert find_fault(content, chunk_format) is None
        assert all(find_fault(content[:length], chunk_format) != "" for length in range(len(content)))
        assert find_fault(b"", chunk_format) and find_fault(bytes(len(content)), chunk_format)


@pytest.mark.parametrize("name", ENDING)
def test_chunks_that_tell_no_size_and_end_early_cannot_be_whole(tmp_path: Path, name: str) -> None:
    chunk_format, chunks = made_by(ENDING[name], tmp_path / "a")
    assert not can_prove_whole(chunk_format)
    for content in chunks:
        assert find_fault(content, chunk_format) is None
        assert all(find_fault(content[:length], chunk_format) for length in range(len(content)))
        assert find_fault(bytes(len(content)), chunk_format)
        assert find_fault(content + b"more", chunk_format) is None


@pytest.mark.parametrize("codec", [
    numcodecs.Zstd(level=1), numcodecs.Zstd(checksum=True), numcodecs.Blosc("zstd"), numcodecs.GZip(1),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("data", [
    image((900, 1500)).tobytes(), bytes(3_000_000), os.urandom(1_500_000),
], ids=["image", "dark", "noise"])  # fmt: skip
def test_chunks_of_many_blocks_are_followed_to_their_end(codec: Codec, data: bytes) -> None:
    content = bytes(codec.encode(data))
    encoding = ChunkEncoding(codec.codec_id, len(data))
    assert find_fault(content, encoding) == ""
    unsized = encoding._replace(decoded_size=-1)
    assert find_fault(content, unsized) == (None if codec.codec_id == "gzip" else "")
    for length in {*range(0, len(content), 1 + len(content) // 50), *range(max(0, len(content) - 20), len(content))}:
        assert find_fault(content[:length], encoding), f"{length} of {len(content)} bytes"
        assert find_fault(content[:length], unsized), f"{length} of {len(content)} bytes"
    for hole in (len(content) // 3, len(content) // 2):
        filled = content[:hole] + bytes(len(content) - hole)
        assert find_fault(filled, encoding) != "" or not has_written_end(memoryview(filled))


# --- never a whole chunk ---------------------------------------------------------------------------------------

DTYPES = ["|b1", "|u1", "<u2", ">u2", "<i4", "<f4", ">f8", "<c8", "|S3", "<U2", "<M8[ns]", "|V5"]
COMPRESSORS: list[Codec | None] = [
    None, numcodecs.Zstd(1), numcodecs.Zstd(9, checksum=True), numcodecs.GZip(1), numcodecs.Zlib(1), numcodecs.LZ4(),
    numcodecs.BZ2(1), numcodecs.LZMA(preset=1), numcodecs.CRC32(), numcodecs.Adler32(location="end"),
    numcodecs.CRC32C(location="start"), numcodecs.Fletcher32(), numcodecs.JenkinsLookup3(),
    *(numcodecs.Blosc(cname, 5, shuffle) for cname in ("lz4", "zstd", "blosclz", "zlib") for shuffle in (0, 1, 2)),
]  # fmt: skip
FILTERS: list[Codec] = [
    numcodecs.Shuffle(4),
    numcodecs.Zstd(1),
    numcodecs.CRC32C(),
    numcodecs.Blosc(),
    numcodecs.GZip(1),
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(DTYPES), st.lists(st.integers(1, 9), max_size=3), st.lists(st.sampled_from(FILTERS), max_size=2),
    st.sampled_from(COMPRESSORS), st.integers(0, 2**32), st.integers(1, 256),
)  # fmt: skip
def test_no_whole_chunk_is_ever_called_damaged(
    dtype: str, shape: list[int], filters: list[Codec], compressor: Codec | None, seed: int, values: int
) -> None:
    """Those are not copied while the acquisition runs, and not called copied afterwards."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = np.random.default_rng(seed).integers(0, values, size, np.uint8).tobytes()
    for codec in [*filters, *([] if compressor is None else [compressor])]:
        if isinstance(codec, numcodecs.Shuffle | numcodecs.Fletcher32) and len(content) % 4:
            return
        content = bytes(codec.encode(content))
    metadata = [codec.get_config() for codec in filters]
    found = read_v2_chunk_format(compressor and compressor.get_config(), metadata, dtype, shape)
    if found is not None:
        assert not find_fault(content, found)
        if can_prove_whole(found):
            assert find_fault(content, found) == ""
            assert all(
                find_fault(content[:length], found) != "" for length in range(0, len(content), 1 + len(content) // 40)
            )


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([*CODECS, "crc32c"]), st.integers(-1, 400), st.sampled_from([
    b"", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x1f\x8b\x08\0", b"\x02\x01",
]))  # fmt: skip
def test_no_content_raises(content: bytes, codec: str, decoded: int, start: bytes) -> None:
    find_fault(start + content, ChunkEncoding(codec, decoded))


def test_odd_files_that_readers_can_read_are_not_called_damaged() -> None:
    data = image((64,)).tobytes()
    gzip, zstd = bytes(numcodecs.GZip().encode(data[:64])), bytes(numcodecs.Zstd(1).encode(data))
    two = gzip + bytes(numcodecs.GZip().encode(data[64:]))
    assert bytes(numcodecs.GZip().decode(two)) == data and not find_fault(two, ChunkEncoding("gzip", 128))
    assert not find_fault(gzip + bytes(10), ChunkEncoding("gzip", 64))
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    assert (
        find_fault(skippable + zstd, ChunkEncoding("zstd", 128))
        == ""
        == find_fault(zstd + skippable, ChunkEncoding("zstd", 128))
    )
    assert find_fault(zstd + skippable[:7], ChunkEncoding("zstd", 128))
    halves = bytes(numcodecs.Zstd(1).encode(data[:64])) + bytes(numcodecs.Zstd(1).encode(data[64:]))
    assert find_fault(halves, ChunkEncoding("zstd", 128)) == ""
    for codec in (numcodecs.Blosc(), numcodecs.Zstd(1), numcodecs.GZip(1)):
        content = bytes(codec.encode(data))
        assert (
            find_fault(content, ChunkEncoding(codec.codec_id, 64)) is None
        )  # whole, but of another size than was expected
        assert find_fault(content + b"more", ChunkEncoding(codec.codec_id, 128)) is None
    assert find_fault(data + b"more", ChunkEncoding("raw", 128)) is None


def test_every_changed_byte_is_found_by_a_checksum() -> None:
    content = bytearray(numcodecs.CRC32C().encode(image((16,)).tobytes()))
    for place in range(len(content)):
        content[place] ^= 0x40
        assert find_fault(bytes(content), ChunkEncoding("crc32c", 32)) == "does not agree with its crc32c"
        content[place] ^= 0x40
    assert find_fault(bytes(content), ChunkEncoding("crc32c", 32)) == ""


# --- what metadata say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codecs", "data_type", "expected"), [
    ([LITTLE], "uint16", ChunkEncoding("raw", 128)),
    (["bytes"], {"name": "numpy.datetime64", "configuration": {"unit": "s"}}, ChunkEncoding("raw", 512)),
    (["bytes"], v3("fixed_length_utf32", length_bytes=20), ChunkEncoding("raw", 1280)),
    (["bytes"], "r24", ChunkEncoding("raw", 192)),
    ([LITTLE, "zstd"], "complex128", ChunkEncoding("zstd", 1024)),
    ([LITTLE, "zstd", CRC], "bool", ChunkEncoding("crc32c", -1)),
    ([LITTLE, CRC, "zstd"], "bool", ChunkEncoding("zstd", 68)),
    ([LITTLE, v3("numcodecs.blosc")], "float32", ChunkEncoding("blosc", 256)),
    ([v3("numcodecs.delta"), LITTLE, "gzip"], "uint16", ChunkEncoding("gzip", -1)),
    ([v3("numcodecs.delta", dtype="<u2"), LITTLE, "gzip"], "uint16", ChunkEncoding("gzip", 128)),
    ([v3("numcodecs.astype", decode_dtype="<f8", encode_dtype="<f4"), LITTLE], "float64", ChunkEncoding("raw", 256)),
    ([v3("numcodecs.bitround", keepbits=8), LITTLE], "float32", ChunkEncoding("raw", 256)),
    ([v3("numcodecs.delta", dtype="<u4"), LITTLE], "uint16", None), ([v3("numcodecs.packbits"), LITTLE], "bool", None),
    (["vlen-utf8", "zstd"], "string", ChunkEncoding("zstd", -1)),
    ([LITTLE, "zstd"], "of tomorrow", ChunkEncoding("zstd", -1)),
    ([LITTLE, v3("crc32c", location="middle")], "uint8", None),
    ([LITTLE, "of tomorrow"], "uint16", None),
    ([LITTLE], "of tomorrow", None), ([LITTLE], "int4", None), ([LITTLE], None, None), (["vlen-utf8"], "string", None),
    ([], "uint8", None), (None, "uint8", None), ("bytes", "uint8", None), ([None, 1, []], "uint8", None),
], ids=repr)  # fmt: skip
def test_formats_of_zarr_3(codecs: object, data_type: object, expected: ChunkEncoding | None) -> None:
    assert read_v3_chunk_format(codecs, data_type, (8, 8)) == expected


@pytest.mark.parametrize(("compressor", "filters", "dtype", "expected"), [
    (None, None, "<u2", ChunkEncoding("raw", 128)), (None, [], "|V3", ChunkEncoding("raw", 192)),
    (None, None, "<U2", ChunkEncoding("raw", 512)), (None, None, "<M8[25s]", ChunkEncoding("raw", 512)),
    (None, None, "|O", None), (None, None, [["x", "<u2"]], None), (None, None, "u2", None), (None, None, None, None),
    ({"id": "blosc"}, None, "|O", ChunkEncoding("blosc", -1)),
    ({"id": "zstd"}, [{"id": "delta", "dtype": "<u2"}], "<u2", ChunkEncoding("zstd", 128)),
    (None, [{"id": "delta", "dtype": "<u2", "astype": "<i4"}], "<u2", ChunkEncoding("raw", 256)),
    (None, [{"id": "zstd"}, {"id": "delta", "dtype": "<u2"}], "<u2", None),
    ({"id": "zstd"}, [{"id": "packbits"}], "|b1", ChunkEncoding("zstd", -1)),
    (None, [{"id": "zstd"}], "<u2", ChunkEncoding("zstd", 128)),
    ({"id": "crc32"}, None, "<u2", ChunkEncoding("crc32", 128, True)),
    ({"id": "lzma", "format": 2}, None, "<u2", None), ({"id": "lzma"}, None, "<u2", ChunkEncoding("lzma", 128)),
    ({"id": "raw"}, None, "<u2", None), ({"id": ["zstd"]}, None, "<u2", None), ("zstd", None, "<u2", None),
    (None, "delta", "<u2", None), (None, ["delta"], "<u2", None), ({}, None, "<u2", None),
], ids=repr)  # fmt: skip
def test_formats_of_zarr_2(compressor: object, filters: object, dtype: object, expected: ChunkEncoding | None) -> None:
    assert read_v2_chunk_format(compressor, filters, dtype, (8, 8)) == expected
