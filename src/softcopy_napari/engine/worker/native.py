"""Copies and compares many small files in one call of a C library (native.c), if there is one.

It handles regular files of one folder and leaves all others to file_copier.py and folder_comparer.py, so that it has no
special cases of its own. Without the library (it takes a compiler) those two do everything, at two thirds of the speed.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.file_times import TICK, TIME_UNITS
from softcopy_napari.engine.fs.files import NO_ATIME, READ
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat, check_chunk_in_memory

LIBRARY = os.path.join(os.path.dirname(__file__), "libsoftcopy.so")
MAX_FILES = 64
"""Most files in a call, as in native.c."""
_SKIPPED = -1
"""Stands for the size of a file that was skipped, as in native.c."""
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
        library = ctypes.CDLL(LIBRARY)
        self._read, self._write = library.softcopy_read_files, library.softcopy_write_files
        integer, long, text, pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
        self._read.argtypes = [integer, text, integer, integer, long, long, pointer, long, pointer, pointer]
        self._write.argtypes = [integer, text, text, integer, integer, pointer, pointer]
        self._write.restype = None
        self._view = memoryview(buffer)
        self._buffer = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        self._sizes = (ctypes.c_int64 * MAX_FILES)()
        self._times = (ctypes.c_int64 * MAX_FILES)()

    def copy(
        self,
        source: int,
        destination: int,
        temporary: str,
        names: Sequence[str],
        unit: int,
        mode: int = -1,
        chunk_format: ChunkFormat | None = None,
    ) -> list[tuple[int, bytes, int] | None]:
        """Copy some files of a folder.

        Parameters
        ----------
        source, destination : int
            Descriptors of the folder on both sides.
        temporary : str
            Name of the temporary file, which no other process uses.
        names : sequence of str
            Files in the folder; one call copies as many of the first ones as it can.
        unit : int
            Unit in which the destination keeps modification times, ns.
        mode : int
            Permissions of the copies; if negative, they get their source's.
        chunk_format : ChunkFormat, optional
            Format of all of them, if they are chunk files; damaged ones are skipped.

        Returns
        -------
        list of tuple of int, bytes and int, or None
            Size, XXH3-128 and modification time (ns) of each of the first files, at least one; None for those that
            were skipped.
        """
        names = names[:MAX_FILES]
        joined = os.fsencode("\0".join(names))
        now = time.time_ns()
        settled, coarse = now - max(unit, TICK), now - max(unit, TIME_UNITS[0])  # as file_times.remaining_tick
        sizes, times = self._sizes, self._times
        count = self._read(
            source, joined, len(names), READ | NO_ATIME, settled, coarse, self._buffer, _ROOM, sizes, times
        )  # fmt: skip
        found: list[tuple[int, bytes, int] | None] = []
        at = 0
        for number, size in enumerate(sizes[:count]):
            data = self._view[at : at + max(size, 0)]
            at += len(data)
            if size < 0 or (chunk_format is not None and check_chunk_in_memory(data, chunk_format)):
                sizes[number] = _SKIPPED
                found.append(None)
            else:
                found.append((size, xxh3_128_digest(data), times[number]))
        self._write(destination, os.fsencode(temporary), joined, count, mode, self._buffer, sizes)
        return [one if size >= 0 else None for one, size in zip(found, sizes[:count], strict=True)]


SAME, DIFFERENT, LACKING, FRESH, UNCLEAR = 0, 1, 2, 4, 8
"""How a file compares, as in native.c; FRESH is added to DIFFERENT or LACKING if the file changed recently."""


class NativeComparer:
    """Compares files by size and time with the library.

    Raises
    ------
    OSError
        There is no such library, or it is for another system.
    """

    def __init__(self) -> None:
        self._compare = ctypes.CDLL(LIBRARY).softcopy_compare_files
        integer, long, text, pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
        self._compare.argtypes = [integer, integer, text, integer, long, long, long, pointer, pointer]
        self._compare.restype = None
        self._verdicts = (ctypes.c_char * MAX_FILES)()
        self._totals = (ctypes.c_int64 * 3)()

    def compare(
        self, source: int, destination: int | None, names: Sequence[str], unit: int, lately: int, soon: int
    ) -> tuple[bytes, int, int, int]:
        """Compare some files of a folder.

        Parameters
        ----------
        source, destination : int
            Descriptors of the folder on both sides; None where the destination has no such folder.
        names : sequence of str
            At most `MAX_FILES` files in it.
        unit : int
            Unit in which the destination keeps modification times, ns.
        lately, soon : int
            A file that differs is FRESH if its modification time lies between these, ns.

        Returns
        -------
        tuple of bytes, int, int and int
            The verdict on each file: SAME, DIFFERENT, LACKING (missing at the destination) or UNCLEAR. Of all but the
            UNCLEAR ones, the latest modification time, ns; the total size of the SAME ones; and the earliest
            modification time, ns.
        """
        side = -1 if destination is None else destination
        joined = os.fsencode("\0".join(names))
        self._compare(source, side, joined, len(names), unit, lately, soon, self._verdicts, self._totals)
        return self._verdicts.raw[: len(names)], self._totals[0], self._totals[1], self._totals[2]


def load_copier(buffer: bytearray) -> NativeCopier | None:
    """Return a copier, or None without the library or with `SOFTCOPY_NATIVE=0`."""
    return _load(lambda: NativeCopier(buffer))


def load_comparer() -> NativeComparer | None:
    """Return a comparer, or None without the library or with `SOFTCOPY_NATIVE=0`."""
    return _load(NativeComparer)


def _load(make: Callable[[], _Loaded]) -> _Loaded | None:
    if os.environ.get("SOFTCOPY_NATIVE") == "0":
        return None
    try:
        return make()
    except (OSError, AttributeError):  # an AttributeError: an older library without these functions
        return None
