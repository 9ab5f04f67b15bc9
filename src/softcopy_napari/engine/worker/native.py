"""Copies and compares many small files in one call of a C library, if there is one.

It handles what is plain and leaves all else to file_copier.py and folder_comparer.py, so that it has no special cases
of its own. Without the library (it takes a compiler) those two do everything, at a fraction of the speed.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.file_times import TICK, TIME_UNITS
from softcopy_napari.engine.fs.files import NO_ATIME, READ
from softcopy_napari.engine.fs.held_file_system import FlushTogether
from softcopy_napari.engine.native_library import load_library
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.lanes import Lanes, split
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat, check_chunk_in_memory

MAX_FILES = 64
"""Most files in a call, as in copy_files.c."""
_SKIPPED = -1
"""Stands for the size of a file that was skipped, as in copy_files.c."""
_INT, _LONG, _TEXT, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
_Loaded = TypeVar("_Loaded")
_ROOM = 1 << 19
"""Most bytes read before they are written, so that they stay in the processor's cache."""


class NativeCopier:
    """Copies files with the library.

    Parameters
    ----------
    buffer : bytearray
        A buffer of at least half a MiB, free to use between calls.

    Raises
    ------
    OSError
        There is no such library, or it is for another system.
    """

    def __init__(self, buffer: bytearray) -> None:
        library = load_library()
        self._read, self._write = library.softcopy_read_files, library.softcopy_write_files
        self._read.argtypes = [_POINTER, _INT, _TEXT, _INT, _INT, _LONG, _LONG, _POINTER, _LONG, _POINTER, _POINTER]
        self._write.argtypes = [_POINTER, _INT, _INT, _TEXT, _TEXT, *[_INT] * 6, _POINTER, _POINTER]
        self._write.restype = None
        self._flush = library.softcopy_flush_files
        self._flush.argtypes = [_POINTER, _INT, _INT, _TEXT, _INT, _INT, _POINTER]
        self._flush.restype = None
        self._change_times = library.softcopy_change_times
        self._change_times.argtypes = [_POINTER, _INT, _TEXT, _INT, _POINTER, _POINTER]
        self._change_times.restype = None
        library.softcopy_new_copier.restype = _POINTER
        self._copier = library.softcopy_new_copier()  # lives as long as the process
        self._view = memoryview(buffer)
        self._buffer = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        self._lanes = Lanes()
        self._sizes = (ctypes.c_int64 * MAX_FILES)()
        self._times = (ctypes.c_int64 * MAX_FILES)()

    @property
    def worth_at_a_time(self) -> int:
        """How many files are worth being written at a time, by what calls have taken so far."""
        return self._lanes.count

    def copy(
        self,
        source: int,
        destination: int,
        temporaries: Sequence[str],
        paths: Sequence[str],
        unit: int,
        modes: tuple[int, int, int],
        chunk_format: ChunkFormat | None = None,
        flush: bool = False,
    ) -> list[tuple[int, bytes, int] | None]:
        """Copy some files below a folder.

        Parameters
        ----------
        source, destination : int
            Descriptors of the folder on both sides.
        temporaries : sequence of str
            Names of temporary files, which nobody else uses, made in the folder of each file. As many files are written
            at a time, as far as that is worth it.
        paths : sequence of str
            Files below the folder; one call copies as many of the first ones as it can.
        unit : int
            Unit in which the destination keeps modification times, ns.
        modes : tuple of int, int and int
            Permissions of the copies and of new folders, and the group of the copies, as those of a `RootFolder`. If
            the second is negative, no folders are made.
        chunk_format : ChunkFormat, optional
            Format of all of them, if they are chunk files; damaged ones are skipped.
        flush : bool
            Flush each file before it is published.

        Returns
        -------
        list of tuple of int, bytes and int, or None
            Size, XXH3-128 and modification time (ns) of each of the first files, at least one; None for those that
            were skipped.
        """
        paths = paths[:MAX_FILES]
        joined = os.fsencode("\0".join(paths))
        now = time.time_ns()
        settled, coarse = now - max(unit, TICK), now - max(unit, TIME_UNITS[0])  # as file_times.remaining_tick
        sizes, times = self._sizes, self._times
        flags = READ | NO_ATIME
        count = self._read(
            self._copier, source, joined, len(paths), flags, settled, coarse, self._buffer, _ROOM, sizes, times
        )
        read = sizes[:count]
        found: list[tuple[int, bytes, int] | None] = []
        at = 0
        for number, size in enumerate(read):
            data = self._view[at : at + max(size, 0)]
            at += len(data)
            if size < 0 or (chunk_format is not None and isinstance(check_chunk_in_memory(data, chunk_format), Reason)):
                sizes[number] = _SKIPPED
                found.append(None)
            else:
                found.append((size, xxh3_128_digest(data), times[number]))
        starts = list(itertools.accumulate((max(size, 0) for size in read), initial=0))

        def write(lane: int, first: int, number: int) -> None:
            name, there = os.fsencode(temporaries[lane]), os.fsencode("\0".join(paths[first : first + number]))
            data = ctypes.byref(self._buffer, starts[first])
            results = ctypes.byref(sizes, first * ctypes.sizeof(_LONG))
            self._write(self._copier, lane, destination, name, there, first, number, *modes, flush, data, results)

        parts = split(count, min(self._lanes.count, len(temporaries)))
        self._lanes.run([partial(write, lane, *part) for lane, part in enumerate(parts)])
        return [one if size >= 0 else None for one, size in zip(found, sizes[:count], strict=True)]

    def change_times(self, destination: int, paths: Sequence[str]) -> list[tuple[int, int] | None]:
        """Return size and change time (ns) of files below a folder; None for those that are no regular files.

        Parameters
        ----------
        destination : int
            Descriptor of the folder.
        paths : sequence of str
        """
        sizes, times = (_LONG * len(paths))(), (_LONG * len(paths))()
        joined = os.fsencode("\0".join(paths))
        self._change_times(self._copier, destination, joined, len(paths), sizes, times)
        return [(size, time) if size >= 0 else None for size, time in zip(sizes, times, strict=True)]

    def flush(self, destination: int, paths: Sequence[str], at_a_time: int) -> list[int | None]:
        """Flush files and folders below a folder to storage.

        Parameters
        ----------
        destination : int
            Descriptor of the folder.
        paths : sequence of str
        at_a_time : int
            How many are flushed at a time at most, as far as that is worth it.

        Returns
        -------
        list of int or None
            The number of each one's error, 0 where there is none; None for those that were skipped.
        """
        parts = split(len(paths), min(self._lanes.count, at_a_time))

        def flush(lane: int, first: int, count: int) -> list[int | None]:
            errors, joined = (ctypes.c_int32 * count)(), os.fsencode("\0".join(paths[first : first + count]))
            self._flush(self._copier, lane, destination, joined, count, READ, errors)
            return [None if error == _SKIPPED else error for error in errors]

        found = self._lanes.run([partial(flush, lane, *part) for lane, part in enumerate(parts)])
        return list(itertools.chain.from_iterable(found))


