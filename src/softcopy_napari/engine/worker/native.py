"""Many small files in one call of a small C library (native.c), where the package was built with a compiler.

The C code copies and compares plain files of one folder, and leaves all others to file_copier.py and
folder_comparer.py: so there is no case that only it knows. Without the library those two do everything, at two thirds
of the speed. Runs in the copy workers and must import nothing heavy.
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
"""Files a call, as native.c has it."""
_LEFT = -1
"""In place of a size: left alone, as native.c has it."""
_Part = TypeVar("_Part")
_ROOM = 1 << 19
"""Bytes read before they are written: what stays in the processor's cache."""


class NativeCopier:
    """The library, with a buffer to copy through.

    Parameters
    ----------
    buffer : bytearray
        Of at least half a MiB; free to use between calls.

    Raises
    ------
    OSError
        There is no such library, or it is one for another system.
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
            Name of the temporary file; no other process's.
        names : sequence of str
            As many of the first of them are copied as one call takes.
        unit : int
            In which the destination keeps modification times, ns.
        mode : int
            Permissions of the copies; those of the source where it is negative.
        chunk_format : ChunkFormat, optional
            Of all of them; those that cannot be whole are left alone.

        Returns
        -------
        list of tuple of int, bytes and int, or None
            Size, XXH3-128 and modification time (ns) of each of the first files, at least one; None for those that
            were left alone.
        """
        names = names[:MAX_FILES]
        joined = os.fsencode("\0".join(names))
        now = time.time_ns()
        settled, coarse = now - max(unit, TICK), now - max(unit, TIME_UNITS[0])  # as files.tick_left
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
                sizes[number] = _LEFT
                found.append(None)
            else:
                found.append((size, xxh3_128_digest(data), times[number]))
        self._write(destination, os.fsencode(temporary), joined, count, mode, self._buffer, sizes)
        return [one if size >= 0 else None for one, size in zip(found, sizes[:count], strict=True)]


SAME, DIFFERENT, LACKING, FRESH, UNCLEAR = 0, 1, 2, 4, 8
"""How a file compares, as native.c has it; FRESH is added to those in the middle."""


class NativeComparer:
    """The library's comparison of files by size and time.

    Raises
    ------
    OSError
        As `NativeCopier`.
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
            At most `MOST`.
        unit : int
            As for `files.up_to_date`.
        lately, soon : int
            Between which times, ns, a change makes a file that is not the same FRESH.

        Returns
        -------
        tuple of bytes, int, int and int
            What is known of each: SAME, DIFFERENT, LACKING (not at the destination), or UNCLEAR, where nothing is.
            The latest modification time of the others, ns. The bytes of those that are the same. The earliest
            modification time, ns.
        """
        side = -1 if destination is None else destination
        joined = os.fsencode("\0".join(names))
        self._compare(source, side, joined, len(names), unit, lately, soon, self._verdicts, self._totals)
        return self._verdicts.raw[: len(names)], self._totals[0], self._totals[1], self._totals[2]


def load_copier(buffer: bytearray) -> NativeCopier | None:
    """The library, where there is one; `SOFTCOPY_NATIVE=0` leaves it aside."""
    return _where_it_is(lambda: NativeCopier(buffer))


def load_comparer() -> NativeComparer | None:
    """Its comparison, likewise."""
    return _where_it_is(NativeComparer)


def _where_it_is(make: Callable[[], _Part]) -> _Part | None:
    if os.environ.get("SOFTCOPY_NATIVE") == "0":
        return None
    try:
        return make()
    except (OSError, AttributeError):  # a library without these functions is an older one
        return None
