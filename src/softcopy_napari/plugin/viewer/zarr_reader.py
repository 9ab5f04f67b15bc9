"""Reads zarr arrays that are still being written, without waiting; live_array.py shows them.

tensorstore reads where it is installed, and zarr-python elsewhere.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.targets.store_url import StoreUrl, destination_of

Region = tuple[slice, ...]
"""Start and stop of every dimension of a stored array."""
Pixels = npt.NDArray[Any]


_LARGEST_CHUNK = 4 << 30
"""Bytes of a chunk at most: it is read into memory as a whole, and a small file may unpack to any size."""


class CannotShow(Exception):
    """An array that cannot be shown; the message says why, in words for users."""


class StoredArray(Protocol):
    """An array on the disk, opened by one library or another."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    """The smallest part that can be read; in a sharded array a part of a file."""
    dtype: np.dtype[Any]
    type_name: str
    """The name of its type, for users."""
    fill: Any
    """The fill value; None where there is none."""

    def read_async(self, region: Region) -> Any:
        """Return a future of the pixels of a region that lies within the array."""


class ZarrReader:
    """One zarr array as it is on the disk now.

    Parameters
    ----------
    stored : StoredArray
    """

    def __init__(self, stored: StoredArray) -> None:
        self._stored = stored
        self.shape = stored.shape
        self.chunk = stored.chunk
        kept = stored.dtype
        if kept.kind not in "biuf":
            raise CannotShow(f"pixels of the type {stored.type_name} cannot be shown")
        shown = {"b": np.uint8, "f": np.float32 if kept.itemsize < 4 else kept}
        self.dtype: np.dtype[Any] = np.dtype(shown.get(kept.kind, kept))
        size = math.prod(self.chunk) * kept.itemsize
        if size > _LARGEST_CHUNK:
            raise CannotShow(f"its chunks have {size / 1e9:,.1f} GB each, and none can be read in part")
        self.fill = self.dtype.type(0 if stored.fill is None else stored.fill)

    def begin(
        self, region: Region, base: Pixels | None, pieces: Sequence[Region], then: Callable[[Pixels], object]
    ) -> None:
        """Start to read parts of a region, and return at once.

        Parameters
        ----------
        region : tuple of slice
            The region; beyond the array it has the fill value.
        base : ndarray or None
            The pixels of the region before; None for the fill value.
        pieces : sequence of tuple of slice
            The parts of the region to read.
        then : callable
            Is given the pixels of the region, in some thread. Parts that cannot be read because they are being
            written have the fill value.
        """
        _Reading(self, region, base, pieces, then)

    def read(self, region: Region) -> Pixels:
        """Read a region, and wait for it; not for the main thread."""
        done = threading.Event()
        got: list[Pixels] = []

        def store(pixels: Pixels) -> None:
            got.append(pixels)
            done.set()

        self.begin(region, None, [region], store)
        done.wait()
        return got[0]

    def clip(self, region: Region) -> Region:
        """Return the part of a region within the array; empty slices where there is none."""
        bounds = zip(region, self.shape, strict=True)
        return tuple(slice(min(part.start, n), min(part.stop, n)) for part, n in bounds)

    def read_async(self, region: Region) -> Any:
        """Return a future of the pixels of a region that lies within the array."""
        return self._stored.read_async(region)


def is_empty(region: Region) -> bool:
    """Whether a region has no pixels."""
    return any(part.start >= part.stop for part in region)


def blocks(region: Region, chunk: Sequence[int], wanted: Pixels | None = None) -> list[Region]:
    """Cut a region along chunk borders; return all blocks, or those for which `wanted` is true."""
    start, stop = np.array([(part.start, part.stop) for part in region], int).reshape(-1, 2).T
    length = np.asarray(chunk, int)
    first = start // length
    places = np.argwhere(np.ones(tuple(-(-stop // length) - first), bool) if wanted is None else wanted)
    low = (places + first) * length
    ends = zip(np.maximum(start, low).tolist(), np.minimum(stop, low + length).tolist(), strict=True)
    return [tuple(map(slice, *both)) for both in ends]


class _Reading:
    """Reads under way, whose pixels are put together; a piece that fails is read chunk by chunk."""

    def __init__(
        self,
        reader: ZarrReader,
        region: Region,
        base: Pixels | None,
        pieces: Sequence[Region],
        then: Callable[[Pixels], object],
    ) -> None:
        self._reader = reader
        self._region = region
        self._then = then
        self._lock = threading.Lock()
        shape = tuple(part.stop - part.start for part in region)
        if base is None or base.shape != shape:
            self._pixels = np.full(shape, reader.fill, reader.dtype)
        else:
            self._pixels = base.copy()
        self._left = 1
        for piece in pieces:
            self._start_read(reader.clip(piece), whole=False)
        self._done()

    def _start_read(self, piece: Region, whole: bool) -> None:
        """Start to read a piece; `whole` if it is a single chunk, which is not cut further."""
        if is_empty(piece):
            return
        with self._lock:
            self._left += 1
        try:
            future = self._reader.read_async(piece)
        except Exception:  # another array has taken its place
            self._done()
            return
        future.add_done_callback(functools.partial(self._got, piece, whole))

    def _got(self, piece: Region, whole: bool, future: Any) -> None:
        try:
            self._put(piece, future.result())
        except Exception:  # half written, or gone: the codec or the disk may raise anything
            inside = [] if whole else blocks(piece, self._reader.chunk)
            if len(inside) > 1:
                for block in inside:
                    self._start_read(block, whole=True)
            else:
                self._put(piece, self._reader.fill)
        finally:
            self._done()

    def _put(self, piece: Region, pixels: Any) -> None:
        inside = zip(piece, self._region, strict=True)
        self._pixels[tuple(slice(a.start - b.start, a.stop - b.start) for a, b in inside)] = pixels

    def _done(self) -> None:
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._then(self._pixels)


def open_array(place: str, zarr_format: int) -> ZarrReader | None:
    """Open an array; waits for the disk or the network, so not for the main thread.

    Parameters
    ----------
    place : str
        Its folder, or its address in an object store.
    zarr_format : int

    Returns
    -------
    ZarrReader or None
        None where there is no such array, or its metadata are only half written.

    Raises
    ------
    CannotShow
        The array exists, but cannot be shown.
    """
    try:
        stored = _open(place, zarr_format)
    except ValueError as error:
        raise CannotShow(f"{place}: {error}") from error
    return None if stored is None else ZarrReader(stored)


def _open(place: str, zarr_format: int) -> StoredArray | None:
    if not isinstance(url := destination_of(place), StoreUrl):
        return load_library().open_stored_array(place, zarr_format)  # type: ignore[no-any-return]
    try:
        from softcopy_napari.plugin.viewer import store_arrays
    except ImportError as error:
        raise CannotShow(f"this installation cannot read object stores ({error})") from error
    return store_arrays.open_stored_array(url, zarr_format)


def load_library() -> Any:
    """Return the module that opens arrays here; importing its library takes a while."""
    try:
        from softcopy_napari.plugin.viewer import tensorstore_arrays
    except ImportError:
        try:
            from softcopy_napari.plugin.viewer import zarr_python_arrays
        except ImportError as error:
            raise CannotShow(f"this installation cannot read zarr ({error}): install softcopy-napari again") from error
        return zarr_python_arrays
    return tensorstore_arrays


def limits_of(pixels: Pixels, fill: Any) -> tuple[float, float] | None:
    """Return contrast limits that fit pixels; None where there is nothing but the fill value."""
    step = max(1, math.ceil(math.sqrt(pixels.size / 50_000)))
    some = pixels[..., ::step, ::step] if pixels.ndim > 1 else pixels
    some = some.reshape(-1)
    some = some[:: max(1, len(some) // 100_000)]
    some = some[(some != fill) & np.isfinite(some)]
    if not len(some):
        return None
    low, high = np.percentile(some, (0.1, 99.9)).tolist()
    return (low, high) if low < high else (min(low, 0.0), max(high, low + 1.0))