SAME, DIFFERENT, LACKING, FRESH, UNCLEAR = 0, 1, 2, 4, 8
"""How a file compares, as in compare_folders.c; FRESH is added to DIFFERENT or LACKING if the file changed recently."""


class NativeComparer:
    """Compares files by size and time with the library.

    Raises
    ------
    OSError
        There is no such library, or it is for another system.
    """

    def __init__(self) -> None:
        library = load_library()
        self._compare, self._times = library.softcopy_compare_files, library.softcopy_folder_times
        self._walk, self._end_walk = library.softcopy_walk, library.softcopy_end_walk
        self._compare.argtypes = [_INT, _INT, _TEXT, _INT, _LONG, _LONG, _LONG, _POINTER, _POINTER]
        self._times.argtypes = [_INT, _TEXT, _INT, _POINTER]
        self._walk.argtypes = [_INT, _INT, _TEXT, *[_INT] * 3, *[_LONG] * 5, *[_POINTER] * 3]
        self._walk.restype = _POINTER
        self._end_walk.argtypes = [_POINTER]
        self._compare.restype = self._times.restype = self._end_walk.restype = None

    def compare(
        self, source: int, destination: int | None, unit: int, lately: int, soon: int, names: Sequence[str]
    ) -> tuple[bytes, list[int]]:
        """Compare some files of a folder.

        Parameters
        ----------
        source, destination : int
            Descriptors of the folder on both sides; None where the destination has no such folder.
        unit : int
            Unit in which the destination keeps modification times, ns.
        lately, soon : int
            A file that differs is FRESH if its modification time lies between these, ns.
        names : sequence of str
            Files in it.

        Returns
        -------
        tuple of bytes and list of int
            The verdict on each file: SAME, DIFFERENT, LACKING (missing at the destination) or UNCLEAR. Of all but the
            UNCLEAR ones, the latest modification time, ns; the total size of the SAME ones; the earliest modification
            time, ns; and the latest change time of the SAME ones' copies, ns.
        """
        side = -1 if destination is None else destination
        verdicts, totals = (ctypes.c_char * len(names))(), (_LONG * 4)()
        self._compare(
            source, side, os.fsencode("\0".join(names)), len(names), unit, lately, soon, verdicts, totals
        )  # fmt: skip
        return verdicts.raw, totals[:]

    def compare_below(
        self,
        source: int,
        destination: int | None,
        base: str,
        deep: bool,
        flush: bool,
        unit: int,
        times: tuple[int, int, int],
        most: float,
        names: Sequence[str],
    ) -> tuple[FolderBatch, int]:
        """Compare folders that are named by numbers.

        Parameters
        ----------
        source, destination : int
            Descriptors of the folder that they lie in, on both sides; None where the destination has none.
        base : str
            Path of that folder.
        deep : bool
            Compare everything below them, too.
        flush : bool
            Flush the destination's folders.
        unit : int
            Unit in which the destination keeps modification times, ns.
        times : tuple of int, int and int
            A file that differs is FRESH if its modification time lies between the first two, ns. A folder modified
            after the third may change without showing that.
        most : float
            Seconds after which no other folder is begun.
        names : sequence of str
            Those of the folders.

        Returns
        -------
        tuple of FolderBatch and int
            What was found, and how many of `names` were begun.

        Raises
        ------
        MemoryError
        """
        out, sizes, totals = (_POINTER * 4)(), (_LONG * 4)(), (_LONG * 6)()
        side = -1 if destination is None else destination
        joined = "\0".join(names).encode()
        walk = self._walk(
            source, side, joined, len(names), deep, flush, unit, *times, int(most * 1e9), out, sizes, totals
        )  # fmt: skip
        try:
            if not walk or sizes[0] < 0:
                raise MemoryError
            texts = [ctypes.string_at(at, size) if at else b"" for at, size in zip(out, sizes, strict=True)]
        finally:
            self._end_walk(walk)
        found = FolderBatch(base, *texts)
        found.newest, found.size, found.oldest_chunk, found.newest_change, found.newest_chunk = totals[:5]
        return found, totals[5]

    def folder_times(self, root: int, paths: Sequence[str]) -> list[int]:
        """Return the modification times (ns) of folders below an open one, 0 for those that cannot be looked at."""
        times = (_LONG * len(paths))()
        self._times(root, os.fsencode("\0".join(paths)), len(paths), times)
        return list(times)


