"""An array for napari that is still being written, and never makes the main thread wait.

napari slices on the main thread, and a slice of a plain zarr array waits for the disk there: half a second on a
network drive, for ever on one that hangs. So on the main thread this array gives what it has, asks for what it has
not, and tells its owner when that is there; the owner refreshes the layer, and gets it. What it has is, in this order:
the same part as read before, even if newer pixels are on their way; for a moment what was shown last, so that moving
a slider does not flicker; the fill value. Any other thread, and `numpy.asarray(array)`, waits and gets the pixels;
but where napari slices in threads (an experimental setting), they get what there is, too: what was waited for would
never be looked at again.
"""

from __future__ import annotations

import math
import operator
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from napari.settings import get_settings

from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.zarr_reader import Pixels, Region, ZarrReader, blocks, is_empty, limits_of

_STOPGAP = 0.25
"""Seconds for which the last picture stands in for one that is being read."""
_KEPT = 256 << 20
"""Bytes of parts that are kept."""
LARGEST = 1 << 30
"""Bytes of a part at most; a larger volume is not shown in 3D."""
_SHARE = 0.25
"""The share of time, at most, in which a part that keeps changing is read."""


class Arrivals(Protocol):
    """Tells an array which of its chunk files have changed."""

    @property
    def chunk(self) -> tuple[int, ...]:
        """Pixels in a chunk file."""

    def marks(self, region: Region) -> Pixels | None:
        """Return a value for each chunk file of a region, which changes with the file; None where it is not known."""


@dataclass(slots=True)
class _Part:
    """A part of the array that has been requested."""

    pixels: Pixels | None = None
    marks: Pixels | None = None
    """The marks of its chunk files when it was read."""
    reading: bool = False
    asked: float = 0.0
    rest_until: float = 0.0


class _Shaped:
    """Something with a shape, as napari asks for it."""

    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)


