"""Which array of a target to show first, and how much of each well of a plate has arrived. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softcopy_napari.engine.protocol.messages import ArraySnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import GroupLayout


def first_array(paths: Sequence[str]) -> str:
    """Return the array to show first: of several levels or fields the first, by the numbers in their names."""
    return min(paths, key=array_order, default="")


def array_order(path: str) -> tuple[int, list[tuple[int, str]]]:
    """Return what arrays are sorted by: the upper ones first, and by the numbers in their names."""
    return path.count("/"), _by_number(path)


def _by_number(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in path.split("/")]


def wells(arrays: Sequence[ArraySnapshot]) -> Mapping[str, tuple[int, int]]:
    """Return the chunk files copied, and in all, for each well of a plate; empty where there is no plate.

    The arrays of a plate lie at `row/column/field/level`, as OME-Zarr defines it.
    """
    found: dict[str, tuple[int, int]] = {}
    for array in arrays:
        parts = array.path.split("/")
        if len(parts) < 4 or not _is_well(parts[-4:-2]):
            continue
        well = "/".join(parts[:-2])
        copied, total = found.get(well, (0, 0))
        arrived = array.counts[ChunkState.COPIED] + array.counts[ChunkState.VERIFIED]
        found[well] = copied + arrived, total + sum(array.counts)
    return found


def count_promised_wells(root: object) -> int:
    """Return how many wells the metadata of a dataset's root promise; 0 where it is no plate."""
    return sum(_is_well(path.split("/")) for path in root.children) if isinstance(root, GroupLayout) else 0


def _is_well(parts: Sequence[str]) -> bool:
    """Whether these are the names of a row and a column."""
    return len(parts) == 2 and parts[0].isalpha() and len(parts[0]) <= 2 and parts[1].isalnum()