def load_board_setter() -> Callable[[int], None]:
    """Return what has the library's calls end early when a writer begins to work, as the board at an address says.

    It is told 0 where none is to be heeded.
    """
    try:
        heed = load_library().softcopy_heed_board
    except (OSError, AttributeError):
        return lambda address: None
    heed.argtypes, heed.restype = [_POINTER], None
    return heed


def flush_together(native: NativeCopier | None, destination: int | None, at_a_time: int) -> FlushTogether | None:
    """Return what flushes many files below an open folder at a time; None where that is not possible."""
    if native is None or destination is None:
        return None
    return lambda paths: native.flush(destination, paths, at_a_time)


def files_at_a_time(native: NativeCopier | None, most: int) -> int:
    """Return how many small files are worth being copied at a time, of at most so many."""
    return 1 if native is None else min(most, native.worth_at_a_time)


def change_times(
    native: NativeCopier | None, destination: int | None, paths: Sequence[str]
) -> Sequence[tuple[int, int] | None]:
    """Return size and change time (ns) of regular files below an open folder; None where that is not known."""
    if native is None or destination is None:
        return [None] * len(paths)
    return native.change_times(destination, paths)


def load_copier(buffer: bytearray) -> NativeCopier | None:
    """Return a copier, or None without the library or with `SOFTCOPY_NATIVE=0`."""
    return _load(lambda: NativeCopier(buffer))


def load_comparer() -> NativeComparer | None:
    """Return a comparer, or None without the library or with `SOFTCOPY_NATIVE=0`."""
    return _load(NativeComparer)


def _load(make: Callable[[], _Loaded]) -> _Loaded | None:
    try:
        return make()
    except (OSError, AttributeError):  # an AttributeError: an older library without these functions
        return None
