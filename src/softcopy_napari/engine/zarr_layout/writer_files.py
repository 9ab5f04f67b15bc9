"""Names of the temporaries and locks that zarr writers leave beside the files they write.

None of these files is ever copied. Pure functions of a file's name; measured facts are in docs/dev/writers.md.
"""

from __future__ import annotations

import re
from enum import Enum, auto

MARKER = "complete"
"""Name of the file by which a writer, or a script after it, says that the acquisition is over."""
ARRAY_METADATA = frozenset({".zarray", "zarr.json"})
"""Files that make a folder an array."""
LOCK_ENDING = ".__lock"
LOCK_LIFE = 10.0
"""Seconds after which a lock counts as left behind by a crash: writers hold them for milliseconds."""
ENDINGS = (LOCK_ENDING, ".tmp", ".partial")
"""How every temporary's name ends: `temporary_of` need not be asked about other names."""

# tensorstore in mode `none` writes to `X_<random 64 bit number in hex>.__lock`. Fewer than eight digits
# come up once in four thousand million times; a chunk key or file name that ends so is far likelier.
_UNLOCKED_WRITE = re.compile(r"_[0-9a-f]{8,16}$")
# zarr-python 2 and 3: `<name or name without its last suffix>.<uuid4 hex>.partial`
_ZARR_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")


class Temporary(Enum):
    """What a name says about a file that is not for copying."""

    LOCK = auto()
    """Made while its writer replaces the file of the name that goes with it."""
    SCRATCH = auto()
    """A writer's temporary that does not tell for certain which file it becomes."""


def temporary_of(name: str) -> tuple[Temporary, str] | None:
    """Tell whether a file is a writer's temporary.

    Parameters
    ----------
    name : str
        The file's name, without its folder.

    Returns
    -------
    tuple of Temporary and str, or None
        The kind, and for a LOCK the name of the file about to be replaced (else empty);
        None for a file that is to be copied.
    """
    if name.endswith(LOCK_ENDING):
        return Temporary.LOCK, file_of_lock(name)
    if name.endswith(".tmp") or (name.endswith(".partial") and _ZARR_PARTIAL.search(name)):
        return Temporary.SCRATCH, ""
    return None


def file_of_lock(lock: str) -> str:
    """The file that a lock is for; both by name, or by path."""
    return _UNLOCKED_WRITE.sub("", lock.removesuffix(LOCK_ENDING))


def named_like_a_chunk(name: str) -> bool:
    """Whether a file may be a chunk, by its name alone: its array need not be known."""
    return name[0].isdigit() or name.startswith("c.")
