"""Chunk keys, the names of chunk files: spells one, and reads one or thousands at once. Used by array_layout.py."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MAX_DIGITS = 18  # any such number fits 64 bits
_ZERO, _NINE, _NEWLINE = b"09\n"
_INDEX = f"(0|[1-9][0-9]{{0,{_MAX_DIGITS}}})"
_FANOUT_INDEX = f"({_INDEX}(?:/{_INDEX})*)".replace("(0", "(?:0")


class ChunkKeys:
    """How the chunk files of an array are named.

    Parameters
    ----------
    encoding : str
        One of zarr v3's chunk key encodings: `default` (`c/1/2`), `v2` (`1.2`), or `fanout`, where each digit of an
        index is a folder (`d0/1/d1/2/c`).
    separator : str
        What stands between indices.
    rank : int
        Number of dimensions.
    suffix : str
        What follows each of these names.
    max_children : int
        For `fanout`, the most names in a folder; the base of the digits is one less.
    """

    __slots__ = ("_base", "_format", "_pattern", "_suffix", "bulk_form")

    def __init__(self, encoding: str, separator: str, rank: int, suffix: str = "", max_children: int = 0) -> None:
        self._base = max_children - 1 if encoding == "fanout" else 0
        self._suffix = suffix
        self._format = _spelling(encoding, separator, rank, "%s" if self._base else "%d") + suffix.replace("%", "%%")
        self._pattern = _pattern(encoding, separator, rank, suffix)
        self.bulk_form = "" if self._base or "/" in suffix else self._format
        """A `%` format for all indices of a key; empty where keys have none, or end in a folder's name."""

    def spell(self, index: Sequence[int]) -> str:
        """Return the key of the chunk file at an index of the chunk grid."""
        if self._base:
            return self._format % tuple([_digits(number, self._base) for number in index])
        return self._format % tuple(index)

    def read(self, key: str) -> tuple[int, ...] | None:
        """Return the index that a key stands for; None for a name that is no key."""
        match = self._pattern.fullmatch(key)
        if match is None:
            return None
        if not self._base:
            return tuple(map(int, match.groups()))
        numbers = [_number(digits, self._base) for digits in match.groups()]
        return None if -1 in numbers else tuple(numbers)

    def without_suffix(self, names: Sequence[str]) -> Sequence[str] | None:
        """Return names without the suffix; None if any of them lacks it."""
        if not self._suffix:
            return names
        if not all(name.endswith(self._suffix) for name in names):
            return None
        return [name[: -len(self._suffix)] for name in names]


def _spelling(encoding: str, separator: str, rank: int, index: str) -> str:
    """Return a chunk key without suffix, with `index` in place of every index."""
    if encoding == "fanout":
        return "/".join([f"d{axis}/{index}" for axis in range(rank)] + ["c"])
    if encoding == "default":
        return separator.join(["c"] + [index] * rank)
    return separator.join([index] * rank) or "0"


@functools.lru_cache(maxsize=64)
def _pattern(encoding: str, separator: str, rank: int, suffix: str) -> re.Pattern[str]:
    index = _FANOUT_INDEX if encoding == "fanout" else _INDEX
    return re.compile(_spelling(encoding, re.escape(separator), rank, index) + re.escape(suffix))


def _digits(number: int, base: int) -> str:
    digits = []
    while number >= base:
        number, digit = divmod(number, base)
        digits.append(str(digit))
    return "/".join([str(number), *reversed(digits)])


def _number(text: str, base: int) -> int:
    """Return the index that digits spell; -1 if they are not spelled as a writer would."""
    digits = [int(digit) for digit in text.split("/")]
    if max(digits) >= base or (len(digits) > 1 and not digits[0]):
        return -1
    return functools.reduce(lambda number, digit: number * base + digit, digits)


def parse_names(names: Sequence[str], prefix: str, rank: int, separator: str = ".") -> npt.NDArray[np.int64] | None:
    """Read the indices in names that consist of a prefix and `rank` numbers with a separator in between.

    Returns
    -------
    numpy.ndarray of int64, shape (len(names), rank), or None
        None if any name has another form.
    """
    text = "\n".join(names)
    if prefix:
        text = f"\n{text}"
        if text.count(f"\n{prefix}") != len(names):
            return None
        text = text.replace(f"\n{prefix}", "\n")[1:]
    if not text.isascii():
        return None
    import numpy as np

    data = np.frombuffer(f"{text}\n".encode(), np.uint8)
    ends = np.flatnonzero(data < _ZERO)
    separators = np.full((len(names), rank), ord(separator), np.uint8)
    separators[:, -1] = _NEWLINE
    # The separators must match, so that a name with a line break or an extra separator does not pass.
    if data.max() > _NINE or not np.array_equal(data[ends], separators.ravel()):
        return None
    starts = np.concatenate(([0], ends[:-1] + 1))
    digits = ends - starts
    longest = int(digits.max())
    if digits.min() < 1 or longest > _MAX_DIGITS or bool(((data[starts] == _ZERO) & (digits > 1)).any()):
        return None
    values = np.zeros(len(ends), np.int64)
    for place in range(longest):
        digit = data[ends - 1 - place].astype(np.int64) - _ZERO
        values += np.where(place < digits, digit, 0) * 10**place
    return values.reshape(len(names), rank)
