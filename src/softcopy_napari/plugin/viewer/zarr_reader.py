"""Reads zarr arrays that are still being written, without ever waiting: what live_array.py shows.

tensorstore reads them, in threads of its own that no Python thread waits for. On Windows it opens files with all
share modes, so that neither the microscope nor a copy worker fails to replace a file that is being looked at.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Region = tuple[slice, ...]
"""Start and stop of every dimension of a stored array."""
Pixels = npt.NDArray[Any]


_LARGEST_CHUNK = 4 << 30
"""Bytes; a chunk is read into memory as a whole, and a file of a kilobyte may unpack to any size."""


class CannotShow(Exception):
    """An array that cannot be shown; the message says why, in words for users."""


@functools.cache
def _context() -> Any:
    """Few reads at once, and no cache: the disk is somebody else's, and files change under us."""
    import tensorstore as ts

    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},
            "file_io_concurrency": {"limit": 4},
            "data_copy_concurrency": {"limit": 2},
        }
    )


class ZarrReader:
    """One zarr array as it is on the disk now.

    Parameters
    ----------
    store : tensorstore.TensorStore
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.shape: tuple[int, ...] = tuple(store.shape)
        self.chunk: tuple[int, ...] = tuple(store.chunk_layout.read_chunk.shape or self.shape)
        """What can be read on its own; in a sharded array a part of a file."""
        kept = np.dtype(store.dtype.numpy_dtype)
        if kept.kind not in "biuf":
            raise CannotShow(f"pixels of the type {store.dtype.name} cannot be shown")
        shown = {"b": np.uint8, "f": np.float32 if kept.itemsize < 4 else kept}
        self.dtype: np.dtype[Any] = np.dtype(shown.get(kept.kind, kept))
        size = math.prod(self.chunk) * kept.itemsize
        if size > _LARGEST_CHUNK:
            raise CannotShow(f"its chunks have {size / 1e9:,.1f} GB each, and none can be read in part")
        fill = store.fill_value
        self.fill = self.dtype.type(0 if fill is None else fill)

    def begin(
        self, region: Region, base: Pixels | None, pieces: Sequence[Region], then: Callable[[Pixels], object]
    ) -> None:
        """Read parts of a region; returns at once.

        Parameters
        ----------
        region : tuple of slice
            May reach beyond the array: there the fill value stands.
        base : ndarray or None
            What the region held before; the fill value where there is none.
        pieces : sequence of tuple of slice
            What is to be read of it.
        then : callable
            Is given the region's pixels, in some thread. What cannot be read, as it is being written just now,
            is the fill value.
        """
        _Reading(self, region, base, pieces, then)

    def read(self, region: Region) -> Pixels:
        """Read a region, and wait for it. Not for the main thread."""
        done = threading.Event()
        got: list[Pixels] = []

        def take(pixels: Pixels) -> None:
            got.append(pixels)
            done.set()

        self.begin(region, None, [region], take)
        done.wait()
        return got[0]

    def clip(self, region: Region) -> Region:
        """What of a region there is; empty slices where there is nothing."""
        bounds = zip(region, self.shape, strict=True)
        return tuple(slice(min(part.start, n), min(part.stop, n)) for part, n in bounds)

    def ask(self, region: Region) -> Any:
        """A future of the pixels of a region that lies within the array."""
        return self._store[region].read()


def is_empty(region: Region) -> bool:
    """Whether a region has no pixels."""
    return any(part.start >= part.stop for part in region)


def blocks(region: Region, chunk: Sequence[int], wanted: Pixels | None = None) -> list[Region]:
    """A region cut along chunk borders: all blocks of it, or those for which `wanted` is true."""
    start, stop = np.array([(part.start, part.stop) for part in region], int).reshape(-1, 2).T
    length = np.asarray(chunk, int)
    first = start // length
    places = np.argwhere(np.ones(tuple(-(-stop // length) - first), bool) if wanted is None else wanted)
    low = (places + first) * length
    ends = zip(np.maximum(start, low).tolist(), np.minimum(stop, low + length).tolist(), strict=True)
    return [tuple(map(slice, *both)) for both in ends]


class _Reading:
    """Some reads under way, whose pixels are put together; a piece that fails is tried chunk by chunk."""

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
            self._ask(reader.clip(piece), whole=False)
        self._done()

    def _ask(self, piece: Region, whole: bool) -> None:
        """`whole`: it is no larger than what can be read on its own."""
        if is_empty(piece):
            return
        with self._lock:
            self._left += 1
        try:
            future = self._reader.ask(piece)
        except Exception:  # an array that has become another one
            self._done()
            return
        future.add_done_callback(functools.partial(self._got, piece, whole))

    def _got(self, piece: Region, whole: bool, future: Any) -> None:
        try:
            self._put(piece, future.result())
        except Exception:  # half written, or gone: whatever the codec, or the disk, makes of that
            inside = [] if whole else blocks(piece, self._reader.chunk)
            if len(inside) > 1:
                for block in inside:
                    self._ask(block, whole=True)
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


def open_array(folder: str, zarr_format: int) -> ZarrReader | None:
    """Open an array; waits for the disk, so it is for threads.

    Returns
    -------
    ZarrReader or None
        None where there is no such array, or its metadata are half written.

    Raises
    ------
    CannotShow
        It is there, and will never be shown.
    """
    try:
        import tensorstore as ts
    except ImportError as error:
        raise CannotShow(f"showing images needs tensorstore ({error}): pip install softcopy-napari[all]") from error
    kvstore = {"driver": "file", "path": folder.replace("\\", "/").rstrip("/") + "/"}
    spec = {"driver": "zarr3" if zarr_format == 3 else "zarr", "kvstore": kvstore}
    try:
        return ZarrReader(ts.open(spec, open=True, read=True, context=_context()).result())
    except CannotShow:
        raise
    except Exception as error:  # tensorstore has one for each kind of thing that metadata can get wrong
        text = str(error)
        if "NOT_FOUND" in text or "does not exist" in text or isinstance(error, OSError):
            return None
        reason = text.split(" [")[0].removeprefix("FAILED_PRECONDITION: ").removeprefix("INVALID_ARGUMENT: ")
        raise CannotShow(f"{folder}: {reason}") from error


def limits_of(pixels: Pixels, fill: Any) -> tuple[float, float] | None:
    """Between which values pixels are to be shown; None where there is nothing but the fill value."""
    step = max(1, math.ceil(math.sqrt(pixels.size / 50_000)))
    some = pixels[..., ::step, ::step] if pixels.ndim > 1 else pixels
    some = some.reshape(-1)
    some = some[:: max(1, len(some) // 100_000)]
    some = some[(some != fill) & np.isfinite(some)]
    if not len(some):
        return None
    low, high = np.percentile(some, (0.1, 99.9)).tolist()
    return (low, high) if low < high else (min(low, 0.0), max(high, low + 1.0))
