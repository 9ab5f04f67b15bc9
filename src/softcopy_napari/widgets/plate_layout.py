"""Arranges the wells of a plate by their paths, for `plate_map`. Without Qt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MAX_GAP = 48
"""Rows or columns of a plate: more than any that is made (1,536 wells: 32 x 48)."""


@dataclass(frozen=True, slots=True)
class Well:
    """A well, and how much of it has arrived."""

    path: str
    row: int
    column: int
    copied: int
    total: int

    @property
    def fraction(self) -> float:
        """The share that has arrived, 0 to 1."""
        return min(1.0, self.copied / self.total) if self.total else 0.0

    @property
    def complete(self) -> bool:
        """Whether all of it has arrived."""
        return 0 < self.total <= self.copied


@dataclass(frozen=True, slots=True)
class PlateLayout:
    """The names of rows and columns, and the wells by row and column."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: Mapping[tuple[int, int], Well]

    def __iter__(self) -> Iterator[Well]:
        return iter(self.wells.values())


def lay_out(wells: Mapping[str, tuple[int, int]]) -> PlateLayout:
    """Arrange wells.

    Parameters
    ----------
    wells : mapping of str to (int, int)
        Path of the well (`A/1`, or `plate.zarr/B/03`), and its chunk files: copied, and in all.

    Returns
    -------
    PlateLayout
        Rows and columns from the first to the last that is used are there even where no well is.
    """
    parts = {path: _split(path) for path in wells}
    if len(set(parts.values())) < len(parts):  # several plates: a row of each is a row of its own
        parts = {path: (path.rpartition("/")[0], path.rpartition("/")[2]) for path in wells}
    rows = _names({row for row, _ in parts.values()})
    columns = _names({column for _, column in parts.values()})
    row_at = {name: at for at, name in enumerate(rows)}
    column_at = {name: at for at, name in enumerate(columns)}
    placed = {}
    for path, (row, column) in parts.items():
        at = row_at[_plain(row)], column_at[_plain(column)]
        placed[at] = Well(path, *at, *wells[path])
    return PlateLayout(rows, columns, dict(sorted(placed.items())))


def _split(path: str) -> tuple[str, str]:
    pieces = path.strip("/").split("/")
    return (pieces[-2] if len(pieces) > 1 else "", pieces[-1])


def _plain(name: str) -> str:
    """Return a name without leading zeros: `3` for `03`."""
    return str(int(name)) if name.isdecimal() and name.isascii() else name


def _names(found: set[str]) -> tuple[str, ...]:
    """Return the names in order, with gaps filled in."""
    names = {_plain(name) for name in found}
    if names and all(name.isdigit() for name in names):
        numbers = sorted(map(int, names))
        if numbers[-1] <= _MAX_GAP:
            numbers = list(range(min(1, numbers[0]), numbers[-1] + 1))
        return tuple(map(str, numbers))
    if names and all(re.fullmatch("[A-Z]{1,2}", name) for name in names):
        last = max(map(_letters_number, names))
        if last <= _MAX_GAP:
            return tuple(_number_letters(number) for number in range(1, last + 1))
        return tuple(_number_letters(number) for number in sorted(map(_letters_number, names)))
    return tuple(sorted(names, key=lambda name: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", name)]))


def _letters_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _number_letters(number: int) -> str:
    return (_number_letters((number - 1) // 26) if number > 26 else "") + chr(ord("A") + (number - 1) % 26)