class LiveArray(_Shaped):
    """A zarr array that changes while it is shown.

    Parameters
    ----------
    reader : ZarrReader
    shape : tuple of int
        The shape to show; longer than the stored array where that is still to grow.
    queue : MainThreadQueue
        The queue of the main thread.
    arrivals : Arrivals
        Tells which chunk files have changed.
    changed : callable
        Called on the main thread when requested pixels have been read, or have changed, with contrast limits that
        fit them, or None.
    padding : int
        Leading dimensions of length 1 that the stored array has not.
    channel : tuple of int, optional
        Axis and position of the one channel to show, at every step of that axis.
    """

    def __init__(
        self,
        reader: ZarrReader,
        shape: Sequence[int],
        queue: MainThreadQueue,
        arrivals: Arrivals,
        changed: Callable[[tuple[float, float] | None], object],
        padding: int = 0,
        channel: tuple[int, int] | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = reader.dtype
        self._reader = reader
        self._queue = queue
        self._arrivals = arrivals
        self._changed = changed
        self._padding = padding
        self._channel = channel
        self._parts: OrderedDict[tuple[Any, ...], _Part] = OrderedDict()
        self._last: Pixels | None = None
        self._last_at = 0.0

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk in pixels, by which napari chooses tiles."""
        chunk = [1] * self._padding + list(self._reader.chunk)
        if self._channel is not None:
            chunk[self._channel[0] + self._padding] = 1
        return tuple(chunk)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> View | Pixels:
        return View(self, tuple((0, n, False) for n in self.shape))[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        return np.array(self.wait(tuple(slice(0, n) for n in self.shape)), dtype)

    # -- reading -----------------------------------------------------------------------------------------

    def get(self, region: Region) -> Pixels:
        """Return what is there of a region on the main thread; wait for the region on others."""
        if threading.current_thread() is threading.main_thread():
            return self._shown(self._part_now(self._inside(region)), region)
        if get_settings().experimental.async_:
            return self._shown(self._part_soon(self._inside(region)), region)
        return self.wait(region)

    def wait(self, region: Region) -> Pixels:
        """Read a region, and return its pixels."""
        return self._shown(self._reader.read(self._inside(region)), region)

    def _inside(self, region: Region) -> Region:
        """Return a region in the dimensions of the stored array."""
        inside = list(region[self._padding :])
        if self._channel is not None:
            axis, channel = self._channel
            inside[axis] = slice(channel, channel + 1)
        return tuple(inside)

    def _shown(self, pixels: Pixels, region: Region) -> Pixels:
        """Return stored pixels in the shape of a region of this array."""
        shape = tuple(part.stop - part.start for part in region)
        return np.broadcast_to(pixels.reshape((1,) * self._padding + pixels.shape), shape)

    def _part_now(self, inside: Region) -> Pixels:
        shape = tuple(piece.stop - piece.start for piece in inside)
        if math.prod(shape) * self.dtype.itemsize > LARGEST:
            return np.broadcast_to(self._reader.fill, shape)
        key = _key(inside)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = _Part()
            self._drop_oldest()
        self._parts.move_to_end(key)
        now = time.perf_counter()
        if part.pixels is None:
            if not part.reading:
                self._read(inside, part, now)
            return self._stopgap(shape, now)
        self._update(inside, part, now)
        self._last, self._last_at = part.pixels, now
        return part.pixels

    def _part_soon(self, inside: Region) -> Pixels:
        """Return what is there, for another thread than the main one, which reads the rest."""
        self._queue.post(lambda: self._part_now(inside))
        part = self._parts.get(_key(inside))
        if part is not None and part.pixels is not None:
            return part.pixels
        return self._stopgap(tuple(piece.stop - piece.start for piece in inside), time.perf_counter())

    def _stopgap(self, shape: tuple[int, ...], now: float) -> Pixels:
        """Return what stands in for a part that is being read."""
        last = self._last
        if last is not None and last.shape == shape and now - self._last_at < _STOPGAP:
            return last
        return np.broadcast_to(self._reader.fill, shape)

    def refresh_shown(self) -> None:
        """Read shown parts that have changed; to be called a few times a second."""
        if not self._parts:
            return
        now = time.perf_counter()
        for key in list(self._parts)[-2:]:  # with several levels, the picture and its thumbnail
            part = self._parts[key]
            inside = tuple(slice(start, stop) for start, stop in key)
            if part.pixels is not None:
                self._update(inside, part, now)
            elif part.reading and now - part.asked > _STOPGAP and self._last is not None:
                self._last = None
                self._changed(None)  # replace the stopgap by the fill value

    def read_again(self) -> None:
        """Read shown parts once more, in case a change was not noticed."""
        now = time.perf_counter()
        for key in list(self._parts)[-2:]:
            inside = tuple(slice(start, stop) for start, stop in key)
            if not self._parts[key].reading:
                self._read(inside, self._parts[key], now)
        for key in list(self._parts)[:-2]:
            del self._parts[key]

    def grow(self, reader: ZarrReader | None, shape: Sequence[int]) -> None:
        """Use a reader of the array as it is now, and the shape to show."""
        self.shape = tuple(shape)
        if reader is not None and reader is not self._reader:
            before, self._reader = self._reader.shape, reader
            if before != reader.shape:  # parts beyond its end held the fill value
                for key in list(self._parts):
                    if any(stop > n for (_, stop), n in zip(key, before, strict=True)):
                        del self._parts[key]

    def _update(self, inside: Region, part: _Part, now: float) -> None:
        """Start to read what has changed of a part."""
        if part.reading or now < part.rest_until:
            return
        marks = self._arrivals.marks(inside)
        if marks is None or part.marks is None or marks.shape != part.marks.shape:
            if marks is not None:
                self._read(inside, part, now)
            return
        changed = marks != part.marks
        count = int(np.count_nonzero(changed))
        if count:
            self._read(inside, part, now, changed if count * 4 < changed.size else None)

    def _read(self, inside: Region, part: _Part, now: float, changed: Pixels | None = None) -> None:
        """Read a part, or its changed chunk files, in a thread: even the requests take long where there are many."""
        part.reading, part.asked = True, now
        marks = self._arrivals.marks(inside)
        fill = self._reader.fill

        def post(pixels: Pixels) -> None:  # in one of tensorstore's threads
            same = part.pixels is not None and np.array_equal(pixels, part.pixels)
            limits = None if same else limits_of(pixels, fill)
            took = time.perf_counter() - now
            self._queue.post(lambda: self._deliver(part, pixels, marks, same, limits, took))

        reader, base, chunk = self._reader, part.pixels, self._arrivals.chunk

        def begin() -> None:
            reader.begin(inside, base, [inside] if changed is None else blocks(inside, chunk, changed), post)

        threading.Thread(target=begin, name="softcopy-read", daemon=True).start()

    def _deliver(
        self,
        part: _Part,
        pixels: Pixels,
        marks: Pixels | None,
        same: bool,
        limits: tuple[float, float] | None,
        took: float,
    ) -> None:
        part.reading, part.marks = False, marks
        part.rest_until = part.asked + took / _SHARE
        if not same or part.pixels is None:
            part.pixels = pixels
            self._changed(limits)

    def _drop_oldest(self) -> None:
        """Drop the parts that were not shown for longest, where they take too much memory."""
        total = sum(part.pixels.nbytes for part in self._parts.values() if part.pixels is not None)
        while total > _KEPT and len(self._parts) > 3:
            _, part = self._parts.popitem(last=False)
            total -= part.pixels.nbytes if part.pixels is not None else 0


class View(_Shaped):
    """A part of a live array that has not been read yet: napari cuts out the window first, and then a plane."""

    def __init__(self, array: LiveArray, cut: tuple[tuple[int, int, bool], ...]) -> None:
        self._array = array
        self._cut = cut
        """For each dimension of the array its start, its stop, and whether it has been dropped."""
        self.dtype = array.dtype
        self.shape = tuple(stop - start for start, stop, gone in cut if not gone)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> View | Pixels:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [part for part in keys if not isinstance(part, np.ndarray)]:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        if len(keys) > self.ndim:
            raise IndexError(f"too many indices: {len(keys)} for {self.ndim} dimensions")
        cut, rest, left = [], [], iter(keys)
        for start, stop, gone in self._cut:
            if gone:
                cut.append((start, stop, True))
                continue
            one = next(left)
            part, more = _part_of(one, stop - start)
            cut.append((start + part.start, start + part.stop, more is None))
            rest += [more] if more is not None else []
        view = View(self._array, tuple(cut))
        if len(rest) == self.ndim and all(isinstance(more, slice) and more == slice(None) for more in rest):
            return view
        pixels: Pixels = np.asarray(view)[tuple(rest)]
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        region = tuple(slice(start, stop) for start, stop, _ in self._cut)
        if is_empty(region):
            return np.zeros(self.shape, dtype or self.dtype)
        pixels = self._array.get(region)[tuple(0 if gone else slice(None) for _, _, gone in self._cut)]
        return np.asarray(pixels, dtype)  # also where a single pixel is left


def _key(inside: Region) -> tuple[tuple[int, int], ...]:
    """Return the key of a part, as slices cannot be hashed."""
    return tuple((piece.start, piece.stop) for piece in inside)


def _part_of(key: Any, length: int) -> tuple[slice, Any]:
    """Return the slice of a dimension to read for a key, and the key within that; None for a single position."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        if step == 1:
            return slice(start, max(start, stop)), slice(None)
        return slice(0, length), key
    if isinstance(key, list | np.ndarray):
        return slice(0, length), key
    at = operator.index(key)
    if not -length <= at < length:
        raise IndexError(f"index {at} is out of bounds for a length of {length}")
    at %= length
    return slice(at, at + 1), None
