"""Opens zarr arrays with tensorstore, for zarr_reader.py.

tensorstore reads in threads of its own, which no Python thread waits for. On Windows it opens files with all share
modes, so that neither the microscope nor a copy worker fails to replace a file that is being read.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorstore as ts


class TensorStoreArray:
    """One open array, as `zarr_reader.StoredArray` describes.

    Parameters
    ----------
    store : tensorstore.TensorStore
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.shape: tuple[int, ...] = tuple(store.shape)
        self.chunk: tuple[int, ...] = tuple(store.chunk_layout.read_chunk.shape or self.shape)
        self.dtype: np.dtype[Any] = np.dtype(store.dtype.numpy_dtype)
        self.type_name: str = store.dtype.name
        self.fill = store.fill_value

    def read_async(self, region: tuple[slice, ...]) -> Any:
        """Return a future of the pixels of a region that lies within the array."""
        return self._store[region].read()


def open_stored_array(folder: str, zarr_format: int) -> TensorStoreArray | None:
    """Open an array; None where there is none.

    Raises
    ------
    ValueError
        It exists, but cannot be opened; the message says why.
    """
    kvstore = {"driver": "file", "path": folder.replace("\\", "/").rstrip("/") + "/"}
    spec = {"driver": "zarr3" if zarr_format == 3 else "zarr", "kvstore": kvstore}
    try:
        return TensorStoreArray(ts.open(spec, open=True, read=True, context=_context()).result())
    except Exception as error:  # tensorstore raises various ones for wrong metadata
        text = str(error)
        if "NOT_FOUND" in text or "does not exist" in text or isinstance(error, OSError):
            return None
        reason = text.split(" [")[0].removeprefix("FAILED_PRECONDITION: ").removeprefix("INVALID_ARGUMENT: ")
        raise ValueError(reason) from error


@functools.cache
def _context() -> Any:
    """Return a context with few reads at once, to spare the disk, and no cache, as files change."""
    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},
            "file_io_concurrency": {"limit": 4},
            "data_copy_concurrency": {"limit": 2},
        }
    )
