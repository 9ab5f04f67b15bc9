"""Names of zarr's metadata files, of chunks, and of the locks and temporaries that writers leave beside them.

Locks and temporaries are never copied. Only names are looked at; what was measured is in docs/dev/writers.md.
"""

from __future__ import annotations

import re
from enum import Enum, auto

MARKER = "complete"
"""Name of the file by which a writer, or a script, says that the acquisition is over, unless another is set."""
METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})
"""Names of the files that hold zarr metadata, of both formats."""
ARRAY_METADATA_NAMES = frozenset({"zarr.json", ".zarray"})
"""Those of them that make a folder an array."""
ANNOTATED_NAMES = METADATA_NAMES | {".zmetadata"}
"""Names of the files that people edit in a copy: metadata, and what zarr 2 consolidates of them for its readers."""
LOCK_ENDING = ".__lock"
LOCK_LIFE = 10.0
"""Seconds after which a lock counts as left by a crash: writers hold locks for milliseconds."""
TEMPORARY_ENDINGS = (LOCK_ENDING, ".tmp", ".partial")
"""Every temporary's name ends in one of these; for other names `classify_temporary` need not be called."""

# tensorstore in mode `none` writes to `X_<random 64 bit number in hex>.__lock`. Such a number has fewer than eight
# digits once in four billion times; a chunk key or file name that ends so is far likelier.
_UNLOCKED_WRITE = re.compile(r"_[0-9a-f]{8,16}$")
# zarr-python 2 and 3: `<name or name without its last suffix>.<uuid4 hex>.partial`
_ZARR_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")


class TemporaryKind(Enum):
    """What kind of temporary a writer has made; neither is ever copied."""

    LOCK = auto()
    """It exists while its writer replaces the file that it is named after."""
    SCRATCH = auto()
    """It becomes a file whose name cannot be told for certain."""


def classify_temporary(name: str) -> tuple[TemporaryKind, str] | None:
    """Return what kind of temporary a file is.

    Returns
    -------
    tuple of TemporaryKind and str, or None
        The kind, and for a LOCK the name of the file about to be replaced; None for a file that is to be copied.
    """
    if name.endswith(LOCK_ENDING):
        return TemporaryKind.LOCK, file_of_lock(name)
    if name.endswith(".tmp") or (name.endswith(".partial") and _ZARR_PARTIAL.search(name)):
        return TemporaryKind.SCRATCH, ""
    return None


def file_of_lock(lock: str) -> str:
    """Return the name or path of the file that a lock, given by name or path, stands for."""
    return _UNLOCKED_WRITE.sub("", lock.removesuffix(LOCK_ENDING))


def is_marker_name(name: str) -> bool:
    """Whether a file of this name can mark the end of an acquisition: it must not be taken for data."""
    if not name.strip() or name in METADATA_NAMES or name in (".", "..") or is_named_like_chunk(name):
        return False
    return classify_temporary(name) is None and name.isprintable() and not set(name) & set("/\\:*?")


def is_named_like_chunk(name: str) -> bool:
    """Whether a file may be a chunk, by its name alone, without knowing its array."""
    return name[0].isdigit() or name.startswith("c.")
