"""Writes the arrays of the simulated microscope: with tensorstore, and with zarr-python where that has no wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint16]

_INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]


class ArrayWriter(Protocol):
    """One array (t, c, z, y, x) that is being written."""

    def write(self, t: int, c: int, part: tuple[slice, slice, slice], pixels: Pixels) -> None:
        """Write a part of a volume.

        Raises
        ------
        OSError, ValueError
            It cannot be written, as the disk is full, for example.
        """

    def grow(self, frames: int) -> None:
        """Make it this long along t."""


def create_array(folder: Path, spec: dict[str, Any]) -> ArrayWriter:
    """Make an array.

    Parameters
    ----------
    folder : Path
    spec : dict
        Driver and metadata, as `ome_metadata.array_spec` gives them.

    Raises
    ------
    ImportError
        Neither library is there.
    """
    try:
        return _TensorStoreWriter(folder, spec)
    except ImportError:
        return _ZarrPythonWriter(folder, spec)


class _TensorStoreWriter:
    """Writes as acquisition software does, with a lock file beside each chunk."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        import tensorstore as ts

        context: dict[str, Any] = {"file_io_locking": {"mode": "lockfile"}}
        context |= {key: {"limit": 1} for key in ("file_io_concurrency", "data_copy_concurrency")}
        kvstore = {"driver": "file", "path": f"{folder.as_posix()}/"}
        self._array = ts.open({**spec, "kvstore": kvstore}, create=True, context=ts.Context(context)).result()

    def write(self, t: int, c: int, part: tuple[slice, slice, slice], pixels: Pixels) -> None:
        self._array[t, c][part].write(pixels).result()

    def grow(self, frames: int) -> None:
        self._array = self._array.resize(exclusive_max=[frames, *self._array.shape[1:]]).result()


class _ZarrPythonWriter:
    """Writes each chunk under another name and renames it, without locks."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        import zarr

        folder.mkdir(parents=True, exist_ok=True)
        name, content = _metadata_file(spec)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
        self._array = zarr.open_array(folder, mode="r+")

    def write(self, t: int, c: int, part: tuple[slice, slice, slice], pixels: Pixels) -> None:
        self._array[(t, c, *part)] = pixels

    def grow(self, frames: int) -> None:
        self._array.resize((frames, *self._array.shape[1:]))


def _metadata_file(spec: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and content of an array's metadata, with what tensorstore adds by itself."""
    metadata = spec["metadata"]
    if spec["driver"] == "zarr":
        return ".zarray", {"zarr_format": 2, "order": "C", "filters": None, **metadata}
    (codec,) = metadata["codecs"]
    if codec["name"] == "sharding_indexed":
        configuration = {**codec["configuration"], "index_codecs": _INDEX_CODECS, "index_location": "end"}
        codec = {**codec, "configuration": configuration}
    encoding = {"name": "default", "configuration": {"separator": "/"}}
    kind = {"zarr_format": 3, "node_type": "array", "attributes": {}, "chunk_key_encoding": encoding}
    return "zarr.json", {**kind, **metadata, "codecs": [codec]}
