"""Compares folders that are named by numbers, as those of chunk files are, many together with the C library."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import partial

from softcopy_napari.engine.fs.folder_listing import holding
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.lanes import Lanes, split
from softcopy_napari.engine.worker.native import NativeComparer

ALL_BELOW = -1
"""In place of a folder's known time: compare what lies below it, too, if there is nothing but chunk files."""
CLOCK_SKEW_NS = 2_000_000_000
RACY_NS = 2_500_000_000
"""What a folder changed in the last so many ns may change without showing it: coarser than file systems' times are."""
_SLICE = 0.02
"""Seconds after which the folders that were compared so far are told of."""
_SLICE_OF_LANES = 0.5
"""The same where several threads wait for a share."""
_SLICE_OF_FEW = 0.1
"""The same where there are fewer folders than threads: those below them are shared out among more."""


class NumberedFolders:
    """Compares folders of one target that are named by numbers.

    Parameters
    ----------
    native : NativeComparer
    source, destination : RootFolder
        The target's folders, held open by the caller.
    """

    def __init__(self, native: NativeComparer, source: RootFolder, destination: RootFolder) -> None:
        self._native = native
        self._source = source
        self._destination = destination
        self._lanes = Lanes()

    def find_unchanged(self, folders: list[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return those of some folders that still have the time (ns) at which their content is known."""
        known = [one for one in folders if one[1] > 0]
        if not known or self._source.fd is None:
            return set()
        times = self._native.folder_times(self._source.fd, [folder for folder, _ in known])
        return {one for one, time in zip(known, times, strict=True) if one[1] == time}

    def compare(
        self, base: str, names: list[str], there: bool, deep: bool, unit: int, quiet: float, flush: bool = False
    ) -> Iterator[FolderBatch]:
        """Compare folders, in several threads where the destination is a share that takes its time.

        Parameters
        ----------
        base : str
            Folder that they lie in, relative to the source.
        names : list of str
        there : bool
            Whether the destination has that folder.
        deep : bool
            Compare what lies below them, too.
        unit : int
            Unit of the destination's modification times, ns.
        quiet : float
            Seconds for which a file must not have changed.
        flush : bool
            Flush the destination's folders.

        Yields
        ------
        FolderBatch
            Those folders that nothing is said of by then are PECULIAR.
        """
        while names:
            lanes = self._lanes.count_on(self._destination.root)
            now = time.time_ns()
            times = now - int(quiet * 1e9), now + CLOCK_SKEW_NS, now - RACY_NS
            parts = split(len(names), lanes)
            most = _SLICE if lanes == 1 else _SLICE_OF_LANES if len(parts) == lanes else _SLICE_OF_FEW
            try:
                with holding(self._source, base) as here, holding(self._destination, base if there else None) as held:
                    assert here is not None
                    compare = partial(self._native.compare_below, here, held, base, deep, flush, unit, times)
                    found = self._lanes.run([partial(compare, most, names[at : at + count]) for at, count in parts])
            except OSError:
                yield FolderBatch.of_peculiar([join(base, name) for name in names])
                return
            left = [names[at + begun : at + count] for (at, count), (_, begun) in zip(parts, found, strict=True)]
            names = list(itertools.chain.from_iterable(left))
            yield from (batch for batch, _ in found)


def group_of(folder: tuple[str, int]) -> tuple[str | None, bool]:
    """Return the folder that one named by a number lies in, None for others; and whether to compare all below it."""
    base, _, name = folder[0].rpartition("/")
    is_number = name.isdecimal() and name.isascii() and len(name) < 10 and (name == "0" or name[0] != "0")
    return (base if is_number else None), folder[1] == ALL_BELOW
