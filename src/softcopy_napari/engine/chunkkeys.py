"""The names of chunk files, as text: how keys are spelled, and reading thousands of them at once.

Used by layout.py, which knows the arrays that they belong to, and says why numpy is imported so late.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MAX_DIGITS = 18  # any such number fits 64 bits
_ZERO, _NINE, _DOT, _NEWLINE = b"09.\n"


def key_form(encoding: str, separator: str, rank: int, index: str) -> str:
    """A chunk key with `index` in place of every index."""
    if encoding == "default":
        return separator.join(["c"] + [index] * rank)
    return separator.join([index] * rank) or "0"


@functools.lru_cache(maxsize=64)
def key_pattern(encoding: str, separator: str, rank: int) -> re.Pattern[str]:
    index = f"(0|[1-9][0-9]{{0,{_MAX_DIGITS}}})"
    return re.compile(key_form(encoding, re.escape(separator), rank, index))


def parse_names(names: Sequence[str], prefix: str, rank: int) -> npt.NDArray[np.int64] | None:
    """Indices in names that consist of a prefix and `rank` numbers with dots between them.

    Returns
    -------
    numpy.ndarray of int64, shape (len(names), rank), or None
        None where any name is not exactly so.
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
    separators = np.full((len(names), rank), _DOT, np.uint8)
    separators[:, -1] = _NEWLINE
    # The same separators at the same places: a name with a line break or a dot too many cannot pass.
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
