"""Opens zarr arrays with zarr-python, for zarr_reader.py, on systems that tensorstore has no wheel for."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Literal

import numpy as np
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from softcopy_napari.engine.fs.files import extended_path, open_source_file


class ZarrPythonArray:
    """One open array, as `zarr_reader.StoredArray` describes.

    Parameters
    ----------
    array : zarr.Array
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.chunk: tuple[int, ...] = tuple(array.chunks) or self.shape
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.type_name: str = self.dtype.name
        self.fill = array.fill_value

    def read_async(self, region: tuple[slice, ...]) -> Future[Any]:
        """Return a future of the pixels of a region; it is read at once, as callers have threads of their own."""
        future: Future[Any] = Future()
        try:
            future.set_result(np.asarray(self._array[region]))
        except Exception as error:
            future.set_exception(error)
        return future


class _SharedStore(LocalStore):
    """Reads files so that on Windows others can still replace them, and elsewhere their access times stay."""

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        try:
            fd = open_source_file(extended_path(os.path.join(self.root, *key.split("/"))))
            with open(fd, "rb") as file:
                content = _read_part(file, byte_range)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(content)


def _read_part(file: Any, part: Any) -> bytes:
    """Read the bytes that zarr-python asks for."""
    match part:
        case RangeByteRequest():
            file.seek(part.start)
            return bytes(file.read(part.end - part.start))
        case OffsetByteRequest():
            file.seek(part.offset)
        case SuffixByteRequest():
            file.seek(max(0, file.seek(0, os.SEEK_END) - part.suffix))
    return bytes(file.read())


def open_stored_array(folder: str, zarr_format: int) -> ZarrPythonArray | None:
    """Open an array; None where there is none.

    Raises
    ------
    ValueError
        It exists, but cannot be opened; the message says why.
    """
    return open_with(_SharedStore(folder, read_only=True), zarr_format)


def open_with(store: Any, zarr_format: int, path: str = "", away: type[Exception] = OSError) -> ZarrPythonArray | None:
    """Open an array in a store of zarr-python's; as `open_stored_array` does it.

    Parameters
    ----------
    store : zarr.abc.store.Store
    zarr_format : int
    path : str
        The array's path in the store.
    away : type of Exception
        What the store raises where it cannot be asked: then there is no array for now.
    """
    version: Literal[2, 3] = 3 if zarr_format == 3 else 2
    try:
        return ZarrPythonArray(zarr.open_array(store=store, path=path, mode="r", zarr_format=version))
    except (OSError, away, json.JSONDecodeError):  # not there yet, or half written
        return None
    except Exception as error:  # zarr-python raises various ones for metadata that it does not know
        raise ValueError(str(error).strip("'\"") or type(error).__name__) from error
