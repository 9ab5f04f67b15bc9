"""Opens zarr arrays in object stores, for zarr_reader.py: with zarr-python, on top of obstore.

tensorstore is faster on folders, but it has no driver for Azure, and looks for credentials in its own way. obstore is
what copies, so that whatever can be copied to can be shown, with the same credentials; both are installed by default.
"""

from __future__ import annotations

import functools
import warnings

from zarr.storage import ObjectStore

from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.plugin.viewer.zarr_python_arrays import ZarrPythonArray, open_with


def open_stored_array(url: StoreUrl, zarr_format: int) -> ZarrPythonArray | None:
    """Open an array; None where there is none, or its store does not answer.

    Raises
    ------
    ValueError
        It exists, but cannot be opened; the message says why.
    """
    from obstore.exceptions import BaseError

    try:
        bucket = _bucket(StoreUrl(url.scheme, url.bucket, "", url.options))
    except OSError:
        return None
    return open_with(bucket, zarr_format, url.prefix, away=BaseError)


@functools.lru_cache(8)
def _bucket(url: StoreUrl) -> ObjectStore:  # type: ignore[type-arg, unused-ignore]
    """Return the bucket of an address without a prefix, for zarr-python; connections are used again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that zarr-python's class may change
        return ObjectStore(StoreConnection(url).store, read_only=True)
