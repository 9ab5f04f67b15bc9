"""Names of zarr's metadata files, of chunks, and of the locks and temporaries that writers leave beside them.

Locks and temporaries are never copied. Only names are looked at; what was measured is in docs/dev/writers.md.
"""

from __future__ import annotations

import re
from enum import Enum, auto

MARKER = "complete"
"""Name of the file by which a writer, or a script after it, says that the acquisition is over."""
METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})
"""Names of the files that hold zarr metadata, of both formats."""
ARRAY_METADATA_NAMES = frozenset({"zarr.json", ".zarray"})
"""Those of them that make a folder an array."""
LOCK_ENDING = ".__lock"
LOCK_LIFE = 10.0
"""Seconds after which a lock counts as left behind by a crash: writers hold them for milliseconds."""
TEMPORARY_ENDINGS = (LOCK_ENDING, ".tmp", ".partial")
"""How every temporary's name ends: `classify_temporary` need not be asked about other names."""

# tensorstore in mode `none` writes to `X_<random 64 bit number in hex>.__lock`. Fewer than eight digits
# come up once in four thousand million times; a chunk key or file name that ends so is far likelier.
_UNLOCKED_WRITE = re.compile(r"_[0-9a-f]{8,16}$")
# zarr-python 2 and 3: `<name or name without its last suffix>.<uuid4 hex>.partial`
_ZARR_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")


class TemporaryKind(Enum):
    """What a name says about a file that is not for copying."""

    LOCK = auto()
    """Made while its writer replaces the file of the name that goes with it."""
    SCRATCH = auto()
    """A writer's temporary that does not tell for certain which file it becomes."""


def classify_temporary(name: str) -> tuple[TemporaryKind, str] | None:
    """Tell whether a file is a writer's temporary.

    Parameters
    ----------
    name : str
        The file's name, without its folder.

    Returns
    -------
    tuple of TemporaryKind and str, or None
        The kind, and for a LOCK the name of the file about to be replaced (else empty);
        None for a file that is to be copied.
    """
    if name.endswith(LOCK_ENDING):
        return TemporaryKind.LOCK, file_of_lock(name)
    if name.endswith(".tmp") or (name.endswith(".partial") and _ZARR_PARTIAL.search(name)):
        return TemporaryKind.SCRATCH, ""
    return None


def file_of_lock(lock: str) -> str:
    """The file that a lock is for; both by name, or by path."""
    return _UNLOCKED_WRITE.sub("", lock.removesuffix(LOCK_ENDING))


def is_named_like_chunk(name: str) -> bool:
    """Whether a file may be a chunk, by its name alone: its array need not be known."""
    return name[0].isdigit() or name.startswith("c.")
